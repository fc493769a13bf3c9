package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One row that a client cannot take is a dead letter, whatever it says, and holds up no other. */
@Tag("slow")
class OneBadRowTest extends WithBlog {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name", "room": "room"}}]
      """;
  private static final String MEMBERS =
      "create table members (id int primary key, name text, room int);";
  private static final String TRIGGER =
      """
      create function refuse() returns trigger language plpgsql as $$
      declare
        n int;
      begin
        %s;
        return new;
      end $$;
      create %s refuse %s insert or update on members %s for each row when (new.name = 'bad')
      execute function refuse();
      """;

  @BeforeEach
  void users() {
    central.execute(
        """
        create table users (id int primary key, name text, room int);
        select caravan.track('users', '{name, room}');
        insert into users select i, 'user ' || i, 1 from generate_series(1, 20) as i;
        """);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          P0001 | raise 'not on my watch'
          P0002 | select 1 into strict n where false
          P0003 | select 1 into strict n from generate_series(1, 2)
          P0004 | assert false
          21000 | n := (select 1 from generate_series(1, 2))
          22012 | n := 1 / 0
          MY001 | raise 'own code' using errcode = 'MY001'
          0A000 | raise 'not that' using errcode = '0A000'
          02000 | raise 'no data' using errcode = '02000'
          54000 | raise 'too long' using errcode = '54000'
          F0000 | raise 'some other class' using errcode = 'F0000'
          CV001 | raise 'a code that is also ours' using errcode = 'CV001'
          """)
  void aTriggerMayRefuseItWithAnyCode(String sqlState, String statement) {
    start(TRIGGER.formatted(statement, "trigger", "before", ""));

    oneIsBad();

    awaitLetters("public.users [7] " + sqlState + " open");
    awaitTheOthers();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          P0001 | raise 'not on my watch'
          MY001 | raise 'own code' using errcode = 'MY001'
          """)
  void aDeferredTriggerMayRefuseItAtTheEnd(String sqlState, String statement) {
    start(
        TRIGGER.formatted(
            statement, "constraint trigger", "after", "deferrable initially deferred"));

    oneIsBad();

    awaitLetters("public.users [7] " + sqlState + " open");
    awaitTheOthers();
  }

  @Test
  void aDeferredForeignKeyMayRefuseIt() {
    start(
        """
        create table rooms (id int primary key);
        insert into rooms values (1);
        alter table members add foreign key (room) references rooms deferrable initially deferred;
        """);

    central.execute(
        "update users set room = 2 where id = 7; update users set name = 'new' where id < 10");

    awaitLetters("public.users [7] 23503 open");
    awaitEqual(
        "select id, name from users where id <> 7 order by id",
        "select id, name from members where id <> 7 order by id");

    blog().execute("insert into rooms values (2)");
    central.execute("select caravan.replay()");

    awaitEqual("table users order by id", "table members order by id");
    awaitNoLetters();
  }

  @Test
  void aDeferredForeignKeyMayRefuseADeletion() {
    start(
        """
        create table posts (member int references members deferrable initially deferred);
        """);
    blog().execute("insert into posts values (7)");

    central.execute("delete from users where id < 10");

    awaitLetters("public.users [7] 23503 open");
    awaitEqual("values (7), (10)", "select id from members where id < 11 order by id");
  }

  @Test
  void aDeferredUniqueConstraintMayRefuseIt() {
    start(
        "alter table members add constraint one_name unique (name) deferrable initially deferred");

    central.execute("update users set name = 'user 8' where id = 7; update users set room = 3");

    awaitLetters("public.users [7] 23505 open");
    awaitEqual(
        "select id, name, room from users where id <> 7 order by id",
        "select * from members where id <> 7 order by id");
  }

  @Test
  void itMayBeOneOfAFirstLoad() {
    central.execute("update users set name = 'bad' where id = 7");

    caravan
        .client(
            "blog",
            MEMBERS
                + TRIGGER.formatted(
                    "raise 'own code' using errcode = 'MY001'", "trigger", "before", ""),
            MAPPING)
        .start();

    awaitLetters("public.users [7] MY001 open");
    awaitTheOthers();
  }

  @Test
  void rowSecurityMayRefuseIt() {
    caravan.client("blog", MEMBERS, MAPPING);
    String role = ClientRightsTest.hubRole(caravan, "blog", "members");
    blog()
        .execute(
            """
            alter table members enable row level security;
            create policy all_may_be_seen on members for select using (true);
            create policy new on members for insert with check (name is distinct from 'bad');
            create policy changed on members for update using (true) with check (name is distinct from 'bad');
            create policy all_may_go on members for delete using (true);
            """);
    caravan.start();
    awaitEqual("table users order by id", "table members order by id");
    assertThat(blog().value("select count(*) from pg_stat_activity where usename = '" + role + "'"))
        .isNotEqualTo("0");

    central.execute(
        """
        update users set room = 2 where id < 7;
        update users set name = 'bad' where id = 7;
        """);

    awaitLetters("public.users [7] 42501 open");
    awaitTheOthers();
  }

  /** It is not the row that is refused, and the next row would be too. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          42883 | perform no_such_function()
          42P01 | insert into no_such_table values (1)
          42501 | raise 'not for you' using errcode = '42501'
          53100 | raise 'disk full' using errcode = '53100'
          40001 | raise 'try again' using errcode = '40001'
          55P03 | raise 'locked' using errcode = '55P03'
          57014 | raise 'canceled' using errcode = '57014'
          """)
  void whatIsMissingAtTheClientIsNoRowsFault(String sqlState, String statement) {
    start(TRIGGER.formatted(statement, "trigger", "before", ""));

    oneIsBad();
    awaitLong().untilAsserted(() -> assertThat((int) state().get("failures")).isGreaterThan(2));
    assertThat(central.query("table caravan.dead_letters")).isEmpty();
    assertThat(blog().value("select name from members where id = 6")).isEqualTo("user 6");
    blog().execute("drop trigger refuse on members");

    awaitEqual("table users order by id", "table members order by id");
  }

  @Test
  void itsTextMayHaveACharacterThatTheClientsEncodingLacks() {
    String name = "latin_" + blogNumber();
    new Database(central.port(), "postgres")
        .execute("create database " + name + " encoding 'LATIN1' locale 'C' template template0");
    Database latin = new Database(central.port(), name);
    latin.execute(MEMBERS);
    caravan.client(latin, "blog", MAPPING).start();
    awaitEqual("table users order by id", "table members order by id");

    central.execute(
        "update users set name = case id when 7 then '10 €' else 'ä' end where id < 10");

    awaitLetters("public.users [7] 22P05 open");
    awaitEqual(
        "select * from users where id <> 7 order by id",
        "select * from members where id <> 7 order by id");
  }

  /** Central's index takes it; where a client notes its key, it needs some bytes more. */
  @Test
  void itsKeyMayBeTooLongForAnIndexOfTheClient() {
    central.execute(
        """
        create table tags (tag text primary key, n int);
        select caravan.track('tags', '{n}');
        """);
    startWith(
        "create table tags (tag text primary key, n int)",
        """
        [{"source": "public.tags", "table": "public.tags", "key": {"tag": "tag"}, "columns": {"n": "n"}}]
        """);
    awaitLive();

    central.execute(
        """
        insert into tags
        select string_agg(chr(33 + (hashtext(i::text) & 63)), '' order by i), 1
        from generate_series(1, 2690) as i;
        insert into tags values ('short', 2), ('too', 3);
        """);

    awaitEqual(
        "select * from tags where n > 1 order by n", "select * from tags where n > 1 order by n");
    awaitLong()
        .untilAsserted(
            () ->
                assertThat(
                        central.value("select string_agg(sqlstate, ' ') from caravan.dead_letters")
                            + blog().value("select count(*) from tags where n = 1"))
                    .isIn("540000", "null1"));
  }

  private String blogNumber() {
    return central.name().replaceAll("\\D", "");
  }

  private void start(String ddl) {
    startWith(MEMBERS + ddl, MAPPING);
    awaitEqual("table users order by id", "table members order by id");
  }

  private void oneIsBad() {
    central.execute(
        """
        update users set room = 2 where id < 7;
        update users set name = 'bad' where id = 7;
        update users set name = 'good' where id between 8 and 15;
        delete from users where id = 20;
        """);
  }

  private void awaitTheOthers() {
    awaitEqual(
        "select * from users where id <> 7 order by id",
        "select * from members where id <> 7 order by id");
  }
}
