package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What many clients take of the hub's process. */
class ThreadsTest {
  private static final int CLIENTS =
      20; // with fewer, Camel's own pools are still growing, to ten threads each
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "%s.users", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String LOADED =
      "select count(*) from caravan.cursor where cursor ? 'filled' and not cursor ? 'fill'";

  private final Caravan caravan = new Caravan();
  private final Database clients = Postgres.shared().createDatabase("clients");

  @BeforeEach
  void centralWithARow() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            insert into users values (1, 'Ada');
            select caravan.track('users', '{name}');
            """);
    clients.makeTables();
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aClientThatRestsTakesOneThread() {
    addClients(1, CLIENTS);
    caravan.start();
    awaitLoaded(CLIENTS);
    int ofSome = Thread.activeCount();
    caravan.stop();

    addClients(1 + CLIENTS, 2 * CLIENTS);
    caravan.start();
    awaitLoaded(2 * CLIENTS);

    // A pool that opens or closes a connection has a thread for that, and for some seconds longer.
    await()
        .atMost(Duration.ofMinutes(2))
        .untilAsserted(() -> assertThat(Thread.activeCount()).isLessThan(ofSome + CLIENTS * 3 / 2));
  }

  private void addClients(int first, int last) {
    for (int n = first; n <= last; n++) {
      String name = "c" + n;
      clients.execute(
          "create schema %1$s; create table %1$s.users (id int primary key, name text)"
              .formatted(name));
      caravan.client(clients, name, MAPPING.formatted(name));
    }
  }

  private void awaitLoaded(int count) {
    await()
        .atMost(Duration.ofMinutes(1))
        .untilAsserted(() -> assertThat(clients.value(LOADED)).isEqualTo("" + count));
  }
}
