package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.caravan.Postgres.Database;
import io.caravan.client.Mapping;
import io.caravan.client.SweptKeys;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import org.junit.jupiter.api.Test;

/** After another history of central, clients show it their keys, and what is gone is deleted. */
class SweepTest {
  private static final String FILTERED =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name"}, "where": "site = ''blog''"}]
      """;

  private final Database central = Postgres.shared().createDatabase("central");
  private final Database client = Postgres.shared().createDatabase("client");

  @Test
  void aFilteredClientAsksAPersonBeforeItLosesMuchOfWhatItHas() {
    blogOf(10_000, 1_300);
    losesUsersOfTheBlog(1_000);

    assertThatThrownBy(this::pump)
        .hasMessageContaining("1000 of the 1300 rows")
        .hasMessageContaining("public.users");
    assertThat(client.value("select count(*) from members")).isEqualTo("1300");
    assertThatThrownBy(this::pump).hasMessageContaining("1000 of the 1300 rows");

    client.execute(ByHand.CONFIRM.formatted("blog"));
    pump();

    assertThat(client.value("select count(*) from members")).isEqualTo("300");
  }

  @Test
  void aFilteredClientLosesWhatIsGoneWhereThatIsLittle() {
    blogOf(10_000, 1_300);
    losesUsersOfTheBlog(100);

    pump();

    assertThat(client.value("select count(*) from members")).isEqualTo("1200");
  }

  @Test
  void aPersonWhoConfirmsWhileKeysAreCountedIsHeard() {
    blogOf(10_000, 1_300);
    losesUsersOfTheBlog(1_000);
    while (!cursor().contains("\"gone\"")) {
      assertThat(page()).isTrue();
    }
    client.execute(ByHand.CONFIRM.formatted("blog"));

    pump();

    assertThat(client.value("select count(*) from members")).isEqualTo("300");
  }

  private void blogOf(int users, int ofTheBlog) {
    central.install(Path.of("sql/central"));
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
    assertThat(client.value("select count(*) from members")).isEqualTo("" + ofTheBlog);
  }

  /** As when an older backup is restored. */
  private void losesUsersOfTheBlog(int count) {
    central.execute("delete from users where id <= " + count + "; delete from caravan.life");
  }

  private void pump() {
    while (page()) {}
  }

  /** Brings the next page to the client; whether there is more. */
  private boolean page() {
    try (ByHand hand = new ByHand(central, client, "blog", FILTERED.replace("''", "'"))) {
      return hand.page();
    } catch (SQLException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  private String cursor() {
    return client.value("select cursor from caravan.cursor");
  }

  @Test
  void aKeyThatIsAnArrayIsItsText() throws Exception {
    central.install(Path.of("sql/central"));
    central.execute(
        """
        create table tags (tag text[], n int, primary key (tag, n));
        select caravan.track('tags', '{}');
        insert into tags values ('{a,"b c"}', 7);
        """);
    client.makeTables();
    client.execute(
        """
        create table tags (tag text[], n int, primary key (tag, n));
        insert into tags values ('{a,"b c"}', 7);
        """);

    String keys = sweptKeys("null");

    assertThat(keys)
        .contains("\"keys\": " + central.value("select jsonb_agg(key) from caravan.change"))
        .contains("[[\"{a,\\\"b c\\\"}\", 7]]");
    assertThat(sweptKeys("[\"{a}\", 9]")).contains("\"keys\": [[");
    assertThat(sweptKeys("[\"{a,\\\"b c\\\"}\", 7]")).contains("\"keys\": []");
  }

  private String sweptKeys(String after) throws Exception {
    try (Connection connection = client.dataSource().getConnection()) {
      return SweptKeys.next(
          connection,
          "client",
          Mapping.parse(
              """
              [{"source": "public.tags", "table": "public.tags", "rows": "central",
                "key": {"tag": "tag", "n": "n"}, "columns": {}}]
              """),
          new ObjectMapper()
              .readTree(
                  "{\"source\": \"public.tags\", \"key\": [\"tag\", \"n\"], \"target\": 0, \"after\": %s}"
                      .formatted(after)),
          10);
    }
  }
}
