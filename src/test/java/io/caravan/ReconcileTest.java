package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import io.caravan.client.TargetNumber;
import io.micrometer.core.instrument.MeterRegistry;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What differs between central and a client is found and repaired. */
@Tag("slow")
class ReconcileTest {
  private static final String SHARED =
      """
      [{"source": "public.users", "table": "public.members", "key": {"user_id": "id"},
        "columns": {"nickname": "name", "mail": "email"}}]
      """;

  private final Caravan caravan = new Caravan();
  private final Database central = caravan.central();

  @BeforeEach
  void users() {
    central.execute(
        """
        create table users (id bigint primary key, name text, email text);
        insert into users
        select i, 'user ' || i, 'u' || i || '@example.org' from generate_series(1, 5000) as i;
        select caravan.track('users', '{name, email}');
        """);
    caravan.set("caravan.reconcile", "500").set("caravan.reconcile.percent", "0");
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void whatIsMissingStaleOrSurplusIsRepaired() {
    start(SHARED);
    blog().execute("delete from members where user_id % 1000 = 1");
    blog().execute("update members set nickname = nickname || ' ' where user_id % 1000 = 2");
    blog().execute("insert into members values (100001, 'surplus'), (100002, 'its own')");
    blog()
        .execute(
            "insert into caravan.replicated values (%d, '[100001]')"
                .formatted(TargetNumber.of("blog", "public.users", "public.members", 1)));

    reconcile();

    assertThat(last())
        .isEqualTo(
            "done: 5000 compared, 5 missing, 5 stale, 1 surplus, 1 local, 11 repaired, 0 skipped {}");
    assertThat(
            blog()
                .query(
                    "select user_id, nickname, mail from members where user_id <= 5000 order by 1"))
        .isEqualTo(central.query("select * from users order by 1"));
    assertThat(blog().query("select nickname from members where user_id > 5000"))
        .isEqualTo(List.of(List.of("its own")));
  }

  @Test
  void itIsDoneOnScheduleAndByOneOfTwoHubs() {
    given(SHARED);
    caravan.set("blog.reconcile", "0/2 * * * * ?");
    caravan.startProcess("-Xmx256m");
    caravan.startProcess("-Xmx256m");

    await()
        .atMost(Duration.ofMinutes(2))
        .until(
            () -> count("select count(*) from caravan.reconciliation where state = 'done'") >= 5);

    assertThat(
            central.query(
                """
                select reason, count(*) over (partition by floor(extract(epoch from started_at) / 2))
                from caravan.reconciliation
                where started_at < now() - interval '2 seconds'
                """))
        .allMatch(run -> run.equals(List.of("schedule", "1")));
    assertThat(count("select count(distinct hub) from caravan.reconciliation")).isPositive();
  }

  @Test
  void aRunSurvivesTheLossOfAConnection() throws Exception {
    start(SHARED);
    blog().execute("update members set mail = 'x' where user_id = 3");
    String run;
    try (Connection connection = blog().dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      connection.setAutoCommit(false);
      statement.execute("lock members in access exclusive mode");
      run = central.value("select caravan.reconcile('blog')");
      String waiting =
          "from pg_stat_activity where wait_event_type = 'Lock' and datname = '%s'"
              .formatted(blog().name());
      await().until(() -> count("select count(*) " + waiting) > 0);
      central.query("select pg_terminate_backend(pid) " + waiting);
    }

    awaitEnd(run);

    assertThat(last())
        .isEqualTo(
            "done: 5000 compared, 0 missing, 1 stale, 0 surplus, 0 local, 1 repaired, 0 skipped {}");
  }

  /** Another one would wait for two minutes, lest the first one is only slow. */
  @Test
  void aRunGoesOnWhenItsHubIsKilled() throws Exception {
    given(SHARED);
    HubProcess hub = caravan.startProcess("-Xmx256m");
    String filled = "select count(*) from caravan.cursor where cursor -> 'filled' ? 'public.users'";
    await()
        .atMost(Duration.ofMinutes(2))
        .ignoreExceptions() // the hub makes the table
        .until(() -> blog().value(filled).equals("1"));
    blog().execute("update members set mail = 'x' where user_id = 3");
    String run;
    try (Connection connection = blog().dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      connection.setAutoCommit(false);
      statement.execute("lock members in access exclusive mode");
      run = central.value("select caravan.reconcile('blog')");
      String underWay = "select count(*) from caravan.reconciliation where step > 1 and id = ";
      await().atMost(Duration.ofMinutes(1)).until(() -> count(underWay + run) == 1);

      hub.kill();
    }
    assertThat(last()).startsWith("running");
    central.execute("update caravan.reconciliation set alive_at = alive_at - interval '2 minutes'");
    caravan.startProcess("-Xmx256m");

    awaitEnd(run);

    assertThat(last())
        .isEqualTo(
            "done: 5000 compared, 0 missing, 1 stale, 0 surplus, 0 local, 1 repaired, 0 skipped {}");
    assertThat(blog().value("select mail from members where user_id = 3"))
        .isEqualTo("u3@example.org");
  }

  /** Central computes what the client is to hold for a comparison only, and there it waits. */
  @Test
  void aComparisonThatTakesLongDoesNotDelayThePump() throws Exception {
    String spelled = "create function spelled(text) returns text language sql as $$ %s $$";
    central.execute(spelled.formatted("select pg_advisory_xact_lock_shared(4711); select $1"));
    given(SHARED.replace("\"name\"", "\"spelled(name)\""));
    blog().execute(spelled.formatted("select $1"));
    caravan.start();
    caravan.awaitEqual(
        "select id, name from users order by id",
        "blog",
        "select user_id, nickname from members order by 1");
    try (Connection connection = central.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      connection.setAutoCommit(false);
      statement.execute("select pg_advisory_xact_lock(4711)");
      central.execute("select caravan.reconcile('blog')");
      await()
          .until(
              () ->
                  count(
                          "select count(*) from pg_stat_activity where wait_event = 'advisory' and query like '%key_hash%' and datname = current_database()")
                      == 1);

      central.execute("update users set name = 'meanwhile' where id = 3");

      caravan.awaitEqual(
          "select 'meanwhile'", "blog", "select nickname from members where user_id = 3");
      assertThat(last()).startsWith("running");
    }
  }

  @Test
  void eachClientHasATimeAsOfWhichItIsEqual() {
    caravan.set("caravan.reconcile.percent", "50");
    caravan.set("camel.metrics.enabled", "true");
    start(SHARED);
    String equalAsOf = "select equal_as_of from caravan.verified";
    await()
        .until(
            () -> {
              letAMinutePass(); // the first ones may have come before the client was loaded
              return central.value(equalAsOf) != null;
            });
    MeterRegistry metrics =
        caravan.hub().getCamelContext().getRegistry().findSingleByType(MeterRegistry.class);
    await()
        .until(
            () -> metrics.get("caravan.verified.age").tag("client", "blog").gauge().value() < 60);

    blog().execute("update members set mail = 'x' where user_id = 3");
    String isLater = "select equal_as_of > '%s' from caravan.verified";
    String spoiledAt = central.value("select now()");
    await()
        .until(
            () -> {
              letAMinutePass(); // one may have begun before
              return central.value(isLater.formatted(spoiledAt)).equals("t");
            });
    assertThat(blog().value("select mail from members where user_id = 3"))
        .isEqualTo("u3@example.org");

    blog().execute("alter table members add constraint picky check (mail <> 'new')");
    central.execute("update users set email = 'new' where id = 4");
    await().until(() -> count("select count(*) from caravan.dead_letters") == 1);
    String second = central.value(equalAsOf);
    long runs = newestRun();
    await()
        .until(
            () -> {
              letAMinutePass(); // one may still be running
              return newestRun() > runs && last().startsWith("done");
            });
    assertThat(central.value(equalAsOf)).isEqualTo(second);
  }

  /** The next comparison to verify is due a minute after the last one. */
  private void letAMinutePass() {
    central.execute(
        "update caravan.reconciliation set started_at = started_at - interval '1 hour', ended_at = ended_at - interval '1 hour' where ended_at is not null");
  }

  /** A hub with no other rights than it needs: none on the schemas of types. */
  @Test
  void keysAndColumnsOfTypesThatTheClientLacksAreComparedAndRepaired() {
    String role = "hub_of_" + central.name();
    central.execute(
        """
        create schema shop;
        create type shop.mood as enum ('sad', 'glad');
        create extension citext schema shop;
        create table days (mood shop.mood, at shop.citext, colour shop.mood, primary key (mood, at));
        insert into days values ('sad', 'Monday', 'glad'), ('glad', 'Sunday', 'sad');
        select caravan.track('days', '{colour}');
        create role %1$s login; grant caravan_hub to %1$s;
        """
            .formatted(role));
    caravan
        .client(
            "blog",
            "create table days (mood text, at text, colour text, primary key (mood, at))",
            """
            [{"source": "public.days", "table": "public.days", "key": {"mood": "mood", "at": "at"},
              "columns": {"colour": "colour"}}]
            """)
        .set("central.url", central.url().replace("user=postgres", "user=" + role))
        .set("central.user", role)
        .start();
    caravan.awaitEqual(
        "select * from days order by 1", "blog", "select * from days order by mood desc");
    await().until(() -> !central.query("table caravan.verification").isEmpty());
    blog()
        .execute(
            "update days set colour = 'x' where at = 'Monday'; delete from days where at = 'Sunday'");

    reconcile();

    assertThat(last())
        .isEqualTo(
            "done: 2 compared, 1 missing, 1 stale, 0 surplus, 0 local, 2 repaired, 0 skipped {}");
    assertThat(blog().query("select * from days order by mood desc"))
        .isEqualTo(central.query("select * from days order by 1"));
  }

  private long newestRun() {
    return count("select max(id) from caravan.reconciliation");
  }

  private long count(String query) {
    return Long.parseLong(central.value(query));
  }

  private void given(String mapping) {
    caravan.client(
        "blog",
        "create table members (user_id bigint primary key, nickname text, mail text, karma int default 1)",
        mapping);
  }

  private void start(String mapping) {
    given(mapping);
    caravan.start();
    caravan.awaitEqual(
        "select id, name, email from users order by id",
        "blog",
        "select user_id, nickname, mail from members order by user_id");
    await().until(() -> !central.query("table caravan.verification").isEmpty());
  }

  private Database blog() {
    return caravan.database("blog");
  }

  /** Asks for a comparison, and waits until it has ended. */
  private void reconcile() {
    awaitEnd(central.value("select caravan.reconcile('blog')"));
  }

  private void awaitEnd(String run) {
    await()
        .atMost(Duration.ofMinutes(1))
        .until(
            () ->
                !List.of("requested", "running")
                    .contains(
                        central.value(
                            "select state from caravan.reconciliation where id = " + run)));
  }

  private String last() {
    return central.value(
        """
        select format('%s: %s compared, %s missing, %s stale, %s surplus, %s local, %s repaired, %s skipped %s',
          state, compared, missing, stale, surplus, local, repaired, skipped, notes)
        from caravan.reconciliations
        limit 1
        """);
  }
}
