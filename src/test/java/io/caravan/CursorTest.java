package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import io.caravan.client.Cursor;
import io.caravan.read.Answer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** A cursor says what its client reflects: no more, and only in the history that it is from. */
class CursorTest {
  private static final String FUTURE = "4000000000";

  private Database central = Postgres.shared().createDatabase("central");
  private Cursor cursor;

  @Test
  void aSnapshotThatHasNotHappenedDoesNotEndAWindow() {
    users(3);
    readAll();

    List<String> pages = read(1000, FUTURE + ":" + FUTURE + ":");
    central.execute("update users set name = 'new' where id = 2");

    assertThat(pages).isEmpty();
    assertThat(readAll()).containsExactly("public.users [2]");
  }

  @Test
  void theWatermarkThatAnOlderHubHasNotedIsKept() {
    String watermark = "2026-11-27T03:00:00+00:00";

    Cursor older =
        Cursor.parse(
            "{\"epoch\": \"e\", \"snapshot\": \"1:1:\", \"milestone\": \"%s\"}"
                .formatted(watermark));

    assertThat(Cursor.parse(older.json()).watermark()).isEqualTo(watermark);
  }

  @Test
  void aCursorWithinAWindowOfTheFutureIsNotKnown() {
    users(3);
    readAll();
    central.execute("update users set name = 'new'");
    read(1, null);
    cursor =
        cursor.at(
            cursor.snapshot(),
            cursor.watermark(),
            new Cursor.Window(FUTURE + ":" + FUTURE + ":", 0, cursor.window().last()));

    assertThat(readAll()).containsExactly("all 3 rows of public.users, in");
  }

  @Test
  void theLogOfAnotherClusterDoesNotKeepTheHubAwakeNorItsClientsRefilled() {
    users(3);
    central.execute("select caravan_internal.compact()");
    arriveInAnotherCluster();

    assertThat(readAll()).containsExactly("all 3 rows of public.users, in");
    assertThat(readAll()).isEmpty();
    assertThat(
            central.value(
                "select changed from (select snapshot from caravan_internal.changes_since(null)) as s, caravan_internal.changes_since(s.snapshot) as n"))
        .isEqualTo("f");
    central.execute("update users set name = 'new' where id = 2");
    assertThat(readAll()).containsExactly("public.users [2]");
  }

  @Test
  void whatAnotherClusterHasForgottenDoesNotMatter() {
    users(3);
    central.execute("update caravan_internal.compaction set horizon = '" + FUTURE + "'");
    arriveInAnotherCluster();

    assertThat(readAll()).containsExactly("all 3 rows of public.users, in");
    central.execute("update users set name = 'new' where id = 2");
    assertThat(readAll()).containsExactly("public.users [2]");
  }

  @Test
  void aDeletionIsRememberedForAsLongAsACursorMayComeFromBeforeIt() throws SQLException {
    users(15_000);
    try (Connection other = central.dataSource().getConnection()) {
      other.setAutoCommit(false);
      other.createStatement().execute("select pg_current_xact_id()");
      central.execute("delete from users where id <= 100");
      forgetDeletions();
      readAll();
      central.execute("update users set name = 'new' where id = 200");

      assertThat(readAll()).containsExactly("public.users [200]");
    }
    forgetDeletions();
    assertThat(central.value("select count(*) from caravan.change where (key ->> 0)::int <= 100"))
        .isEqualTo("0");
    readAll();
    central.execute("update users set name = 'newer' where id = 200");
    assertThat(readAll()).containsExactly("public.users [200]");
  }

  @Test
  void aCursorHoldsWhenTheServerIsStartedAgain() {
    try (Postgres server = new Postgres(Map.of())) {
      central = server.createDatabase("central");
      users(3);
      readAll();
      server.stop();
      server.start();
      central.execute("update users set name = 'new' where id = 2");

      assertThat(readAll()).containsExactly("public.users [2]");
    }
  }

  @Test
  void aCursorDoesNotHoldInAColdCopyFromBeforeIt() {
    try (Postgres server = new Postgres(Map.of())) {
      central = server.createDatabase("central");
      users(3);
      readAll();
      server.stop();
      Path copy = server.backUp();
      server.start();
      central.execute("update users set name = 'lost' where id = 2");
      readAll();
      Cursor seen = cursor;

      server.stop();
      server.restore(copy);
      server.start();
      manyTransactions();

      assertThat(readAll()).containsExactly("all 3 rows of public.users, in");
      cursor = seen;
      assertThat(readAll()).containsExactly("all 3 rows of public.users, in");
    }
  }

  @Test
  void aCursorDoesNotHoldInAColdCopyThatWasMadeWithinAWindow() {
    try (Postgres server = new Postgres(Map.of())) {
      central = server.createDatabase("central");
      users(3);
      readAll();
      central.execute("update users set name = 'new'");
      read(1, null);
      server.stop();
      Path copy = server.backUp();
      server.start();
      central.execute("update users set name = 'lost' where id = 2");
      read(1, null);

      server.stop();
      server.restore(copy);
      server.start();
      manyTransactions();

      assertThat(readAll()).containsExactly("all 3 rows of public.users, in");
    }
  }

  @Test
  void aCopyOfADatabaseIsAnotherHistoryThoughItsServerIsTheSame() {
    users(3);
    readAll();
    copy();

    assertThat(readAll()).containsExactly("all 3 rows of public.users, in");
  }

  private void users(int count) {
    central.install(Path.of("sql/central"));
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users select i, 'user ' || i from generate_series(1, %d) as i;
        """
            .formatted(count));
  }

  /** What is dumped and restored into a new cluster keeps the transaction ids of the old one. */
  private void arriveInAnotherCluster() {
    central.execute(
        "update caravan.change set xid = '%1$s'; update caravan_internal.watermark set xid = '%1$s'"
            .formatted(FUTURE));
    copy();
  }

  private void copy() {
    Database original = central;
    central = new Database(original.port(), original.name() + "_copy");
    new Database(original.port(), "postgres")
        .execute("create database " + central.name() + " template " + original.name());
  }

  private void forgetDeletions() {
    central.execute("select caravan_internal.compact()");
    central.execute("update caravan_internal.watermark set at = at - interval '40 days'");
    central.execute("update users set name = 'a' where id > 100");
    central.execute("update users set name = 'b' where id > 100");
    while (!central.value("select caravan_internal.compact(100000)").equals("0")) {}
  }

  private void manyTransactions() {
    for (int i = 0; i < 50; i++) {
      central.execute("select pg_current_xact_id()");
    }
  }

  /** Reads until there is no more; what the pages bring, in words, up to the seconds they took. */
  private List<String> readAll() {
    List<String> pages = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      List<String> more = read(100_000, null);
      pages.addAll(more);
      if (more.isEmpty()) {
        return pages;
      }
    }
    throw new AssertionError("does not end: " + pages.subList(0, 5));
  }

  /** Reads and applies one page. */
  private List<String> read(int rows, String until) {
    Answer page =
        new Reading(central.dataSource())
            .page(cursor, Reading.of("public.users"), rows, 10_000_000, until);
    cursor = page.cursor();
    return page.progress() == null
        ? List.of()
        : List.of(page.progress().replaceAll(", in .*", ", in"));
  }
}
