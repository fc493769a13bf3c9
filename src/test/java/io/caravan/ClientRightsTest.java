package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the hub's role may do at a client, and what others may not do to it. */
@Tag("slow")
class ClientRightsTest {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String MEMBERS = "create table members (id int primary key, name text)";
  private static final String USERS =
      """
      create table users (id int primary key, name text);
      select caravan.track('users', '{name}');
      insert into users values (1, 'Ada'), (2, 'Bob'), (3, 'Cy');
      """;

  /**
   * Makes a role with no more rights than the README names, and has the hub connect as it.
   *
   * @return its name
   */
  static String hubRole(Caravan caravan, String client, String... tables) {
    Database database = caravan.database(client);
    String role = client + "_hub_of_" + database.name();
    database.execute("create role " + role + " login");
    database.makeTablesFor(role);
    for (String table : tables) {
      database.execute("grant select, insert, update, delete on " + table + " to " + role);
    }
    caravan.set(client + ".url", urlOf(database, role)).set(client + ".user", role);
    return role;
  }

  private static String urlOf(Database database, String role) {
    return database.url().replace("user=postgres", "user=" + role);
  }

  @Nested
  class AHubOfAnotherTeamInTheSameDatabase extends WithBlog {

    /** It tries, and what matters is what the first one does afterwards. */
    @ParameterizedTest
    @ValueSource(
        strings = {
          "update caravan.replicated set target = 0",
          "update caravan.cursor set cursor = cursor || jsonb_build_object('sweep', jsonb_build_object('source', '*theft*'))",
          "create or replace function caravan.equality(oid) returns text language sql as $$ *theft*; select '=' $$",
          "create function caravan.theft() returns trigger language plpgsql as $$ begin *theft*; return new; end $$;"
              + " create trigger theft before insert or update on caravan.cursor for each row execute function caravan.theft()"
        })
    void makesNoCodeThatTheFirstOneRuns(String attack) throws SQLException {
      central.execute(USERS);
      caravan.client("blog", MEMBERS, MAPPING);
      String role = hubRole(caravan, "blog", "members");
      String other = "other_" + role;
      blog()
          .execute(
              """
              create table secret (word text);
              insert into secret values ('sesame');
              grant select on secret to %1$s;
              create table loot (word text);
              grant all on loot to public;
              create role %2$s login;
              """
                  .formatted(role, other));
      blog().makeTablesFor(other);
      caravan.start();
      awaitSame();

      tryAs(
          other,
          attack.replace("*theft*", "insert into public.loot select word from public.secret"));
      for (String change :
          List.of(
              "update users set name = upper(name)",
              "delete from users where id = 1",
              "truncate users; insert into users values (9, 'Ida')")) {
        central.execute(change);
        awaitLong()
            .until(
                () ->
                    !blog().query("table loot").isEmpty()
                        || blog()
                            .query("table members order by id")
                            .equals(central.query("table users order by id")));
      }

      assertThat(blog().query("table loot")).isEmpty();
      awaitSame();
    }

    private void awaitSame() {
      awaitEqual("table users order by id", "table members order by id");
    }

    private void tryAs(String role, String sql) throws SQLException {
      try (Connection connection = DriverManager.getConnection(urlOf(blog(), role));
          Statement statement = connection.createStatement()) {
        statement.execute(sql);
      } catch (SQLException e) {
        // It may not, or there is no such thing: what matters is what the hub does afterwards.
        assertThat(e.getSQLState()).startsWith("42");
      }
    }
  }

  @Nested
  class TheHubsRole extends WithBlog {

    @BeforeEach
    void users() {
      central.execute(USERS);
    }

    @ParameterizedTest
    @ValueSource(strings = {"shared", "central"})
    void needsNoMoreThanTheMappedTables(String rows) {
      caravan.client(
          "blog",
          MEMBERS,
          MAPPING.replace("\"columns\"", "\"rows\": \"" + rows + "\", \"columns\""));
      hubRole(caravan, "blog", "members");
      caravan.start();
      awaitSame("users", "members");

      central.execute("update users set name = upper(name); delete from users where id = 2");
      awaitSame("users", "members");
      assertThat(reconcile()).isEqualTo("done: 0 missing, 0 stale, 0 surplus");
      central.execute("truncate users; insert into users values (9, 'Ida')");
      awaitSame("users", "members");
    }

    private void awaitSame(String source, String table) {
      awaitEqual("table " + source + " order by id", "table " + table + " order by id");
    }
  }

  /** Row security that hides a row would let a deletion seem done. */
  @Nested
  class RowSecurityThatHidesRows extends WithBlog {

    @ParameterizedTest
    @CsvSource({
      "shared, delete from users where id = 2",
      "central, delete from users where id = 2",
      "shared, truncate users",
      "central, truncate users"
    })
    void stopsTheClientRatherThanLeaveADeletedRow(String rows, String deletion) {
      given(rows);

      central.execute(deletion);

      awaitPaused("row-level security");
      assertThat(blog().value("select count(*) from members where id = 2")).isEqualTo("1");
      blog().execute("alter table members disable row level security");
      awaitEqual("table users order by id", "table members order by id");
    }

    @Test
    void isNotTakenForEquality() {
      given("shared");
      blog().execute("update members set name = 'wrong' where id = 2");
      awaitLong().until(() -> !central.query("table caravan.verification").isEmpty());

      String run = central.value("select caravan.reconcile('blog')");
      awaitPaused("row-level security");

      assertThat(central.value("select state from caravan.reconciliation where id = " + run))
          .isNotEqualTo("done");
    }

    private void given(String rows) {
      central.execute(USERS);
      caravan.client(
          "blog",
          MEMBERS,
          MAPPING.replace("\"columns\"", "\"rows\": \"" + rows + "\", \"columns\""));
      hubRole(caravan, "blog", "members");
      caravan.start();
      awaitEqual("table users order by id", "table members order by id");
      awaitLive();
      blog()
          .execute(
              """
              alter table members enable row level security;
              create policy hidden on members using (id <> 2);
              """);
    }
  }
}
