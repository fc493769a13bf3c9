package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.SQLException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What is sent once more does not stand in for what a writer is about to commit. */
class ReplayRaceTest {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name"}}]
      """;

  private final Database central = Postgres.shared().createCentral();
  private final Database blog = Postgres.shared().createDatabase("blog");

  @BeforeEach
  void twoUsers() {
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users values (1, 'Ada'), (2, 'Bob');
        """);
    blog.makeTables();
    blog.execute("create table members (id int primary key, name varchar(10))");
  }

  @Test
  void aReplayDoesNotSupersedeWhatAWriterIsAboutToCommit() throws SQLException {
    try (ByHand pump = new ByHand(central, blog, "blog", MAPPING);
        Connection writer = central.dataSource().getConnection()) {
      central.execute("update users set name = 'too long for the blog' where id = 2");
      pump.pump();
      writer.setAutoCommit(false);
      writer.createStatement().execute("update users set name = 'right' where id = 2");

      central.execute("select caravan.replay()");
      pump.pump();
      writer.commit();
      compact();
      pump.pump();
    }

    assertThat(blog.value("select name from members where id = 2")).isEqualTo("right");
  }

  @Test
  void aRepairDoesNotSupersedeWhatAWriterIsAboutToCommit() throws SQLException {
    try (ByHand pump = new ByHand(central, blog, "blog", MAPPING);
        Connection writer = central.dataSource().getConnection()) {
      pump.pump();
      blog.execute("update members set name = 'bad' where id = 2");
      writer.setAutoCommit(false);
      writer.createStatement().execute("update users set name = 'right' where id = 2");

      assertThat(pump.reconcile()).startsWith("done").contains(" 1 repaired");
      writer.commit();
      compact();
      pump.pump();
    }

    assertThat(blog.value("select name from members where id = 2")).isEqualTo("right");
  }

  @Test
  void theLogStaysAsSmallHoweverOftenAKeyIsSentOnceMore() throws SQLException {
    try (ByHand pump = new ByHand(central, blog, "blog", MAPPING)) {
      central.execute("update users set name = 'too long for the blog' where id = 2");
      pump.pump();
      for (int i = 0; i < 10; i++) {
        central.execute("select caravan.replay()");
      }
      compact();
      assertThat(entries()).isEqualTo("3");
      pump.pump();
      assertThat(central.value("select attempts from caravan.dead_letter")).isEqualTo("2");

      central.execute("update users set name = 'fits' where id = 2");
      compact();
      assertThat(entries()).isEqualTo("2");
      central.execute("select caravan.replay(); truncate users");
      compact();
      assertThat(entries()).isEqualTo("1");
    }
  }

  /** As when the log has grown. */
  private void compact() {
    central.execute("update caravan_internal.compaction set newest = -1000000");
    while (!central.value("select caravan_internal.compact()").equals("0")) {}
  }

  private String entries() {
    return central.value("select count(*) from caravan.change");
  }
}
