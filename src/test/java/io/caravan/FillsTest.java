package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Fills.Place;
import io.caravan.Postgres.Database;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** How the pages of a fill are read. */
class FillsTest {
  private static final String READ =
      "select cursor::text, page, progress, more::text from caravan.read(?::jsonb, ?::jsonb, ?, ?)";
  private static final Place START =
      new Place(null, "[{\"source\": \"public.users\", \"fingerprint\": \"f\"}]", 2, 1_000_000);

  private final Database central = Postgres.shared().createDatabase("central");
  private final Queue<Runnable> ahead = new ArrayDeque<>();
  private final Fills fills = new Fills(this::read, ahead::add);
  private int reads;
  private boolean isDown;

  @BeforeEach
  void users() {
    central.install(Path.of("sql/central"));
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users select n, 'user' || n from generate_series(1, 5) as n;
        """);
  }

  @Test
  void whileAPageIsAppliedTheNextOneIsRead() throws CentralFailure {
    Page first = fills.next("blog", START);
    readAhead();
    central.execute("update users set name = 'too late'");

    Page second = fills.next("blog", after(first));

    assertThat(pageOf(first)).contains("user1", "user2").doesNotContain("user3");
    assertThat(pageOf(second)).contains("user3", "user4").doesNotContain("user5");
  }

  @Test
  void nothingIsReadBeyondTheLastPage() throws CentralFailure {
    Page page = fills.next("blog", START);
    readAhead();
    page = fills.next("blog", after(page));
    readAhead();
    page = fills.next("blog", after(page));

    assertThat(pageOf(page)).contains("user5");
    assertThat(page.row().get("cursor").toString()).doesNotContain("\"fill\"");
    assertThat(ahead).isEmpty();
    assertThat(reads).isEqualTo(3);
  }

  @Test
  void aClientThatCouldNotApplyAPageGetsItAnew() throws CentralFailure {
    Page first = fills.next("blog", START);
    readAhead();
    fills.next("blog", after(first));
    readAhead();
    central.execute("update users set name = 'newer' where id = 3");

    Page again = fills.next("blog", after(first));

    assertThat(pageOf(again)).contains("newer", "user4");
  }

  @Test
  void aClientDoesNotGetThePageOfAnother() throws CentralFailure {
    Page first = fills.next("blog", START);
    readAhead();
    central.execute("delete from users where id = 3");

    Page second = fills.next("shop", after(first));

    assertThat(pageOf(second)).contains("user4", "user5");
  }

  @Test
  void whatFailsAheadIsToldToTheClientAndReadAgainWhenItAsksAgain() throws CentralFailure {
    Page first = fills.next("blog", START);
    isDown = true;
    readAhead();
    isDown = false;

    assertThatThrownBy(() -> fills.next("blog", after(first)))
        .isInstanceOf(CentralFailure.class)
        .hasMessageContaining("central is down");
    assertThat(pageOf(fills.next("blog", after(first)))).contains("user3", "user4");
  }

  @Test
  void notForAllOfManyClientsIsReadAhead() throws CentralFailure {
    for (int n = 1; n <= 10; n++) {
      fills.next("client" + n, START);
    }

    assertThat(ahead).hasSize(4);
  }

  private void readAhead() {
    ahead.remove().run();
  }

  private static String pageOf(Page page) {
    return page.row().get("page").toString();
  }

  private static Place after(Page page) {
    return START.at((String) page.row().get("cursor"));
  }

  private Page read(Place place) throws CentralFailure {
    if (isDown) {
      throw new CentralFailure(new SQLException("central is down"));
    }
    reads++;
    try (Connection connection = central.dataSource().getConnection();
        PreparedStatement statement = connection.prepareStatement(READ)) {
      statement.setString(1, place.cursor());
      statement.setString(2, place.sources());
      statement.setInt(3, place.pageRows());
      statement.setInt(4, place.pageBytes());
      try (ResultSet result = statement.executeQuery()) {
        result.next();
        Map<String, Object> row = new HashMap<>();
        for (String column : new String[] {"cursor", "page", "progress", "more"}) {
          row.put(column, result.getString(column));
        }
        return new Page(row, System.nanoTime(), Optional.empty());
      }
    } catch (SQLException e) {
      throw new CentralFailure(e);
    }
  }
}
