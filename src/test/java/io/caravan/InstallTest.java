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
import org.junit.jupiter.api.Test;
import org.postgresql.util.PSQLWarning;

/** Who may install Caravan, and which rights it then has. */
class InstallTest {
  private static final Path FOLDER = Path.of("sql/central");
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
      hub.central("select caravan.clean()");
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

  private List<List<String>> owners() {
    return central.query(
        """
        select proowner::regrole from pg_proc where pronamespace = 'caravan'::regnamespace
        union
        select relowner::regrole from pg_class where relnamespace = 'caravan'::regnamespace
        """);
  }

  private void installAs(String role) {
    central.installAs(role, FOLDER);
  }
}
