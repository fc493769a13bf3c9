package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.install.Installation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A hub works with a central of its own version, and with no other. */
@Tag("slow")
class VersionTest extends WithBlog {
  private static final Path SQL = Path.of("sql/central");
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.users", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String USERS = "create table users (id int primary key, name text)";
  private static final String NEWER =
      "create or replace function caravan.version() returns int language sql return 1000";

  @BeforeEach
  void users() {
    central.execute(
        USERS + "; select caravan.track('users', '{name}'); insert into users values (1, 'Ada')");
  }

  @Test
  void theHubKnowsTheVersionOfItsSql() {
    assertThat(central.value("select caravan.version()")).isEqualTo("" + Installation.VERSION);
  }

  @Test
  void aHubSaysWhatToRunInAnOlderCentralAndGoesOnByItself() throws IOException {
    givenAnOlderCentral();
    startWith(USERS, MAPPING);

    awaitPaused("central is of an older release", "psql -f sql/central/install.sql");
    assertThat(blog().query("table users")).isEmpty();
    central.install(SQL);

    awaitSame("users");
  }

  @Test
  void aHubSaysWhatToRunWhereNothingIsInstalled() {
    central.execute("drop schema caravan cascade");
    startWith(USERS, MAPPING);

    awaitPaused("Caravan is not installed in central", "psql -f sql/central/install.sql");
  }

  @Test
  void aHubThatMayBringsAnOlderCentralUpToDate() throws IOException {
    givenAnOlderCentral();
    caravan.set("caravan.migrate", "true");
    startWith(USERS, MAPPING);

    awaitSame("users");

    assertThat(central.value("select caravan.version()")).isEqualTo("" + Installation.VERSION);
  }

  @Test
  void aHubThatMayInstallsCaravanWhereItIsNot() {
    central.execute("drop schema caravan cascade");
    caravan.set("caravan.migrate", "true");
    startWith(USERS, MAPPING);

    awaitPaused("central does not track the source public.users");
  }

  @Test
  void aHubThatRunsInAFolderWithoutSqlTakesThatOfItsJar() throws IOException {
    givenAnOlderCentral();
    caravan.set("caravan.migrate", "true").client("blog", USERS, MAPPING).startProcess();

    awaitSame("users");

    assertThat(central.value("select caravan.version()")).isEqualTo("" + Installation.VERSION);
  }

  @Test
  void aHubWhoseRoleMayNotBringCentralUpToDateSaysWhyAndOneThatMayBecomesTheOwner()
      throws IOException {
    String role = "hub_of_" + central.name();
    givenAnOlderCentral();
    central.execute(
        """
        create role %1$s login; grant caravan_hub to %1$s;
        create role owner_in_%2$s; grant create on database %2$s to owner_in_%2$s;
        alter table users owner to owner_in_%2$s;
        """
            .formatted(role, central.name()));
    ownedBy("owner_in_" + central.name());
    caravan
        .set("caravan.migrate", "true")
        .set("central.url", central.url().replace("user=postgres", "user=" + role))
        .set("central.user", role);
    startWith(USERS, MAPPING);
    awaitPaused("the schema caravan belongs to owner_in_" + central.name(), "grant owner_in_");

    central.execute("grant owner_in_%s to %s".formatted(central.name(), role));

    awaitSame("users");
    assertThat(
            central.query(
                "select distinct proowner::regrole from pg_proc where pronamespace = 'caravan'::regnamespace"))
        .containsExactly(List.of("owner_in_" + central.name()));
  }

  @Test
  void aHubLeavesACentralAloneThatIsBroughtToANewerVersionMeanwhile() {
    caravan.set("caravan.heartbeat", "200");
    startWith(USERS, MAPPING);
    awaitSame("users");

    central.execute(NEWER);
    awaitPaused("central is of a newer release");
    central.execute("insert into users values (2, 'Bob')");
    assertThat(blog().query("select id from users")).containsExactly(List.of("1"));

    central.execute("drop function caravan.version()");
    awaitPaused("central is of an older release");
    central.install(SQL);

    awaitSame("users");
  }

  @Test
  void sqlOfAnOlderVersionIsRefusedAndChangesNothing() {
    central.execute(NEWER);
    String before =
        central.value("select md5(string_agg(oid::text, ' ' order by oid)) from pg_proc");

    assertThatThrownBy(() -> central.install(SQL))
        .hasMessageContaining("central has version 1000 of Caravan's SQL, and this is the older");

    assertThat(central.value("select md5(string_agg(oid::text, ' ' order by oid)) from pg_proc"))
        .isEqualTo(before);
  }

  @Test
  void hubsBringItUpToDateAtTheSameTime() throws Exception {
    givenAnOlderCentral();
    ExecutorService hubs = Executors.newFixedThreadPool(4);
    try (Log log = new Log("caravan.central")) {
      List<Future<?>> all = new ArrayList<>();
      for (int hub = 0; hub < 4; hub++) {
        Installation installation = new Installation();
        installation.setCentral(central.dataSource());
        installation.setInstaller(central.dataSource());
        installation.setMigrate(true);
        all.add(
            hubs.submit(
                () -> {
                  installation.check();
                  return null;
                }));
      }
      for (Future<?> one : all) {
        one.get();
      }
      assertThat(log.lines())
          .containsExactly(
              "INFO central is of an older release: the hub has installed version "
                  + Installation.VERSION);
    } finally {
      hubs.shutdownNow();
    }
  }

  @Test
  void functionsMayReturnOtherThingsThanInAnOlderVersion() {
    central.execute(
        """
        drop view caravan.problems;
        drop function caravan_internal.find_problems;
        create function caravan_internal.find_problems() returns table (source text) language sql as 'select null';
        create view caravan.problems as select source as problem, source from caravan_internal.find_problems();
        create function caravan.of_before(text) returns text language sql return 'no longer needed';
        drop function caravan.version();
        """);

    central.install(SQL);

    assertThat(central.query("select source, problem, remedy from caravan.problems")).isEmpty();
    assertThat(central.query("select from pg_proc where proname = 'of_before'")).isEmpty();
  }

  @Test
  void whatOthersWereGrantedStaysGranted() {
    String role = "friend_in_" + central.name();
    central.execute(
        """
        create role %1$s;
        grant execute on function caravan.reconcile to %1$s;
        grant select on caravan.verified to %1$s;
        """
            .formatted(role));

    central.install(SQL);

    assertThat(
            central.query(
                """
                select has_function_privilege('%1$s', 'caravan.reconcile(text, text, jsonb, boolean)', 'execute'),
                  has_function_privilege('%1$s', 'caravan.confirm(bigint)', 'execute'),
                  has_table_privilege('%1$s', 'caravan.verified', 'select')
                """
                    .formatted(role)))
        .containsExactly(List.of("t", "f", "t"));
  }

  @Test
  void aMigrationIsMadeOnce() {
    String made = "select number, what, at from caravan_internal.migration order by number";
    List<List<String>> before = central.query(made);
    assertThat(before).isNotEmpty();

    central.install(SQL);

    assertThat(central.query(made)).isEqualTo(before);
  }

  private void givenAnOlderCentral() throws IOException {
    central.execute("drop schema caravan, caravan_internal cascade");
    central.execute(Files.readString(Path.of("src/test/resources/older/central.sql")));
    central.execute("select caravan.track('users', '{name}')");
  }

  private void ownedBy(String owner) {
    central.execute(
        """
        do $$
        declare
          statement text;
        begin
          for statement in
            select 'alter schema caravan owner to %1$s'
            union all
            select format('alter routine %%s owner to %1$s', oid::regprocedure)
            from pg_proc where pronamespace = 'caravan'::regnamespace
            union all
            select format('alter table %%s owner to %1$s', oid::regclass)
            from pg_class where relnamespace = 'caravan'::regnamespace and relkind in ('r', 'v')
          loop
            execute statement;
          end loop;
        end
        $$
        """
            .formatted(owner));
  }
}
