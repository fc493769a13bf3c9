package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import io.caravan.client.Clients;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A client whose mapping, login or rows are wrong says so once, and goes on when it is mended. */
class ClientStateTest {
  private static final String MEMBERS =
      "create table members (id bigint primary key, name text not null)";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;

  private final Caravan caravan = new Caravan();
  private final Log log = new Log("caravan.blog");

  @BeforeEach
  void users() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            select caravan.track('users', '{name}');
            insert into users values (1, 'Ada'), (2, 'Bob');
            """);
  }

  @AfterEach
  void stop() {
    caravan.close();
    log.close();
  }

  @Test
  void aTableThatIsMissingPausesTheClientUntilItIsThere() {
    Database blog = startBlog("");
    awaitPausedAndTriedAgain();

    blog.execute(MEMBERS);

    awaitInStep();
    assertThat(states())
        .containsExactly(
            "WARN paused: mapping of public.users to public.members: there is no table public.members. Make it, or mend the mapping: it names a table with its schema, e.g. public.members.",
            "INFO live");
  }

  @Test
  void aClientThatIsServedSaysSoOnce() {
    startBlog(MEMBERS);
    awaitInStep();

    for (int i = 0; i < 3; i++) {
      caravan.central().execute("update users set name = name || '.'");
      awaitInStep();
    }

    await().untilAsserted(() -> assertThat(state()).containsEntry("state", "live"));
    assertThat(states()).containsExactly("INFO live");
  }

  @Test
  void aColumnThatIsMissingPausesTheClientUntilItIsThere() {
    Database blog = startBlog("create table members (id bigint primary key)");
    awaitPausedAndTriedAgain();

    blog.execute("alter table members add name text");

    awaitInStep();
    assertThat(states()).hasSize(2).last().isEqualTo("INFO live");
    assertThat(states().get(0)).startsWith("WARN paused: ").contains("no column \"name\"");
  }

  @Test
  void aKeyWithoutAUniqueIndexPausesTheClientUntilItHasOne() {
    Database blog = startBlog("create table members (id bigint, name text)");
    awaitPausedAndTriedAgain();

    blog.execute("create unique index on members (id)");

    awaitInStep();
    assertThat(states())
        .containsExactly(
            "WARN paused: mapping of public.users to public.members: there is no unique index on (id)."
                + " create unique index on public.members (id)",
            "INFO live");
  }

  @Test
  void aColumnThatIsFedTwicePausesTheClient() {
    caravan
        .client("blog", MEMBERS, MAPPING.replace("{\"name\": \"name\"}", "{\"id\": \"name\"}"))
        .start();

    awaitPausedAndTriedAgain();

    assertThat((String) state().get("why"))
        .contains("the column \"id\" is in \"key\" and in \"columns\"");
  }

  @Test
  void aColumnThatIsDroppedPausesTheClientThoughNothingChanges() {
    Database blog = startBlog(MEMBERS);
    awaitInStep();

    blog.execute("alter table members drop name");

    awaitLong().untilAsserted(() -> assertThat(state()).containsEntry("state", "paused"));
    assertThat((String) state().get("why")).contains("no column \"name\"");
  }

  @Test
  void aTypeThatNoValueFitsPausesTheClientUntilItIsMended() {
    caravan
        .central()
        .execute(
            """
            create table places (id int primary key, "at" point);
            select caravan.track('places', '{at}');
            insert into places values (1, '(1,2)');
            """);
    caravan
        .client(
            "blog",
            "create table places (id bigint primary key, place int)",
            """
            [{"source": "public.places", "table": "public.places", "key": {"id": "id"}, "columns": {"place": "at"}}]
            """)
        .start();
    awaitPausedAndTriedAgain();
    assertThat((String) state().get("why"))
        .contains("the column \"place\" is integer, and at of central is point");

    caravan
        .database("blog")
        .execute("alter table places drop place; alter table places add place point");

    caravan.awaitEqual("table places", "blog", "table places");
  }

  @Test
  void aLoginThatIsRefusedPausesTheClientUntilItIsGranted() {
    caravan.client("blog", MEMBERS, MAPPING);
    Database blog = caravan.database("blog");
    String login = "hub_of_" + blog.name();
    caravan.set("blog.url", blog.url().replace("user=postgres", "user=" + login));
    caravan.set("blog.password", "open sesame");
    caravan.start();
    awaitPausedAndTriedAgain();
    assertThat(state()).containsEntry("connected", false);

    blog.execute("create role " + login + " superuser login");

    awaitInStep();
    assertThat(states())
        .containsExactly("WARN paused: role \"" + login + "\" does not exist", "INFO live");
  }

  @Test
  void aClientThatRefusesTooMuchIsPausedUntilItTakesIt() {
    Database blog = startBlog(MEMBERS);
    awaitInStep();
    blog.execute("alter table members add constraint closed check (id < 3)");
    caravan.central().execute("insert into users select n, 'n' from generate_series(3, 1100) as n");
    awaitPausedAndTriedAgain();
    assertThat((String) state().get("why")).contains("refuses more than 1000 changes");

    blog.execute("alter table members drop constraint closed");
    caravan.central().execute("select caravan.replay()");

    awaitInStep();
  }

  @Test
  void aClientThatCannotBeServedBecauseOfCentralSaysSo() {
    caravan
        .client("blog", MEMBERS, MAPPING)
        .central()
        .execute("select caravan.untrack('public.users')");
    caravan.start();

    await().untilAsserted(() -> assertThat(state()).containsEntry("state", "paused"));
    assertThat((String) state().get("why"))
        .startsWith("central: central does not track the source public.users");
    assertThat(state()).containsEntry("connected", true);
  }

  @Test
  void aClientThatStandsIsLive() {
    startBlog(MEMBERS);

    awaitInStep();

    assertThat(state()).containsEntry("why", "").containsEntry("flowing", true);
    assertThat(states()).containsExactly("INFO live");
  }

  private Database startBlog(String ddl) {
    caravan.client("blog", ddl, MAPPING).start();
    return caravan.database("blog");
  }

  private void awaitPausedAndTriedAgain() {
    awaitLong()
        .untilAsserted(
            () -> {
              assertThat(state()).containsEntry("state", "paused");
              assertThat((int) state().get("failures")).isGreaterThan(2);
            });
  }

  private void awaitInStep() {
    awaitLong()
        .untilAsserted(
            () ->
                assertThat(caravan.database("blog").query("table members order by id"))
                    .isEqualTo(caravan.central().query("table users order by id")));
    awaitLong().untilAsserted(() -> assertThat(state()).containsEntry("state", "live"));
  }

  /** What was logged of the client's states. */
  private List<String> states() {
    return log.lines().stream().filter(line -> line.matches("WARN paused.*|INFO live")).toList();
  }

  private Map<String, Object> state() {
    return caravan
        .hub()
        .getCamelContext()
        .getRegistry()
        .lookupByNameAndType("clients", Clients.class)
        .status("blog");
  }

  private static ConditionFactory awaitLong() {
    return await().atMost(Duration.ofMinutes(1));
  }
}
