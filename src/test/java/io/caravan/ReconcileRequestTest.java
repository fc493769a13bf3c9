package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Postgres.Database;
import java.sql.SQLException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What may be compared, and when. */
class ReconcileRequestTest {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String EQUAL_AS_OF = "select equal_as_of from caravan.verified";

  private final Database central = Postgres.shared().createCentral();
  private final Database blog = Postgres.shared().createDatabase("blog");
  private ByHand hub;

  @BeforeEach
  void users() throws SQLException {
    blog.makeTables();
    central.execute(
        """
        create table users (id bigint primary key, name text);
        insert into users select i, 'user ' || i from generate_series(1, 100) as i;
        create table events (at timestamptz, n int, primary key (at, n));
        select caravan.track('users', '{name}'), caravan.track('events', '{}');
        """);
    blog.execute("create table members (id bigint primary key, name text)");
    hub = new ByHand(central, blog, "blog", MAPPING);
    hub.pump();
    hub.finish();
  }

  @AfterEach
  void stop() throws SQLException {
    hub.close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          public.users  | 1            | e.g. [1]
          public.users  | ["1"]        | e.g. [1]
          public.users  | [1, 2]       | in the change log.
          public.users  | []           | (id)
          public.users  | {"id": 1}    | (id)
          public.users  | [null]       | (id)
          public.users  | ["x"]        | (id)
          public.events | ["2024-01-01 01:00+01", 1] | e.g. ["2024-01-01T00:00:00+00:00", 1]
          """)
  void aKeyThatIsNotAsInTheLogIsRefusedWithAHint(String source, String key, String hint) {
    assertThatThrownBy(
            () ->
                central.query(
                    "select caravan.reconcile('blog', '%s', '%s')".formatted(source, key)))
        .hasMessageContaining("is no key of " + source)
        .hasMessageContaining("Hint: ")
        .hasMessageContaining(hint);
    assertThat(central.query("select from caravan.reconciliation")).isEmpty();
  }

  @Test
  void aKeyOfASourceThatIsNotTrackedIsRefused() {
    assertThatThrownBy(() -> central.query("select caravan.reconcile('new', 'users', '[1]')"))
        .hasMessageContaining("'users' is not tracked")
        .hasMessageContaining("public.users");
  }

  @Test
  void aKeyAsInTheLogIsCompared() throws SQLException {
    blog.execute("update members set name = 'x' where id = 3");

    assertThat(hub.reconcile(", 'public.users', '[3]'"))
        .isEqualTo(
            "done: 0 compared, 0 missing, 1 stale, 0 surplus, 0 local, 1 repaired, 0 skipped");
  }

  /** Keys of rows that only the client has are found in the log's form, wherever the hub is. */
  @Test
  void theTimeZoneOfTheHubDoesNotMatter() throws SQLException {
    blog.execute("create table events (at timestamptz, n int, primary key (at, n))");
    String mapping =
        """
        [{"source": "public.events", "table": "public.events", "key": {"at": "at", "n": "n"}, "columns": {}}]
        """;
    try (ByHand other = new ByHand(central, blog, "other", mapping)) {
      central.execute("insert into events values ('2024-01-01 00:00+00', 1)");
      other.set("timezone", "Asia/Kathmandu");
      other.pump();
      central.execute("alter table events disable trigger all; delete from events");

      assertThat(other.reconcile())
          .isEqualTo(
              "done: 0 compared, 0 missing, 0 stale, 1 surplus, 0 local, 1 repaired, 0 skipped");
    }
  }

  /** As when a copy that was made aside takes the place of a table. */
  @Test
  void aClientIsNotShownToBeEqualToATableThatTookTheNameOfTheTrackedOne() throws SQLException {
    hub.reconcile();
    String before = central.value(EQUAL_AS_OF);
    assertThat(before).isNotNull();
    central.execute(
        """
        create table users_new (like users including all);
        alter table users rename to users_old;
        alter table users_new rename to users;
        """);

    assertThat(hub.reconcile())
        .startsWith("stopped: ")
        .endsWith(
            "public.users is another table now than the tracked one, which is called"
                + " public.users_old: track it");
    assertThat(central.value(EQUAL_AS_OF)).isEqualTo(before);
  }

  @Test
  void norIfThatHappensWhileItIsCompared() throws SQLException {
    central.value("select caravan.reconcile('blog')");
    AtomicBoolean renamed = new AtomicBoolean();
    hub.runs()
        .ofClient(
            (what, ask) -> {
              if (what.equals("digest") && !renamed.getAndSet(true)) {
                central.execute(
                    "alter table users rename to users_old; create table users (id int)");
              }
              return ask.call();
            });

    hub.finish();

    assertThat(central.value("select state from caravan.reconciliation")).isEqualTo("done");
    assertThat(central.value(EQUAL_AS_OF)).isNull();
  }

  @Test
  void aTableThatWasOnlyRenamedIsCompared() throws SQLException {
    central.execute("alter table users rename to people");

    assertThat(hub.reconcile()).startsWith("done: 100 compared");
    assertThat(central.value(EQUAL_AS_OF)).isNotNull();
  }

  @Test
  void theFirstVerificationComesSoonAfterTheInitialLoad() throws SQLException {
    blog.execute("delete from caravan.cursor; delete from members");
    hub.runs().verify(1);
    hub.finish();
    assertThat(last()).isEqualTo("stopped {\"the client is not loaded yet\"}");
    central.execute("update caravan.reconciliation set worked = '10 minutes'");
    hub.finish();
    assertThat(last()).as("not again and again").startsWith("stopped");
    hub.pump();

    central.execute("update caravan.reconciliation set ended_at = ended_at - interval '5 s'");
    hub.finish();

    assertThat(last()).isEqualTo("done {}");
    assertThat(central.value(EQUAL_AS_OF)).isNotNull();
    assertThat(central.value("select count(*) from caravan.reconciliation")).isEqualTo("1");
  }

  /** Each time it notes what it suspects, and then cannot look at that. */
  @Test
  void aRunThatFailsAgainAndAgainWhereItDoesNotGetOnEnds() throws SQLException {
    blog.execute("update members set name = 'x' where id = 3");
    central.value("select caravan.reconcile('blog')");
    hub.runs()
        .ofClient(
            (what, ask) -> {
              if (what.equals("check")) {
                throw new SQLException("not here");
              }
              return ask.call();
            });

    for (int i = 0; i < 5; i++) {
      assertThatThrownBy(hub::finish).hasMessageContaining("not here");
      central.execute(
          "select caravan_internal.run_failed(max(id), 'by hand', 'not here') from caravan.reconciliation");
    }

    assertThat(last()).isEqualTo("failed {\"not here\"}");
  }

  /** It takes longer than a comparison of some 100,000 rows. The servers of the tests have none. */
  @Test
  void nothingIsCompiledToJudgeAComparison() {
    String settings = "select proconfig from pg_proc where oid = 'caravan_internal.%s'::regproc";
    assertThat(central.value(settings.formatted("keep_verdicts"))).contains("jit=off");
    assertThat(central.value(settings.formatted("changed_since_check"))).contains("jit=off");
  }

  /** Else its rows would be deleted while those of its child are there, and the client refuses. */
  @ParameterizedTest
  @ValueSource(strings = {"null", "now()"})
  void aParentInDoubtIsNotComparedWhileItsChildHasToRest(String scheduledAt) {
    central.execute(
        """
        select caravan_internal.doubt('blog', '[
          {"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {}},
          {"source": "public.events", "table": "public.visits", "key": {"at": "at", "n": "n"}, "columns": {}}
        ]', '{public.users, public.events}', 'epoch');
        insert into caravan.reconciliation (client, source, target, reason, state, started_at, ended_at, notes)
        select client, source, target, 'epoch', 'stopped', clock_timestamp(), clock_timestamp(), '{the client is being loaded again}'
        from caravan.verification
        where source = 'public.events';
        """);

    assertThat(
            central.query(
                "select source, reason from caravan_internal.due_run('blog', %s, 1) where id is not null"
                    .formatted(scheduledAt)))
        .isEmpty();
  }

  private String last() {
    return central.value("select concat(state, ' ', notes) from caravan.reconciliations limit 1");
  }
}
