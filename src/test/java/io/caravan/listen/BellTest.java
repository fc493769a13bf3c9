package io.caravan.listen;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.caravan.Caravan;
import io.caravan.Log;
import io.caravan.PgBouncer;
import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What the hub does when it does not hear central's bell. The tick does not help it here. */
class BellTest {
  private final Caravan caravan = new Caravan();
  private final Log log = new Log("caravan.bell");
  private int users;

  @BeforeEach
  void users() {
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
        .set("camel.metrics.enabled", "true")
        .set("caravan.heartbeat", "200")
        .set("caravan.poll", "100");
  }

  @AfterEach
  void stop() {
    caravan.close();
    log.close();
  }

  @Test
  void heartbeatsProveThatTheBellIsHeardAndWakeNobody() {
    caravan.set("caravan.heartbeat", "1000").start();
    assertThatAChangeArrives();
    await().until(() -> wakeUps() > 0); // a run is counted when it ends
    awaitHeartbeats(1);
    long wakeUps = wakeUps();

    awaitHeartbeats(3);

    assertThat(wakeUps()).isEqualTo(wakeUps);
    assertThat(log.lines()).isEmpty();
    assertThat(bell()).isEqualTo("ringing");
  }

  @Test
  void aDeafListenerIsNoticedAndRebuiltAndTheClientsArePolledMeanwhile() {
    caravan.start();
    assertThatAChangeArrives();

    listener().setUrl(Postgres.shared().createDatabase("elsewhere").url());
    listener().rebuild();
    await().until(() -> bell().equals("polling"));
    assertThatAChangeArrives();
    assertThat(log.lines()).hasSize(1).first().asString().startsWith("WARN not heard for");
    listener().setUrl(caravan.central().url());

    await().atMost(Duration.ofMinutes(2)).until(() -> bell().equals("ringing"));
    assertThat(log.lines()).hasSize(2).last().asString().startsWith("INFO heard again after");
    assertThatAChangeArrives();
  }

  @Test
  void behindATransactionPoolerTheClientsArePolled() throws IOException {
    assumeTrue(PgBouncer.isInstalled());
    Database central = caravan.central();
    try (PgBouncer pooler = new PgBouncer(central.port())) {
      caravan.set(
          "central.url",
          central.url().replace(":" + central.port(), ":" + pooler.port()) + "&prepareThreshold=0");
      caravan.start();

      await().until(() -> bell().equals("polling"));

      for (int i = 0; i < 20; i++) {
        assertThatAChangeArrives();
      }
      assertThat(log.lines()).hasSize(1);
      caravan.stop();
    }
  }

  private void assertThatAChangeArrives() {
    users++;
    caravan.central().execute("insert into users values (" + users + ", 'Ada')");
    await()
        .untilAsserted(
            () ->
                assertThat(caravan.database("blog").value("select count(*) from members"))
                    .isEqualTo(String.valueOf(users)));
  }

  private void awaitHeartbeats(int count) {
    for (int i = 0; i < count; i++) {
      String lastHeard = lastHeard();
      await().until(() -> !lastHeard().equals(lastHeard));
    }
  }

  private String bell() {
    return (String) bean("bell", Bell.class).call().getDetails().get("bell");
  }

  private String lastHeard() {
    return (String) bean("bell", Bell.class).call().getDetails().get("lastHeard");
  }

  /** How often the blog's pump ran. */
  private long wakeUps() {
    return (long)
        bean("metricsRegistry", MeterRegistry.class)
            .get("camel.exchanges.total")
            .tag("routeId", "blog")
            .counter()
            .count();
  }

  private Listener listener() {
    return bean("centralListener", Listener.class);
  }

  private <T> T bean(String name, Class<T> type) {
    return caravan.hub().getCamelContext().getRegistry().lookupByNameAndType(name, type);
  }
}
