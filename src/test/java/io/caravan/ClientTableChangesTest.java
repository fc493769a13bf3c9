package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Somebody changes a client's tables, or the columns that its mapping names, while it is served.
 */
@Tag("slow")
class ClientTableChangesTest extends WithBlog {
  private static final String MEMBERS =
      "create table members (id int primary key, name text, mail text);";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name", "mail": "email"}, "rows": "*rows*"}]
      """;
  private final Log log = new Log("caravan.blog");

  @BeforeEach
  void users() {
    central.execute(
        """
        create table users (id int primary key, name text, email text);
        select caravan.track('users', '{name, email}');
        insert into users select i, 'user ' || i, 'u' || i from generate_series(1, 50) as i;
        """);
  }

  @AfterEach
  void closeLog() {
    log.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"shared", "central"})
  void aTableThatIsDroppedAndMadeAgainIsFilledAgainThoughNothingChanges(String rows) {
    start(rows);

    blog().execute("drop table members;" + MEMBERS);

    awaitInStep();
    awaitLive();
    assertThat(log.lines())
        .anyMatch(line -> line.contains("public.members") && line.contains("made"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"shared", "central"})
  void aTableThatIsDroppedAndMadeAgainIsFilledAgainWhenSomethingChanges(String rows) {
    start(rows);

    blog().execute("drop table members;" + MEMBERS);
    central.execute(
        "update users set name = 'changed' where id = 7; delete from users where id = 8");

    awaitInStep();
    assertThat(log.lines()).noneMatch(line -> line.contains("another hub"));
  }

  @Test
  void aTableThatIsDroppedAndMadeAgainWhileTheHubIsAwayIsFilledAgain() {
    start("shared");
    caravan.stop();

    blog().execute("drop table members;" + MEMBERS);
    caravan.start();

    awaitInStep();
  }

  @Test
  void aTableThatIsRenamedAwayForANewOneIsFilledAgain() {
    start("shared");

    blog()
        .execute(
            "alter table members rename to old_members;"
                + MEMBERS.replace("primary key", "unique"));

    awaitInStep();
  }

  /** Neither makes another table of it: to load it again would be a waste. */
  @ParameterizedTest
  @ValueSource(strings = {"vacuum full members", "alter table members alter mail type varchar(50)"})
  void aTableThatIsRewrittenIsNotFilledAgain(String rewrite) {
    start("shared");
    String filled = blog().value("select cursor -> 'filled' from caravan.cursor");
    int lines = log.lines().size();

    blog().execute(rewrite);
    central.execute("update users set name = 'changed' where id = 7");

    awaitInStep();
    assertThat(blog().value("select cursor -> 'filled' from caravan.cursor")).isEqualTo(filled);
    assertThat(log.lines().subList(lines, log.lines().size()))
        .noneMatch(line -> line.contains("rows of public.users"));
  }

  @Test
  void aColumnOfTheSourceThatIsNoLongerTrackedPausesTheClientsThatMapItThoughNothingChanges() {
    start("shared");

    central.execute("select caravan.track('users', '{name}')");

    awaitPaused("public.users", "email");
    central.execute("select caravan.track('users', '{name, email}')");
    central.execute("update users set email = 'new' where id = 7");
    awaitInStep();
    awaitLive();
  }

  @Test
  void aColumnOfTheSourceThatIsDroppedPausesTheClientsThatMapIt() {
    start("shared");

    central.execute(
        """
        select caravan.untrack('users');
        alter table users drop column email;
        select caravan.track('users', '{name}');
        update users set name = 'changed' where id = 7;
        """);

    awaitPaused("public.users", "email");
    assertThat(blog().value("select count(*) from members where mail is not null")).isEqualTo("50");
  }

  private void start(String rows) {
    startWith(MEMBERS, MAPPING.replace("*rows*", rows));
    awaitInStep();
    awaitLive();
  }

  private void awaitInStep() {
    awaitEqual("table users order by id", "table members order by id");
  }
}
