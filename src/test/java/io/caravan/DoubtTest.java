package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Postgres.Database;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** After another history of central, clients are compared, and what is gone is deleted. */
class DoubtTest {
  private static final String FILTERED =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name"}, "where": "site = 'blog'"}]
      """;
  private static final String TWO_ENTRIES =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name"}, "where": "site = 'blog'"},
       {"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "upper(name)"}, "where": "site = 'shop'"}]
      """;
  private static final String LAST =
      "select concat(reason, ' ', state, ' ', surplus, ' ', notes) from caravan.reconciliation order by id desc limit 1";

  private final Database central = Postgres.shared().createCentral();
  private final Database client = Postgres.shared().createDatabase("client");
  private String mapping = FILTERED;

  @Test
  void aFilteredClientAsksAPersonBeforeItLosesMuchOfWhatItHas() {
    blogOf(10_000, 1_300);
    losesUsers(1_000);

    pumpAndCompare();

    assertThat(central.value(LAST))
        .contains("epoch waiting 1000", "nothing is repaired without caravan.confirm(");
    assertThat(members()).isEqualTo("1300");
    pumpAndCompare();
    assertThat(members()).isEqualTo("1300");

    confirm();

    assertThat(members()).isEqualTo("300");
    assertThat(doubts()).isEqualTo("0");
  }

  @Test
  void aFilteredClientLosesWhatIsGoneWhereThatIsLittle() {
    blogOf(10_000, 1_300);
    losesUsers(100);

    pumpAndCompare();

    assertThat(members()).isEqualTo("1200");
    assertThat(doubts()).isEqualTo("0");
  }

  /** As little as that, a run that was requested would repair without asking. */
  @Test
  void aClientAsksAPersonBeforeItLosesMoreThanAShareOfAThousandRows() {
    blogOf(10_000, 2_000);
    losesUsers(300);

    pumpAndCompare();

    assertThat(central.value(LAST)).contains("epoch waiting 300");
    assertThat(members()).isEqualTo("2000");
  }

  @Test
  void aClientOfFewRowsLosesWhatIsGoneHoweverMuchThatIs() {
    blogOf(10_000, 900);
    losesUsers(800);

    pumpAndCompare();

    assertThat(members()).isEqualTo("100");
    assertThat(doubts()).isEqualTo("0");
  }

  @Test
  void whatAPersonIsAskedIsAProblemThatNamesTheRemedy() {
    blogOf(10_000, 1_300);
    losesUsers(1_000);

    pumpAndCompare();

    String run = central.value("select id from caravan.reconciliation where state = 'waiting'");
    assertThat(central.query("table caravan.problems"))
        .containsExactly(
            List.of(
                "public.users",
                "run %s waits for a person: public.members of blog differs from it too much (0 missing, 0 stale, 1000 surplus)"
                    .formatted(run),
                "select caravan.confirm(%1$s), or caravan.stop(%1$s)".formatted(run)));
    confirm();
    assertThat(central.query("table caravan.problems")).isEmpty();
  }

  /** What a person was asked was of the history before. */
  @Test
  void aPersonIsAskedAgainWhenAnotherHistoryFollows() {
    blogOf(10_000, 1_300);
    losesUsers(600);
    pumpAndCompare();
    String asked = central.value("select id from caravan.reconciliation where state = 'waiting'");
    losesUsers(900);
    pump();

    assertThatThrownBy(() -> central.execute("select caravan.confirm(%s)".formatted(asked)))
        .hasMessageContaining("does not wait");
    pumpAndCompare();
    assertThat(central.value(LAST)).contains("epoch waiting 900");
    assertThat(members()).isEqualTo("1300");
    confirm();

    assertThat(members()).isEqualTo("400");
    assertThat(doubts()).isEqualTo("0");
  }

  @Test
  void whatAPersonHasConfirmedIsAskedAgainWhenAnotherHistoryFollows() {
    blogOf(10_000, 1_300);
    losesUsers(600);
    pumpAndCompare();
    central.execute("select caravan.confirm(max(id)) from caravan.reconciliation");
    losesUsers(900);

    pumpAndCompare();

    assertThat(
            central.value(
                "select max(surplus) from caravan.reconciliation where state = 'waiting'"))
        .isEqualTo("900");
    assertThat(members()).isEqualTo("1300");
  }

  @Test
  void aPersonCannotConfirmBeforeAllIsCompared() throws SQLException {
    blogOf(10_000, 1_300);
    losesUsers(1_000);
    pump();
    try (ByHand hand = hand()) {
      hand.runs()
          .ofClient(
              (what, ask) -> {
                assertThatThrownBy(
                        () ->
                            central.execute(
                                "select caravan.confirm(max(id)) from caravan.reconciliation"))
                    .hasMessageContaining("does not wait");
                return ask.call();
              });
      hand.finish();
    }

    assertThat(central.value(LAST)).contains("epoch waiting 1000");
    confirm();
    assertThat(members()).isEqualTo("300");
  }

  /** A client that was away for long, and so is loaded again, is not compared before that. */
  @Test
  void nobodyIsAskedForTheSakeOfRowsThatAFillIsAboutToBring() throws SQLException {
    blogOf(10_000, 1_300);
    central.execute("update users set site = 'blog' where id <= 5000");
    losesUsers(10);
    try (ByHand hand = hand()) {
      hand.finish();
    }
    pumpAndCompare();

    assertThat(members()).isEqualTo("4990");
    assertThat(central.value(LAST)).contains("epoch done 10");
  }

  @Test
  void aRunThatIsUnderWayWhenAnotherHistoryBeginsIsMadeAgain() throws SQLException {
    blogOf(1_000, 500);
    central.execute("select caravan.reconcile('blog')");
    try (ByHand hand = hand()) {
      hand.runs()
          .ofClient(
              (what, ask) -> {
                Object answer = ask.call();
                if (what.equals("digest") && members().equals("500") && doubts().equals("0")) {
                  losesUsers(10);
                  pump();
                }
                return answer;
              });
      hand.finish();
    }

    pumpAndCompare();
    pumpAndCompare();

    assertThat(members()).isEqualTo("490");
    assertThat(doubts()).isEqualTo("0");
  }

  @Test
  void entriesOfOneTableWhoseRowsCannotBeToldApartLoseWhatIsGone() {
    mapping = TWO_ENTRIES;
    blogOf(1_000, 300);
    client.execute("insert into members values (-1, 'the client''s own')");
    losesUsers(20);
    central.execute("delete from users where id > 990");

    pumpAndCompare();

    assertThat(client.value("select count(*) from members where id > 0")).isEqualTo("970");
    assertThat(client.value("select name from members where id = -1"))
        .isEqualTo("the client's own");
    assertThat(central.value(LAST)).contains("epoch done 30", "only what is gone was found");
    assertThat(central.value("select equal_at is null from caravan.verification")).isEqualTo("t");
  }

  @Test
  void entriesOfOneTableWhoseRowsCannotBeToldApartAskAPersonBeforeTheyLoseMuch() {
    mapping = TWO_ENTRIES;
    blogOf(5_000, 300);
    losesUsers(2_000);

    pumpAndCompare();
    assertThat(members()).isEqualTo("5000");
    assertThat(central.value(LAST)).contains("epoch waiting 2000");
    confirm();

    assertThat(members()).isEqualTo("3000");
  }

  @Test
  void whatIsGoneGoesAlsoWhereItWasGivenUp() {
    blogOf(100, 50);
    central.execute(
        """
        select caravan_internal.store_dead_letters('blog', '[{"source": "public.users", "key": [1], "sqlstate": "23514", "message": "bad"}]', '[]', 10);
        select caravan.give_up('blog', 'public.users', '[1]', 'never mind');
        """);
    losesUsers(1);

    pump();
    pumpAndCompare();

    assertThat(members()).isEqualTo("49");
  }

  @Test
  void aKeyThatIsAnArrayIsFoundToBeGone() {
    mapping =
        """
        [{"source": "public.tags", "table": "public.tags", "rows": "central",
          "key": {"tag": "tag", "n": "n"}, "columns": {}}]
        """;
    String tags = "create table tags (tag text[], n int, primary key (tag, n))";
    central.execute(
        tags
            + """
            ; select caravan.track('tags', '{}');
            insert into tags values ('{a,"b c"}', 7), ('{a}', 8);
            """);
    client.makeTables();
    client.execute(tags);
    pump();
    central.execute("delete from tags where n = 7; delete from caravan_internal.incarnation");

    pumpAndCompare();

    assertThat(client.value("select string_agg(tag::text, ' ') from tags")).isEqualTo("{a}");
  }

  private void blogOf(int users, int ofTheBlog) {
    central.execute(
        """
        create table users (id int primary key, name text, site text);
        select caravan.track('users', '{name,site}');
        insert into users
        select i, 'user ' || i, case when i <= %2$d then 'blog' else 'shop' end from generate_series(1, %1$d) as i;
        """
            .formatted(users, ofTheBlog));
    client.makeTables();
    client.execute("create table members (id int primary key, name text)");
    pump();
    assertThat(members()).isEqualTo("" + (mapping.equals(FILTERED) ? ofTheBlog : users));
  }

  /** The first ones, as when an older backup is restored. */
  private void losesUsers(int count) {
    central.execute(
        "delete from users where id <= " + count + "; delete from caravan_internal.incarnation");
  }

  private void confirm() {
    central.execute("select caravan.confirm(max(id)) from caravan.reconciliation");
    pumpAndCompare();
  }

  private void pump() {
    try (ByHand hand = hand()) {
      hand.pump();
    } catch (SQLException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  /** Does what is due, and brings to the client what is repaired. */
  private void pumpAndCompare() {
    try (ByHand hand = hand()) {
      hand.pump();
      hand.finish();
      hand.pump();
    } catch (SQLException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  private ByHand hand() throws SQLException {
    return new ByHand(central, client, "blog", mapping);
  }

  private String members() {
    return client.value("select count(*) from members");
  }

  private String doubts() {
    return central.value("select count(*) from caravan.verification where doubt is not null");
  }
}
