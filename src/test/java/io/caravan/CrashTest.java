package io.caravan;

import static org.awaitility.Awaitility.await;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Central's server crashes: what it had not written to its log yet is gone, and the ids of those
 * transactions are given out again.
 */
@Tag("slow")
class CrashTest {
  private Postgres centralServer;
  private Caravan caravan;

  @AfterEach
  void stop() {
    caravan.close();
    centralServer.close();
  }

  /**
   * With synchronous commit only what was rolled back is gone; without, also what was committed.
   */
  @ParameterizedTest
  @ValueSource(strings = {"on", "off"})
  void clientsFollowACentralThatHasCrashed(String synchronousCommit) throws SQLException {
    given(synchronousCommit);
    try (Connection busy = caravan.database("blog").dataSource().getConnection();
        Statement statement = busy.createStatement()) {
      busy.setAutoCommit(false);
      statement.execute("lock table members in access exclusive mode");
      central("update users set name = 'before the crash' where id = 1");
      await().until(this::hubWaits);
      central("update users set name = 'before the crash' where id = 2");
      for (int i = 0; i < 50; i++) {
        central("begin; update users set name = 'never' where id = 3; rollback");
      }
    }
    awaitEqual();
    caravan.stop();

    centralServer.crash();
    centralServer.start();
    for (int id = 1; id <= 100; id++) {
      central("update users set name = 'after the crash' where id > 10 and id = " + id);
    }
    caravan.start();

    awaitEqual();
  }

  private void given(String synchronousCommit) {
    centralServer =
        new Postgres(Map.of("synchronous_commit", synchronousCommit, "wal_writer_delay", "10s"));
    caravan = new Caravan(centralServer).set("caravan.compact", "3600000");
    central(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users select i, 'user ' || i from generate_series(1, 100) as i;
        """);
    caravan.client(
        "blog",
        "create table members (user_id int primary key, nickname text)",
        """
        [{"source": "public.users", "table": "public.members", "key": {"user_id": "id"},
          "columns": {"nickname": "name"}}]
        """);
    central("set synchronous_commit = on; select caravan_internal.compact()");
    caravan.start();
    awaitEqual();
  }

  /** Whether it has read a page that it can't apply yet. */
  private boolean hubWaits() {
    return !caravan
        .database("blog")
        .query("select from pg_locks where database is not null and not granted")
        .isEmpty();
  }

  private void central(String sql) {
    caravan.central().execute(sql);
  }

  private void awaitEqual() {
    caravan.awaitEqual(
        "select id, name from users order by id",
        "blog",
        "select user_id, nickname from members order by user_id");
  }
}
