package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Postgres.Database;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.postgresql.util.PSQLWarning;

/** Who may install Caravan, and which rights it then has. */
@Tag("slow")
class InstallTest {
  private static final Path FOLDER = Path.of("sql/central");
  private static final Path VERSION_2 = Path.of("src/test/resources/older/version-2.sql");
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;

  private final Postgres server = new Postgres(Map.of());
  private final Database central = server.createDatabase("central");

  @BeforeEach
  void roles() {
    central.execute(
        """
        create role caravan nologin;
        create role app nologin;
        create role writer nologin;
        create role hub login;
        grant create on database %s to caravan;
        set role app;
        """
            .formatted(central.name()));
    central.execute("grant create on schema public to app");
    central.execute(
        "set role app; create table users (id int primary key, name text); grant all on users to writer");
  }

  @AfterEach
  void stop() {
    server.close();
  }

  @Test
  void aSuperuserTracksTablesForASchemaWhoseOwnerHasNoRights() throws Exception {
    central.execute(
        "create role caravan_hub; create role caravan_operator; grant caravan_hub, caravan_operator to hub");
    installAs("caravan");

    central.execute("select caravan.track('users', '{name}')");
    central.execute("set role writer; insert into users values (1, 'Ada'), (2, 'Bob')");
    central.execute("set role writer; update users set name = 'Rob' where id = 2");

    assertThat(owners()).containsExactly(List.of("caravan"));
    assertThat(central.query("select rolsuper from pg_roles where rolname = 'caravan'"))
        .containsExactly(List.of("f"));
    Database client = server.createDatabase("client");
    client.execute("create table members (id int primary key, name text)");
    client.execute("grant all on members to hub");
    client.makeTablesFor("hub");
    try (ByHand hub = new ByHand(central, client, "client", MAPPING)) {
      hub.set("role", "hub");
      hub.pump();
      hub.central("select caravan_internal.compact()");
      assertThat(hub.reconcile()).startsWith("done: 2 compared, 0 missing, 0 stale");
    }
    central.execute("set role writer; delete from users where id = 1");
    assertThat(central.query("select key from caravan.change order by id"))
        .containsExactly(List.of("[1]"), List.of("[2]"), List.of("[2]"), List.of("[1]"));
  }

  @Test
  void whoOwnsTheTableAndIsAMemberOfTheSchemasOwnerTracksIt() {
    installAs("caravan");
    central.execute("grant caravan to app");

    central.execute("set role app; select caravan.track('users', '{name}')");
    central.execute("set role writer; insert into users values (1, 'Ada')");
    central.execute("set role app; select caravan.track('users', '{}', payload => 'row')");
    central.execute("set role writer; delete from users");

    assertThat(central.query("select key from caravan.change"))
        .containsExactly(List.of("[1]"), List.of("[1]"));
    assertThat(owners()).containsExactly(List.of("caravan"));
    central.execute("set role app; select caravan.untrack('users')");
    assertThat(central.query("select from caravan.source")).isEmpty();
  }

  @Test
  void aSchemaThatItsOwnerMayNotReadIsRefusedWithWhatIsMissing() {
    installAs("caravan");
    central.execute(
        """
        create schema private;
        grant usage on schema private to app;
        create table private.users (id int primary key);
        alter table private.users owner to app;
        grant caravan to app;
        """);

    assertThatThrownBy(
            () -> central.execute("set role app; select caravan.track('private.users', '{}')"))
        .hasMessageContaining("caravan cannot read private.users")
        .hasMessageContaining("grant usage on schema private to caravan");
  }

  @Test
  void aTableWhoseRowSecurityWouldHideRowsIsRefused() {
    installAs("caravan");
    central.execute("alter table users enable row level security");

    assertThatThrownBy(() -> central.execute("select caravan.track('users', '{name}')"))
        .hasMessageContaining("row security would hide rows of public.users from caravan")
        .hasMessageContaining("alter role caravan bypassrls");
  }

  @Test
  void withoutTheRightToMakeRolesItSaysWhatAnAdministratorDoes() throws Exception {
    StringBuilder warnings = new StringBuilder();
    try (Connection connection = central.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("set role caravan");
      statement.execute(Files.readString(FOLDER.resolve("roles.sql")));
      for (var w = statement.getWarnings(); w != null; w = w.getNextWarning()) {
        warnings.append(((PSQLWarning) w).getServerErrorMessage().getHint()).append('\n');
      }
    }
    installAs("caravan");
    for (String role : List.of("caravan_hub", "caravan_operator")) {
      assertThat(warnings.toString()).contains("create role " + role + " nologin");
      central.execute("create role " + role + " nologin");
    }

    installAs("caravan");

    assertThat(central.value("select has_schema_privilege('caravan_hub', 'caravan', 'usage')"))
        .isEqualTo("t");
  }

  @Test
  void whatAnOlderCaravanHasTrackedIsMadeAgain() {
    installAs("caravan");
    central.execute(
        """
        select caravan.track('users', '{name}');
        create function caravan.key_1(t public.users) returns jsonb return jsonb_build_array(t.id);
        create function caravan.log_insert_1() returns trigger language plpgsql as
          'begin insert into caravan.change (source, key) values (1, caravan.key_1(new)); return null; end';
        create or replace trigger caravan_insert after insert on users for each row
          execute function caravan.log_insert_1();
        update caravan.source set made_by = null, attnums = null;
        """);

    installAs("postgres");
    central.execute("set role writer; insert into users values (1, 'Ada')");

    assertThat(central.query("select key from caravan.change")).containsExactly(List.of("[1]"));
    assertThat(central.query("select from pg_proc where proname = 'key_1'")).isEmpty();
    assertThat(central.query("select * from caravan.problems")).isEmpty();
  }

  @Test
  void aSourceThatWhoUpgradesMayNotMakeAgainIsCapturedAndReadAllTheSame() throws Exception {
    central.execute("set role caravan;" + Files.readString(VERSION_2));
    central.execute("select caravan.track('users', '{name}')");

    installAs("caravan");
    central.execute(
        "set role writer; insert into users values (1, 'Ada'); update users set id = 2; delete from users; insert into users values (3, 'Bob')");

    assertThat(central.query("select key from caravan.change order by id"))
        .containsExactly(
            List.of("[1]"), List.of("[1]"), List.of("[2]"), List.of("[2]"), List.of("[3]"));
    assertThat(central.value("select v2 from caravan_internal.found_1('[3]')")).isEqualTo("Bob");
    assertThat(central.query("table caravan.problems")).isEmpty();
    installAs("postgres");
    central.execute("set role writer; truncate users");

    assertThat(central.value("select count(*) from caravan.change where key is null"))
        .isEqualTo("1");
    assertThat(
            central.query(
                "select from pg_proc where pronamespace = 'caravan'::regnamespace and proname ~ '^log_|ring|nothing'"))
        .isEmpty();
  }

  @Test
  void whoDropsTheSchemaByHandBreaksNoWriteAndMayInstallAgain() {
    installAs("postgres");
    central.execute(
        "select caravan.track('users', '{name}'); drop schema caravan cascade; insert into users values (1, 'Ada'); truncate users");

    installAs("postgres");
    central.execute("select caravan.track('users', '{name}'); insert into users values (2, 'Bob')");

    assertThat(central.query("select key from caravan.change")).containsExactly(List.of("[2]"));
  }

  @Test
  void anOwnerThatMayNotMakeASchemaIsToldWhatItNeeds() throws Exception {
    central.execute("set role caravan;" + Files.readString(VERSION_2));
    String create = "create on database " + central.name();
    central.execute("revoke " + create + " from caravan");

    assertThatThrownBy(() -> installAs("caravan"))
        .hasMessageContaining("caravan may not make the schema caravan_internal")
        .hasMessageContaining("grant " + create + " to caravan");
    installAs("postgres");

    assertThat(owners()).containsExactly(List.of("caravan"));
  }

  @Test
  void theOperatorSeesWhatIsForPeople() {
    central.execute("create role caravan_hub; create role caravan_operator");
    installAs("caravan");
    String operator = "set role caravan_operator; ";

    central.execute(
        operator
            + "table caravan.source; table caravan.change; table caravan.dead_letters; table caravan.reconciliations; table caravan.verified; table caravan.problems");

    assertThatThrownBy(() -> central.execute(operator + "table caravan_internal.suspect"))
        .hasMessageContaining("permission denied for schema caravan_internal");
  }

  private List<List<String>> owners() {
    return central.query(
        """
        select nspowner::regrole from pg_namespace where nspname ~ '^caravan'
        union
        select proowner::regrole from pg_proc join pg_namespace n on n.oid = pronamespace where nspname ~ '^caravan'
        union
        select relowner::regrole from pg_class join pg_namespace n on n.oid = relnamespace where nspname ~ '^caravan'
        """);
  }

  private void installAs(String role) {
    central.installAs(role, FOLDER);
  }
}
