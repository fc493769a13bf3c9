package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import io.caravan.client.Clients;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** One client that is broken does not concern the others, and heals by itself. */
@Timeout(180)
class IsolationTest {
  private static final Duration AT_ONCE = Duration.ofSeconds(2);
  private static final String MEMBERS = "create table members (id bigint primary key, name text)";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String OPEN_TRANSACTIONS =
      "select datname, query from pg_stat_activity where state like 'idle in transaction%'";
  private static final String UNTAKEN_ANSWERS =
      "select query from pg_stat_activity where wait_event = 'ClientWrite'";

  private final Caravan caravan = new Caravan();
  private int round;

  @BeforeEach
  void twoClients() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            select caravan.track('users', '{name}');
            insert into users select n, 'user ' || n from generate_series(1, 50) as n;
            """);
    caravan.client("blog", MEMBERS, MAPPING).client("shop", MEMBERS, MAPPING);
    caravan.set("caravan.lockTimeout", "1s").set("caravan.socketTimeout", "2");
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aClientThatIsDownDoesNotDelayTheOthersAndCatchesUp() {
    try (Postgres server = new Postgres(Map.of())) {
      Database blog = ofItsOwn(server);
      startAndAwaitBoth(blog);

      server.stop();
      assertThatTheShopIsServed();
      await().untilAsserted(() -> assertThat(state("blog")).containsEntry("state", "waiting"));
      assertThat(state("blog").get("connected")).isEqualTo(false);
      assertThatTheShopIsServed();
      server.start();

      awaitInStep(blog);
    }
  }

  /** Or else nobody would wake it any more. */
  @Test
  void thePumpOfAClientThatFailsRunsNoMore() {
    Database blog = caravan.database("blog");
    startAndAwaitBoth(blog);
    blog.execute("alter table members rename to people");

    caravan.central().execute("update users set name = 'Countess' where id = 1");

    await()
        .untilAsserted(
            () -> {
              assertThat(state("blog")).containsEntry("state", "paused");
              assertThat(clients().isRunning("blog")).isFalse();
            });
    blog.execute("alter table people rename to members");
    awaitInStep(blog);
  }

  @Test
  void aClientThatHangsInALockDoesNotDelayTheOthersAndCatchesUp() throws SQLException {
    Database blog = caravan.database("blog");
    startAndAwaitBoth(blog);

    try (Connection user = blog.dataSource().getConnection();
        Statement statement = user.createStatement()) {
      user.setAutoCommit(false);
      statement.execute("select from members for update");
      assertThatTheShopIsServed();
      await()
          .untilAsserted(
              () -> assertThat((String) state("blog").get("why")).contains("lock timeout"));
      assertThatTheShopIsServed();
      assertThat(connections(blog)).isLessThanOrEqualTo(2);
    }

    awaitInStep(blog);
    assertThat(state("blog")).containsEntry("state", "live");
  }

  @Test
  void aClientThatFallsSilentDoesNotDelayTheOthersAndCatchesUp() throws IOException {
    Database blog = caravan.database("blog");
    try (Wire wire = new Wire(blog.port())) {
      caravan.set("blog.url", blog.url().replace(":" + blog.port(), ":" + wire.port()));
      startAndAwaitBoth(blog);

      wire.silence();
      assertThatTheShopIsServed();
      await()
          .atMost(Duration.ofMinutes(2))
          .untilAsserted(() -> assertThat(state("blog")).containsEntry("state", "waiting"));
      assertThatTheShopIsServed();
      wire.restore();

      awaitInStep(blog);
    }
  }

  @Test
  void aSlowLineHoldsNoTransactionOpen() throws IOException {
    Database central = caravan.central();
    Database blog = caravan.database("blog");
    try (Wire toCentral = new Wire(central.port());
        Wire toBlog = new Wire(blog.port())) {
      caravan.set(
          "central.url", central.url().replace(":" + central.port(), ":" + toCentral.port()));
      caravan.set("blog.url", blog.url().replace(":" + blog.port(), ":" + toBlog.port()));
      startAndAwaitBoth(blog);

      toCentral.delay(Duration.ofMillis(30));
      toBlog.delay(Duration.ofMillis(30));
      central.execute("update users set name = 'slowly'");
      await()
          .pollDelay(Duration.ZERO)
          .pollInterval(Duration.ofMillis(5))
          .until(
              () -> {
                assertThat(central.query(OPEN_TRANSACTIONS)).isEmpty();
                return blog.query("table members").equals(central.query("table users"));
              });
    }
  }

  @Test
  void aPageThatNobodyTakesDoesNotLockASourceForLong() throws IOException {
    Database central = caravan.central();
    caravan.set("caravan.largestRow", "20000000");
    try (Wire wire = new Wire(central.port())) {
      caravan.set("central.url", central.url().replace(":" + central.port(), ":" + wire.port()));
      startAndAwaitBoth(caravan.database("blog"));

      wire.delay(Duration.ofMillis(500));
      central.execute("update users set name = repeat('x', 20000000) where id = 1");
      await().atMost(Duration.ofMinutes(2)).until(() -> !central.query(UNTAKEN_ANSWERS).isEmpty());
      wire.silence();

      await().atMost(Duration.ofMinutes(2)).until(() -> central.query(UNTAKEN_ANSWERS).isEmpty());
    }
  }

  @Test
  void theHubStopsSoonWhileAClientIsDown() {
    try (Postgres server = new Postgres(Map.of())) {
      startAndAwaitBoth(ofItsOwn(server));
      server.stop();
      assertThatTheShopIsServed();

      long start = System.nanoTime();
      caravan.stop();

      assertThat(TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start)).isLessThan(10);
    }
  }

  @Test
  void theHubStopsSoonWhileAClientHangs() throws SQLException {
    caravan.set("caravan.lockTimeout", "0").set("caravan.socketTimeout", "0");
    Database blog = caravan.database("blog");
    startAndAwaitBoth(blog);
    try (Connection user = blog.dataSource().getConnection();
        Statement statement = user.createStatement()) {
      user.setAutoCommit(false);
      statement.execute("select from members for update");
      assertThatTheShopIsServed();

      long start = System.nanoTime();
      caravan.stop();

      assertThat(TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start)).isLessThan(10);
    }
  }

  private Database ofItsOwn(Postgres server) {
    Database blog = server.createDatabase("blog");
    blog.makeTables();
    blog.execute(MEMBERS);
    caravan.set("blog.url", blog.url());
    return blog;
  }

  private void startAndAwaitBoth(Database blog) {
    caravan.start();
    awaitInStep(blog);
    awaitInStep(caravan.database("shop"));
  }

  /** Changes every user, again and again, and sees it in the shop each time. */
  private void assertThatTheShopIsServed() {
    for (int i = 0; i < 5; i++) {
      round++;
      caravan.central().execute("update users set name = 'round " + round + "'");
      await()
          .atMost(AT_ONCE)
          .pollInterval(Duration.ofMillis(10))
          .untilAsserted(() -> assertInStep(caravan.database("shop")));
    }
  }

  private void awaitInStep(Database client) {
    await().atMost(Duration.ofMinutes(1)).untilAsserted(() -> assertInStep(client));
  }

  private void assertInStep(Database client) {
    assertThat(client.query("table members order by id"))
        .isEqualTo(caravan.central().query("table users order by id"));
  }

  private Map<String, Object> state(String client) {
    return clients().status(client);
  }

  private Clients clients() {
    return caravan
        .hub()
        .getCamelContext()
        .getRegistry()
        .lookupByNameAndType("clients", Clients.class);
  }

  private static int connections(Database database) {
    return Integer.parseInt(
        database.value(
            "select count(*) from pg_stat_activity where datname = current_database()"
                + " and application_name = 'PostgreSQL JDBC Driver' and pid <> pg_backend_pid()"));
  }
}
