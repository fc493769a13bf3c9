package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.listen.Listener;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import org.apache.camel.spi.Registry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Whoever can connect to central can notify anything on the channel. */
@Tag("slow")
class NotificationFloodTest {
  private final Caravan caravan = new Caravan();
  private final Log doorbell = new Log("caravan.doorbell");
  private final Log everything = new Log("");

  @AfterEach
  void stop() {
    caravan.close();
    doorbell.close();
    everything.close();
  }

  @Test
  void tenThousandAreCountedAndToldInALineOrTwoAndChangesArriveAllTheSame() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            select caravan.track('users', '{name}');
            """);
    caravan
        .client(
            "blog",
            "create table members (id bigint primary key, name text)",
            """
            [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
            """)
        .set("caravan.tick", "86400000")
        .start();
    await().until(() -> registry().findSingleByType(Listener.class).isConnected());

    long start = System.nanoTime();
    caravan
        .central()
        .execute(
            "select pg_notify('caravan', 'rubbish ' || n) from generate_series(1, 10000) as n");
    caravan.central().execute("insert into users values (1, 'Ada')");

    caravan.awaitEqual("table users", "blog", "table members");
    await()
        .atMost(Duration.ofMinutes(1))
        .untilAsserted(() -> assertThat(refused("not-json")).isEqualTo(10000));
    await().atMost(Duration.ofMinutes(2)).until(() -> !doorbell.lines().isEmpty());
    long seconds = Duration.ofNanos(System.nanoTime() - start).toSeconds();
    assertThat(doorbell.lines()).hasSizeLessThanOrEqualTo(1 + (int) seconds / 10);
    assertThat(everything.lines()).noneMatch(line -> line.contains("rubbish"));
  }

  /** The change may arrive before the first notification is counted: then there is no counter. */
  private double refused(String reason) {
    Counter counter =
        registry()
            .findSingleByType(MeterRegistry.class)
            .find("caravan.notifications.refused")
            .tag("reason", reason)
            .counter();
    return counter == null ? 0 : counter.count();
  }

  private Registry registry() {
    return caravan.hub().getCamelContext().getRegistry();
  }
}
