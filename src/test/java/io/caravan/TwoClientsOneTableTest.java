package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Two clients that fill the same table would delete each other's rows: one of them is refused. */
@Tag("slow")
class TwoClientsOneTableTest extends WithBlog {
  private static final String MEMBERS = "create table members (id int primary key, name text)";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name"}, "where": "name like '%s%%'"}]
      """;
  private static final String USERS =
      "select id, name from users where name like '%s%%' order by id";

  @BeforeEach
  void users() {
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users values (1, 'Ada'), (2, 'Bob');
        """);
  }

  @Test
  void theSecondIsPausedAndSaysWhoHasTheTable() {
    startBlog();
    awaitEqual(USERS.formatted("A"), "table members");

    caravan.map("shop", MAPPING.formatted("B"));

    awaitLong()
        .untilAsserted(
            () ->
                assertThat((String) state(caravan, "shop").get("why"))
                    .contains("the client blog fills public.members")
                    .contains("delete from caravan.cursor where client = 'blog'"));
    central.execute("update users set name = 'A. Lovelace' where id = 1");
    awaitEqual(USERS.formatted("A"), "table members");
  }

  @Test
  void theSecondTakesItOverWhenTheFirstIsNoMore() {
    startBlog();
    awaitEqual(USERS.formatted("A"), "table members");
    caravan.delete("blog");
    caravan.map("shop", MAPPING.formatted("B"));
    awaitLong()
        .until(() -> String.valueOf(state(caravan, "shop").get("why")).contains("client blog"));

    blog().execute("delete from caravan.cursor where client = 'blog'");

    awaitEqual("table users order by id", "select * from members order by id");
  }

  @Test
  void oneOfTwoThatStartTogetherIsPaused() {
    caravan.client("blog", MEMBERS, MAPPING.formatted("A"));
    caravan.client(blog(), "shop", MAPPING.formatted("B"));

    caravan.start();

    awaitLong()
        .untilAsserted(
            () ->
                assertThat(
                        List.of(state(caravan, "blog"), state(caravan, "shop")).stream()
                            .map((Map<String, Object> state) -> state.get("state")))
                    .containsExactlyInAnyOrder("live", "paused"));
  }

  @Test
  void anEditedMappingTakesNoTableOfAnotherClient() {
    startBlog();
    blog().execute("create table guests (id int primary key, name text)");
    caravan.map("shop", MAPPING.formatted("B").replace("public.members", "public.guests"));
    awaitEqual(USERS.formatted("B"), "table guests");

    caravan.map("shop", MAPPING.formatted("B"));

    awaitLong()
        .until(() -> String.valueOf(state(caravan, "shop").get("why")).contains("client blog"));
    assertThat(blog().query("table members")).isEqualTo(central.query(USERS.formatted("A")));
  }

  /** With what a hub that runs needs to take up another client of the same database. */
  private void startBlog() {
    caravan.client("blog", MEMBERS, MAPPING.formatted("A"));
    caravan.set("shop.url", blog().url()).start();
  }
}
