package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import io.caravan.client.Cursor;
import io.caravan.read.Answer;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The change log stays small, however long a client is away. */
@Tag("slow")
class CompactTest {
  private static final String LOOKED_AT =
      "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relid = 'caravan.change'::regclass";

  private final Database central = Postgres.shared().createCentral();

  @BeforeEach
  void tenThousandUsers() {
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users select i, 'user ' || i from generate_series(1, 10000) as i;
        """);
  }

  @Test
  void aMillionUpdatesOfTenThousandKeysLeaveAnEntryAKey() {
    for (int i = 0; i < 100; i++) {
      central.execute("update users set name = 'name " + i + "'");
      cleanOnce();
    }
    compact();

    assertThat(count("caravan.change")).isLessThanOrEqualTo(20_000);
    assertThat(number("select count(distinct key) from caravan.change")).isEqualTo(10_000);
    assertThat(
            number(
                "select count(*) from caravan.change where id > (select max(id) - 10000 from caravan.change)"))
        .isEqualTo(10_000);
  }

  @Test
  void whatIsNewIsFoundWithoutWalkingThroughTheLog() throws SQLException {
    central.execute("update users set name = 'new'; update users set name = 'newer'");
    Cursor cursor =
        new Reading(central.dataSource()).page(null, Reading.of("public.users"), 20_000).cursor();
    central.execute("update users set name = 'newest' where id = 42");

    try (Connection hub = central.dataSource().getConnection();
        Statement statement = hub.createStatement()) {
      hub.setAutoCommit(false);
      Reading reading = Reading.on(hub);
      for (int i = 0; i < 20; i++) { // from the sixth on, PostgreSQL may keep the plan
        reading.page(cursor, Reading.of("public.users"), 20_000);
      }
      ResultSet looked = statement.executeQuery(LOOKED_AT);
      looked.next();
      assertThat(looked.getLong(1)).isBetween(20L, 200L);
    }
  }

  @Test
  void aBacklogIsWalkedThroughOnceHoweverManyPagesItHas() throws SQLException {
    Cursor cursor =
        new Reading(central.dataSource()).page(null, Reading.of("public.users"), 20_000).cursor();
    try (Connection hub = central.dataSource().getConnection();
        Statement statement = hub.createStatement()) {
      hub.setAutoCommit(false);
      Reading reading = Reading.on(hub);
      reading.page(cursor, Reading.of("public.users"), 100); // with a plan for the small log
      central.execute("update users set name = 'new'");

      int pages = 0;
      boolean hasMore;
      do {
        Answer page = reading.page(cursor, Reading.of("public.users"), 100);
        cursor = page.cursor();
        hasMore = page.hasMore();
        pages++;
      } while (hasMore);

      ResultSet looked = statement.executeQuery(LOOKED_AT);
      looked.next();
      assertThat(pages).isGreaterThan(100);
      assertThat(looked.getLong(1)).isBetween(10_000L, 50_000L);
    }
  }

  @Test
  void whatIsBeforeATruncateIsSuperseded() {
    central.execute("truncate users; insert into users values (1, 'new')");
    central.execute("insert into users select i, 'again' from generate_series(2, 5000) as i");

    compact();

    assertThat(count("caravan.change")).isEqualTo(5_001);
  }

  @Test
  void aDeletionIsRememberedForAsLongAsConfiguredAndThenForgotten() {
    central.execute("delete from users where id <= 100");
    central.execute("update users set name = 'new'");
    compact();
    assertThat(number("select count(*) from caravan.change where (key ->> 0)::int <= 100"))
        .isEqualTo(100);

    central.execute("update caravan_internal.watermark set at = at - interval '40 days'");
    central.execute("update users set name = 'newer'; update users set name = 'newest'");
    compact();

    assertThat(number("select count(*) from caravan.change where (key ->> 0)::int <= 100"))
        .isZero();
    assertThat(central.value("select horizon > '0' from caravan_internal.compaction"))
        .isEqualTo("t");
  }

  @Test
  void aWriterInTheMiddleOfItsTransactionNeitherWaitsNorLosesItsEntry() throws SQLException {
    try (Connection writer = central.dataSource().getConnection()) {
      writer.setAutoCommit(false);
      writer.createStatement().execute("update users set name = 'mine' where id = 42");
      central.execute("update users set name = 'theirs' where id <> 42");

      compact();
      writer
          .createStatement()
          .execute("update users set name = 'mine too' where id = 43 or id = 42");
      writer.commit();
    }

    assertThat(
            central.value(
                "select (select max(id) from caravan.change where key = '[42]') >"
                    + " (select max(id) from caravan.change where key = '[41]')"))
        .isEqualTo("t");
  }

  @Test
  void theLogIsCleanedQuicklyWhateverPostgresTakesItFor() throws SQLException {
    try (Connection importer = central.dataSource().getConnection()) {
      importer.setAutoCommit(false);
      importer.createStatement().execute("truncate users");
      importer
          .createStatement()
          .execute("insert into users select i, 'n' from generate_series(1, 100000) as i");
      importer.createStatement().execute("update users set name = 'm' where id > 90000");
      central.execute("delete from caravan.change");
      central.execute("analyze caravan.change"); // it sees none of the import's entries
      importer.commit();
    }

    for (int batch = 0; batch < 6; batch++) {
      central.execute("set statement_timeout = '10s'; select caravan_internal.compact(2000)");
    }

    assertThat(count("caravan.change")).isEqualTo(100_001);
  }

  private void compact() {
    long removed;
    do {
      removed = cleanOnce();
    } while (removed > 0);
  }

  private long cleanOnce() {
    return number("select caravan_internal.compact(2000)");
  }

  private long count(String table) {
    return number("select count(*) from " + table);
  }

  private long number(String query) {
    return Long.parseLong(central.value(query));
  }
}
