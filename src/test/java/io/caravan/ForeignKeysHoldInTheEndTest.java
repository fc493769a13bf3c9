package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Foreign keys of a client that hold for all that central has never keep a row away for good. */
@Tag("slow")
class ForeignKeysHoldInTheEndTest {
  private static final String TEAMS_AND_PLAYERS =
      """
      create table teams (id int primary key, name text, captain int);
      create table players (id int primary key, name text, team int not null);
      select caravan.track('teams', '{name, captain}'), caravan.track('players', '{name, team}');
      """;
  private static final String SOME =
      """
      insert into teams select i, 'team ' || i, i from generate_series(1, %1$d) as i;
      insert into players select i, 'player ' || i, i from generate_series(1, %1$d) as i;
      """;
  private static final String CIRCLE =
      """
      create table teams (id int primary key, name text, captain int %1$s);
      create table players (id int primary key, name text, team int not null references teams %2$s);
      alter table teams add foreign key (captain) references players %2$s;
      """;
  private static final String MAPPING =
      """
      [{"source": "public.teams", "table": "public.teams", "key": {"id": "id"},
        "columns": {"name": "name", "captain": "captain"}},
       {"source": "public.players", "table": "public.players", "key": {"id": "id"},
        "columns": {"name": "name", "team": "team"}}]
      """;

  @Nested
  class OfTwoTablesThatReferenceEachOther extends WithBlog {

    /** 2,500 rows are three pages of an initial load. */
    OfTwoTablesThatReferenceEachOther() {
      caravan.set("camel.kamelet.pump.pageRows", "100");
    }

    @ParameterizedTest
    @CsvSource({
      "'', ''",
      "not null, ''",
      "not null, deferrable",
      "not null, deferrable initially deferred"
    })
    void holdWhenBothRowsAreNew(String notNull, String deferrable) {
      central.execute(TEAMS_AND_PLAYERS);
      startWith(CIRCLE.formatted(notNull, deferrable), MAPPING);
      awaitLive();

      central.execute(SOME.formatted(3));

      awaitSame("teams");
      awaitSame("players");
      awaitNoLetters();
    }

    @ParameterizedTest
    @CsvSource({
      "'', '', 3",
      "'', '', 2500",
      "not null, '', 3",
      "not null, deferrable, 3",
      "not null, deferrable initially deferred, 3"
    })
    void holdAfterTheFirstLoad(String notNull, String deferrable, int rows) {
      central.execute(TEAMS_AND_PLAYERS);
      central.execute(SOME.formatted(rows));

      startWith(CIRCLE.formatted(notNull, deferrable), MAPPING);

      awaitSame("teams");
      awaitSame("players");
      awaitNoLetters();
    }

    @ParameterizedTest
    @CsvSource({"'', ''", "not null, ''", "not null, deferrable initially deferred"})
    void holdWhenBothRowsGo(String notNull, String deferrable) {
      central.execute(TEAMS_AND_PLAYERS);
      central.execute(SOME.formatted(3));
      startWith(CIRCLE.formatted("", "deferrable"), MAPPING);
      awaitSame("teams");
      awaitSame("players");
      blog()
          .execute(
              "drop table teams cascade; drop table players;"
                  + CIRCLE.formatted(notNull, deferrable));
      blog().execute("set session_replication_role = replica;" + SOME.formatted(3));

      central.execute("delete from teams where id < 3; delete from players where id < 3");

      awaitSame("teams");
      awaitSame("players");
      awaitNoLetters();
    }

    @Test
    void areRefusedOneByOneWhereTheyReallyDoNotHold() {
      central.execute(TEAMS_AND_PLAYERS);
      startWith(CIRCLE.formatted("not null", ""), MAPPING);
      awaitLive();

      central.execute(SOME.formatted(3) + "insert into teams values (9, 'no captain', 99)");

      awaitSame("players");
      awaitEqual("select * from teams where id < 9 order by id", "select * from teams order by id");
      awaitLetters("public.teams [9] 23503 open");
    }

    /** Seven's captain plays for eight, which has none; and so has nine. */
    @ParameterizedTest
    @CsvSource({"''", "deferrable", "deferrable initially deferred"})
    void areRefusedTogetherWithAllThatNeedThem(String deferrable) {
      central.execute(TEAMS_AND_PLAYERS);
      startWith(CIRCLE.formatted("not null", deferrable), MAPPING);
      awaitLive();

      central.execute(
          SOME.formatted(3)
              + """
              insert into teams values (7, 'his captain is elsewhere', 7), (8, 'no captain', 98), (9, 'no captain', 99);
              insert into players values (7, 'of a team without a captain', 8);
              """);

      awaitLetters(
          "public.teams [7] 23503 open",
          "public.teams [8] 23503 open",
          "public.teams [9] 23503 open",
          "public.players [7] 23503 open");
      for (String table : new String[] {"teams", "players"}) {
        awaitEqual(
            "select * from " + table + " where id < 7 order by id",
            "select * from " + table + " order by id");
      }
    }
  }

  @Nested
  class OfAFirstLoad extends WithBlog {
    private static final String USERS_AND_ORDERS =
        """
        create table users (id int primary key, name text);
        create table orders (id int primary key, customer int, item text);
        select caravan.track('users', '{name}'), caravan.track('orders', '{customer, item}');
        insert into users select i, 'user ' || i from generate_series(1, 2500) as i;
        insert into orders select i, 2501 - i, 'item ' || i from generate_series(1, 2500) as i;
        """;

    /** 2,500 rows are three pages of an initial load. */
    OfAFirstLoad() {
      caravan.set("camel.kamelet.pump.pageRows", "100");
    }

    /** By its name a child may sort before its parent. */
    @Test
    void holdWhereTheParentComesFirst() {
      central.execute(USERS_AND_ORDERS);

      assertThatNothingIsRefused(
          """
          create table users (id int primary key, name text);
          create table orders (id int primary key, customer int not null references users);
          """,
          """
          [{"source": "public.orders", "table": "public.orders", "key": {"id": "id"}, "columns": {"customer": "customer"}},
           {"source": "public.users", "table": "public.users", "key": {"id": "id"}, "columns": {"name": "name"}}]
          """);
    }

    /** The orders also fill a table without a parent, by which they sorted before the users. */
    @Test
    void holdWhereTheChildAlsoFillsATableWithoutAParent() {
      central.execute(USERS_AND_ORDERS);

      assertThatNothingIsRefused(
          """
          create table items (id int primary key, item text);
          create table users (id int primary key, name text);
          create table orders (id int primary key, customer int not null references users);
          """,
          """
          [{"source": "public.orders", "table": "public.items", "key": {"id": "id"}, "columns": {"item": "item"}},
           {"source": "public.orders", "table": "public.orders", "key": {"id": "id"}, "columns": {"customer": "customer"}},
           {"source": "public.users", "table": "public.users", "key": {"id": "id"}, "columns": {"name": "name"}}]
          """);
    }

    private void assertThatNothingIsRefused(String ddl, String mapping) {
      try (Log log = new Log("caravan.blog")) {
        startWith(ddl, mapping);

        awaitSame("users");
        awaitEqual(
            "select id, customer from orders order by id", "select * from orders order by id");
        awaitNoLetters();
        assertThat(log.lines()).noneMatch(line -> line.contains("refused"));
      }
    }

    /** Each source fills a parent and a child of the other's. */
    @Test
    void holdWhereNoOrderOfTheSourcesIsRight() {
      central.execute(USERS_AND_ORDERS);

      startWith(
          """
          create table users (id int primary key, name text);
          create table orders (id int primary key, customer int not null references users);
          create table items (id int primary key, item text);
          create table wishes (id int primary key references items, name text);
          """,
          """
          [{"source": "public.orders", "table": "public.items", "key": {"id": "id"}, "columns": {"item": "item"}},
           {"source": "public.orders", "table": "public.orders", "key": {"id": "id"}, "columns": {"customer": "customer"}},
           {"source": "public.users", "table": "public.users", "key": {"id": "id"}, "columns": {"name": "name"}},
           {"source": "public.users", "table": "public.wishes", "key": {"id": "id"}, "columns": {"name": "name"}}]
          """);

      awaitSame("users");
      awaitEqual("select id, customer from orders order by id", "select * from orders order by id");
      awaitEqual("select id, name from users order by id", "select * from wishes order by id");
      awaitNoLetters();
    }
  }
}
