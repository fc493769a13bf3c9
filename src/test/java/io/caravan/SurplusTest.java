package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A running hub finds the rows that a client has and of which the change log says nothing. */
@Tag("slow")
class SurplusTest extends WithBlog {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String USERS = "select id, name from users order by id";
  private static final String MEMBERS = "select id, name from members order by id";
  private static final String TEAMS =
      """
      create table teams (id int primary key, name text);
      create table players (id int primary key, team int %s);
      """;
  private static final String DOUBTS =
      "select count(*) from caravan.verification where doubt is not null";

  @BeforeEach
  void users() {
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users select i, 'user ' || i from generate_series(1, 2000) as i;
        """);
    startWith("create table members (id int primary key, name text)", MAPPING);
    awaitEqual(USERS, MEMBERS);
  }

  /** The hub of before has died while it looked through the client's keys. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"source\": \"public.users\", \"key\": [\"id\"], \"target\": 0, \"after\": [50]}",
        "{\"source\": \"public.users\", \"key\": [\"id\"], \"target\": 0, \"after\": null, \"then\": []}"
      })
  void aSweepOfAnOlderReleaseIsFinished(String sweep) {
    caravan.stop();
    losesUnseen(100);
    blog().execute("update caravan.cursor set cursor = cursor || '{\"sweep\": " + sweep + "}'");
    caravan.start();

    awaitEqual(USERS, MEMBERS);
    awaitNoDoubt();
    assertThat(blog().value("select cursor ? 'sweep' from caravan.cursor")).isEqualTo("f");
    assertThat(central.value("select string_agg(reason, ', ') from caravan.reconciliation"))
        .isEqualTo("epoch");
  }

  @Test
  void aSweepOfAnOlderReleaseThatWasConfirmedAsksNobodyAgain() {
    caravan.stop();
    losesUnseen(1900);
    blog()
        .execute(
            """
            update caravan.cursor set cursor = cursor
              || '{"sweep": {"source": "public.users", "key": ["id"], "target": 0, "after": null, "confirmed": true}}'
            """);
    caravan.start();

    awaitEqual(USERS, MEMBERS);
    awaitNoDoubt();
  }

  @Test
  void aTableThatCannotBeEmptiedLosesItsRowsOneByOneAndNobodyIsAsked() {
    blog()
        .execute(
            "create table posts (member int references members); insert into posts values (7)");

    central.execute("truncate users; insert into users values (1, 'new')");

    awaitLetters("public.users [7] 23503 open");
    awaitEqual("select 1, 'new' union all select 7, 'user 7'", MEMBERS);
    awaitNoDoubt();
    blog().execute("delete from posts");
    central.execute("select caravan.replay()");
    awaitEqual(USERS, MEMBERS);
  }

  @Test
  void aSourceThatIsTrackedAgainLosesWhatWasDeletedMeanwhile() {
    central.execute(
        """
        select caravan.untrack('users');
        delete from users where id <= 10;
        select caravan.track('users', '{name}');
        """);

    awaitEqual(USERS, MEMBERS);
    awaitNoDoubt();
  }

  /** As long as a player is there, the client would refuse to delete his team. */
  @Test
  void parentsGoAfterTheirChildrenAlsoWhereAPersonIsAskedAboutThese() {
    caravan.stop();
    givenTeams(1500);
    caravan.client(
        "forum",
        TEAMS.formatted("references teams"),
        """
        [{"source": "public.players", "table": "public.players", "key": {"id": "id"}, "columns": {"team": "team"}},
         {"source": "public.teams", "table": "public.teams", "key": {"id": "id"}, "columns": {"name": "name"}}]
        """);
    caravan.start();
    caravan.awaitEqual("table players order by id", "forum", "table players order by id");
    caravan.stop();
    central.execute(
        """
        delete from players where id <= 500;
        delete from teams where id <= 20;
        delete from caravan_internal.incarnation;
        """);
    caravan.start();
    String waiting =
        "select string_agg(target, ', ') from caravan.reconciliation where state = 'waiting'";
    awaitLong().until(() -> "public.players".equals(central.value(waiting)));
    central.execute(
        """
        delete from teams where id = 21;
        update teams set name = 'goes on' where id = 1500;
        """);
    caravan.awaitEqual("select 'goes on'", "forum", "select name from teams where id = 1500");
    assertThat(central.value(waiting)).isEqualTo("public.players");
    assertThat(caravan.database("forum").value("select count(*) from teams")).isEqualTo("1500");

    central.execute(
        "select caravan.confirm(id) from caravan.reconciliation where state = 'waiting'");

    for (String table : new String[] {"players", "teams"}) {
      String rows = "table " + table + " order by id";
      caravan.awaitEqual(rows, "forum", rows);
    }
    awaitNoDoubt();
    awaitLetters();
  }

  /** What a run repairs goes to every client, and one of them may not take it in this order. */
  @Test
  void aParentGoesAfterItsChildrenThatTheRunOfAnotherClientHasFound() {
    caravan.stop();
    givenTeams(1);
    String mapping =
        """
        [{"source": "public.teams", "table": "public.teams", "key": {"id": "id"}, "columns": {"name": "name"}},
         {"source": "public.players", "table": "public.players", "key": {"id": "id"}, "columns": {"team": "team"}}]
        """;
    caravan.client("forum", TEAMS.formatted(""), mapping);
    caravan.client("shop", TEAMS.formatted("references teams"), mapping);
    caravan.start();
    for (String client : new String[] {"forum", "shop"}) {
      caravan.awaitEqual("table players", client, "table players");
    }
    losesUnseen("teams", "true");
    losesUnseen("players", "true");

    central.execute("select caravan.reconcile('forum', 'public.teams')");
    awaitLetters("public.teams [1] 23503 open");
    central.execute("select caravan.reconcile('forum', 'public.players')");

    awaitLetters();
    assertThat(caravan.database("shop").query("table players")).isEmpty();
    assertThat(caravan.database("shop").query("table teams")).isEmpty();
  }

  /** Either as a function fails, or as one that a timeout cuts off. */
  @ParameterizedTest
  @ValueSource(strings = {"P0001", "57014"})
  void aSourceThatCannotBeComparedDoesNotHoldUpThoseThatFollow(String sqlState) {
    caravan.stop();
    givenTeams(50);
    String checked = "create function checked(int) returns int language sql as 'select $1'";
    central.execute(checked);
    caravan.client(
        "forum",
        TEAMS.formatted("") + checked,
        """
        [{"source": "public.teams", "table": "public.teams", "key": {"id": "id"}, "columns": {"name": "name"}},
         {"source": "public.players", "table": "public.players", "key": {"id": "id"},
          "columns": {"team": "checked(team)"}}]
        """);
    caravan.start();
    caravan.awaitEqual("table players order by id", "forum", "table players order by id");
    caravan.stop();
    central.execute(
        """
        create or replace function checked(int) returns int language plpgsql
        as $$ begin raise exception 'not here' using errcode = '%s'; end $$;
        delete from players where id <= 10;
        delete from teams where id <= 20;
        delete from caravan_internal.incarnation;
        """
            .formatted(sqlState));

    caravan.start();

    caravan.awaitEqual("table teams order by id", "forum", "table teams order by id");
    String doubted =
        "select string_agg(source, ' ') from caravan.verification where client = 'forum' and doubt is not null";
    awaitLong().until(() -> "public.players".equals(central.value(doubted)));
  }

  /** Each has one player. */
  private void givenTeams(int count) {
    central.execute(
        TEAMS.formatted("")
            + """
            select caravan.track('teams', '{name}'), caravan.track('players', '{team}');
            insert into teams select i, 'team ' || i from generate_series(1, %1$d) as i;
            insert into players select i, i from generate_series(1, %1$d) as i;
            """
                .formatted(count));
  }

  private void losesUnseen(int count) {
    losesUnseen("users", "id <= " + count);
  }

  private void losesUnseen(String table, String which) {
    central.execute(
        """
        alter table %1$s disable trigger all;
        delete from %1$s where %2$s;
        alter table %1$s enable always trigger caravan_insert, enable always trigger caravan_update,
          enable always trigger caravan_delete, enable always trigger caravan_truncate;
        """
            .formatted(table, which));
  }

  private void awaitNoDoubt() {
    awaitLong().until(() -> central.value(DOUBTS).equals("0"));
  }
}
