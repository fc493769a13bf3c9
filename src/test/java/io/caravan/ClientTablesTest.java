package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Postgres.Database;
import io.caravan.client.ClientPool;
import io.caravan.client.ClientTables;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The hub makes what it keeps at a client, or says what an owner has to do. */
@Tag("slow")
class ClientTablesTest extends WithBlog {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String OF_ITS_OWN =
      """
      insert into members values (50, 'of its own');
      create table written (id int);
      create function see() returns trigger language plpgsql security definer as
        $$ begin insert into public.written values (new.id); return null; end $$;
      create trigger see after insert or update on members for each row execute function see();
      """;
  private static final String FOUND =
      """
      select c.relname from pg_class c where c.relnamespace = 'caravan'::regnamespace and c.relkind <> 'i'
      union all
      select p.proname from pg_proc p where p.pronamespace = 'caravan'::regnamespace
      """;

  private final Database blog = Postgres.shared().createDatabase("blog");
  private String role;

  @BeforeEach
  void usersAndMembers() {
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users values (1, 'Ada'), (2, 'Bob'), (3, 'Cy');
        """);
    blog.execute("create table members (id int primary key, name text)");
    caravan.client(blog, "blog", MAPPING);
  }

  @Test
  void aClientNeedsNoInstallation() {
    caravan.start();

    awaitSame();

    assertOnlyOurs();
  }

  @Test
  void aRoleThatMayMakeASchemaNeedsNoOwner() {
    loginAsRole();
    blog.execute("grant create on database %s to %s".formatted(blog.name(), role));

    caravan.start();

    awaitSame();
  }

  @Test
  void anOwnerRunsTheStatementsThatTheHubNamesAndTheClientGoesOn() {
    loginAsRole();
    caravan.start();
    awaitPaused("create schema caravan");

    blog.execute(statementsForAnOwner());

    awaitSame();
    central.execute("delete from users where id = 1");
    awaitSame();
  }

  @Test
  void aSecondRoleInTheSameDatabaseNeedsRightsOnly() {
    blog.makeTablesFor("public");
    blog.execute("revoke all on caravan.replicated from public");
    loginAsRole();
    caravan.start();
    awaitPaused(
        "Have an owner run: grant select, insert, update, delete on caravan.replicated to " + role);

    blog.execute(statementsForAnOwner());

    awaitSame();
  }

  @Test
  void tablesThatAreDroppedAreMadeAgainAndTheClientIsFilledAgain() {
    caravan.start();
    awaitSame();

    blog.execute("drop schema caravan cascade; update members set name = 'lost'");

    awaitSame();
  }

  @Test
  void anOlderInstallationIsTakenOverWithoutBeingFilledAgain() throws IOException {
    givenAnOlderInstallation();

    caravan.start();

    awaitTakenOver();
    assertOnlyOurs();
  }

  @Test
  void anOlderInstallationOfAnotherOwnerIsTakenOverAfterTheStatementsThatTheHubNames()
      throws IOException {
    givenAnOlderInstallation();
    loginAsRole();
    blog.execute("grant caravan_hub to " + role);
    try (Log log = new Log("caravan.blog")) {
      caravan.start();
      awaitPaused("alter table caravan.owned rename to numbered");

      blog.execute(statementsForAnOwner());

      awaitTakenOver();
      assertThat(log.lines())
          .contains(
              "INFO no longer used, may be dropped by an owner: the functions in the schema caravan, caravan.numbered, caravan.target");
    }
  }

  @Test
  void anOlderHubFailsInsteadOfNotingKeysWhereNobodyLooks() throws Exception {
    givenAnOlderInstallation();

    assertFailsOnceOurTablesAreMade(
        "insert into caravan.owned values (1, ?::jsonb)", "\"caravan.owned\" does not exist");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void manyNotesAreMovedThoughItIsInterrupted(int hubs) throws Exception {
    givenAnOlderInstallation();
    blog.execute(
        """
        insert into caravan.owned select 1, jsonb_build_array(i) from generate_series(1000, 100000) as i;
        insert into caravan.owned values (77, '[1]');
        """);
    String before = blog.value("select count(*) from caravan.owned where target = 1");
    blog.execute(
        """
        create function stop() returns trigger language plpgsql as $$ begin raise 'stopped'; end $$;
        create trigger stop before delete on caravan.owned for each row when (old.key = '[90000]') execute function stop();
        """);
    assertThatThrownBy(() -> ensure(blog.url())).hasMessageContaining("stopped");
    blog.execute("drop trigger stop on caravan.numbered");

    atOnce(hubs);

    assertThat(blog.value("select count(*) from caravan.replicated")).isEqualTo(before);
    assertThat(blog.query("select to_regclass('caravan.numbered'), to_regclass('caravan.target')"))
        .isEqualTo(List.of(java.util.Arrays.asList(null, null)));
  }

  @Test
  void notesInJsonAreTakenOverWithoutBeingFilledAgain() {
    givenNotesInJson();

    caravan.start();

    awaitTakenOver();
    assertOnlyOurs();
  }

  @Test
  void notesInJsonOfAnotherOwnerAreTakenOverAfterTheStatementsThatTheHubNames() {
    givenNotesInJson();
    loginAsRole();
    blog.execute(
        "grant usage on schema caravan to %1$s; grant select, insert, update, delete on all tables in schema caravan to %1$s"
            .formatted(role));
    try (Log log = new Log("caravan.blog")) {
      caravan.start();
      awaitPaused("alter table caravan.replicated rename to json_notes");
      central.execute("select caravan.reconcile('blog')");

      blog.execute(statementsForAnOwner());

      awaitTakenOver();
      awaitLong()
          .until(
              () ->
                  central
                      .value("select state from caravan.reconciliation order by id desc limit 1")
                      .equals("done"));
      assertThat(log.lines())
          .contains(
              "INFO no longer used, may be dropped by an owner: the functions in the schema caravan, caravan.json_notes");
    }
  }

  @Test
  void aHubThatNotesKeysInJsonFailsInsteadOfNotingThemWhereNobodyLooks() throws Exception {
    givenNotesInJson();

    assertFailsOnceOurTablesAreMade(
        "insert into caravan.replicated (target, key) values (1, ?::jsonb)",
        "column \"key\" of relation \"replicated\" does not exist");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void notesInJsonGetTheFormInWhichTheyAreLookedUp(int hubs) throws Exception {
    givenNotesInJson();
    blog.execute(
        """
        insert into caravan.replicated values (7, '[1.50, "1.50"]'), (7, '["NaN", null]'), (7, '[100]'), (7, '[0.0]'), (7, '[true, " \\""]');
        insert into caravan.replicated select 8, jsonb_build_array(i) from generate_series(1000, 100000) as i;
        """);

    atOnce(hubs);

    assertThat(
            blog.query(
                "select canonical_key, coalesce(spelled, 'so') from caravan.replicated where target = 7"))
        .containsExactlyInAnyOrder(
            List.of("[1.5, \"1.50\"]", "[1.50, \"1.50\"]"),
            List.of("[\"NaN\", null]", "so"),
            List.of("[100]", "so"),
            List.of("[0]", "[0.0]"),
            List.of("[true, \" \\\"\"]", "so"));
    assertThat(blog.value("select count(*) from caravan.replicated where target = 8"))
        .isEqualTo("99001");
    assertThat(blog.value("select to_regclass('caravan.json_notes')")).isNull();
  }

  @Test
  void hubsMakeThemAtTheSameTime() throws Exception {
    atOnce(8);

    assertOnlyOurs();
  }

  @Test
  void whatElseIsInTheSearchPathIsNotUsed() throws Exception {
    loginAsRole();
    blog.execute(
        """
        grant create on database %1$s to %2$s;
        create schema decoy;
        grant usage on schema decoy to public;
        create domain decoy.jsonb as text;
        create domain decoy.text as varchar(3);
        create function decoy.now() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$;
        create function decoy.quote_ident(name) returns decoy.text language sql as $$ select 'public' $$;
        alter role %2$s set search_path = decoy, public, pg_catalog;
        """
            .formatted(blog.name(), role));

    ensure(urlOf(role));

    assertThat(
            blog.query(
                "select distinct atttypid::regtype from pg_attribute where attrelid in ('caravan.cursor'::regclass, 'caravan.replicated'::regclass) and attnum > 0"))
        .extracting(row -> row.get(0))
        .containsExactlyInAnyOrder("text", "bigint", "jsonb", "timestamp with time zone");
  }

  private void assertOnlyOurs() {
    assertThat(blog.query(FOUND))
        .containsExactlyInAnyOrder(List.of("cursor"), List.of("replicated"));
  }

  /** As an older hub notes a key, with a statement that it has prepared. */
  private void assertFailsOnceOurTablesAreMade(String insert, String why) throws Exception {
    try (Connection connection = blog.dataSource().getConnection();
        PreparedStatement note = connection.prepareStatement(insert)) {
      for (int n = 100; n < 110; n++) {
        note.setString(1, "[" + n + "]");
        note.execute();
      }

      ensure(blog.url());

      assertThatThrownBy(note::execute).hasMessageContaining(why);
    }
  }

  private void loadAndStop() {
    caravan.start();
    awaitSame();
    awaitLong()
        .until(
            () ->
                blog.value("select cursor ? 'fill' or cursor is null from caravan.cursor")
                    .equals("f"));
    caravan.stop();
  }

  /** Loaded by an older hub; nothing that is written to it now can come from an initial load. */
  private void givenAnOlderInstallation() throws IOException {
    loadAndStop();
    blog.execute(
        """
        alter schema caravan rename to now;
        """
            + Files.readString(Path.of("src/test/resources/older/client.sql"))
            + """
            insert into caravan.cursor select client, step, cursor, applied_at from now.cursor;
            insert into caravan.target (client, source, relation) values ('blog', 'public.users', 'public.members');
            insert into caravan.owned select t.id, r.canonical_key::jsonb from now.replicated r, caravan.target t;
            drop schema now cascade;
            """
            + OF_ITS_OWN);
  }

  /** Loaded by a hub that noted keys as {@code jsonb}. */
  private void givenNotesInJson() {
    loadAndStop();
    blog.execute(
        """
        alter table caravan.replicated rename to now;
        create table caravan.replicated (target bigint, key jsonb, primary key (key, target));
        insert into caravan.replicated select target, canonical_key::jsonb from caravan.now;
        drop table caravan.now;
        """
            + OF_ITS_OWN);
  }

  /** What was noted is deleted, what is new comes, and nothing else is written. */
  private void awaitTakenOver() {
    central.execute("insert into users values (4, 'Dan'); delete from users where id = 2");
    awaitEqual(
        "select * from users union all select 50, 'of its own' order by id",
        "table members order by id");
    assertThat(blog.query("table written")).containsExactly(List.of("4"));
    assertThat(blog.query("select canonical_key from caravan.replicated order by 1"))
        .isEqualTo(central.query("select jsonb_build_array(id)::text from users order by 1"));
  }

  private void awaitSame() {
    awaitEqual("table users order by id", "table members order by id");
  }

  /** The hub logs in with no rights but on the mapped table. */
  private void loginAsRole() {
    role = "hub_of_" + blog.name();
    blog.execute(
        "create role %1$s login; grant select, insert, update, delete on members to %1$s"
            .formatted(role));
    caravan.set("blog.url", urlOf(role)).set("blog.user", role);
  }

  private String urlOf(String user) {
    return blog.url().replace("user=postgres", "user=" + user);
  }

  private String statementsForAnOwner() {
    String why = (String) state().get("why");
    return why.substring(why.indexOf("run: ") + 5, why.indexOf("; then the client goes on"));
  }

  private void atOnce(int hubs) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(hubs);
    try {
      CountDownLatch all = new CountDownLatch(hubs);
      List<Future<?>> done = new ArrayList<>();
      for (int hub = 0; hub < hubs; hub++) {
        done.add(
            threads.submit(
                () -> {
                  all.countDown();
                  all.await();
                  ensure(blog.url());
                  return null;
                }));
      }
      for (Future<?> one : done) {
        one.get();
      }
    } finally {
      threads.shutdown();
    }
  }

  private static void ensure(String url) throws Exception {
    try (ClientPool pool = new ClientPool()) {
      pool.setJdbcUrl(url);
      try (Connection connection = pool.getConnection()) {
        new ClientTables().ensure(connection, "blog");
      }
    }
  }
}
