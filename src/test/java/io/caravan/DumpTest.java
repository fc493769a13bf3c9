package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.caravan.Postgres.Database;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A central that is moved to another server, with its tracking, by PostgreSQL's own tools. */
@Tag("slow")
class DumpTest {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String USERS = "select id, name from users order by id";
  private static final String MEMBERS = "select id, name from members order by id";

  private final Postgres old = Postgres.older();
  private final Caravan caravan = new Caravan(old);
  private final Database central = caravan.central();

  @BeforeEach
  void usersAndMembers() {
    central.execute(
        """
        create table users (id int primary key, name text);
        create table "Odd names" ("a ""key" text, at timestamptz, primary key ("a ""key", at));
        select caravan.track('users', '{name}');
        select caravan.track('"Odd names"', '{}', payload => 'row');
        insert into users select i, 'user ' || i from generate_series(1, 500) as i;
        """);
    caravan.client("blog", "create table members (id int primary key, name text)", MAPPING).start();
    caravan.awaitEqual(USERS, "blog", MEMBERS);
    central.execute("update users set name = 'the blog has it not yet' where id = 1");
    caravan.stop();
    central.execute("delete from users where id = 2");
  }

  @AfterEach
  void stop() {
    caravan.close();
    old.close();
  }

  @Test
  void trackingSurvivesADumpThatIsRestoredOnANewerServer(@TempDir Path folder) throws Exception {
    PgTools tools = tools("pg_restore");
    Path dump = folder.resolve("central.dump");
    Files.createFile(dump);
    tools.run(folder, "pg_dump", "-Fc", "-f", dump.toString(), "-d", uri(central));
    central.execute("insert into users values (1000, 'after the dump')");
    Database restored = Postgres.shared().createDatabase("restored");
    restored.execute(Files.readString(Path.of("sql/central/roles.sql")));
    tools.run(folder, "pg_restore", "--exit-on-error", "-d", uri(restored), dump.toString());

    goesOn(restored);
  }

  @Test
  void trackingSurvivesPgUpgrade() {
    PgTools tools = tools("pg_upgrade");
    old.stop();
    try (Postgres upgraded = old.upgraded(tools)) {
      goesOn(central.on(upgraded));
    } finally {
      old.start();
    }
  }

  /** Of the version of the server, or newer. */
  private static PgTools tools(String needed) {
    Optional<PgTools> found = PgTools.with(needed);
    assumeThat(found).hasValueSatisfying(tools -> assertThat(tools.version()).isEqualTo(15));
    return found.get();
  }

  /** Changes are captured before and after the hub is started, which notices another history. */
  private void goesOn(Database moved) {
    assertThat(moved.query("table caravan.problems")).isEmpty();
    moved.execute(
        "update users set name = 'changed after the move' where id = 3; delete from users where id = 4");
    String epoch = moved.value("select epoch from caravan_internal.history");

    caravan.set("central.url", moved.url()).start();

    awaitEqual(moved);
    assertThat(moved.value("select epoch from caravan_internal.history")).isNotEqualTo(epoch);
    moved.execute("insert into users values (2000, 'later'); delete from users where id = 5");
    awaitEqual(moved);
    assertThat(moved.query("select from caravan.dead_letters")).isEmpty();
    assertThat(
            moved.query(
                "select tgenabled::text from pg_trigger where tgname ~ '^caravan_' group by 1"))
        .containsExactly(List.of("A"));
  }

  private void awaitEqual(Database moved) {
    WithBlog.awaitLong()
        .untilAsserted(
            () ->
                assertThat(caravan.database("blog").query(MEMBERS)).isEqualTo(moved.query(USERS)));
  }

  private static String uri(Database database) {
    return "postgresql://postgres@localhost:%d/%s".formatted(database.port(), database.name());
  }
}
