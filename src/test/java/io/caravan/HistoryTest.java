package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Central or a client is not what it was: restored from a backup, or failed over. */
@Tag("slow")
class HistoryTest {
  private static final String BLOG =
      """
      [{"source": "public.users", "table": "public.members", "key": {"user_id": "id"},
        "columns": {"nickname": "name"}}]
      """;
  private static final String FORUM =
      BLOG.replace("\"columns\"", "\"rows\": \"central\", \"columns\"");

  private static final String WAITING =
      "select count(*) from caravan.reconciliation where state = 'waiting' and reason = 'epoch'";
  private static final String ORIGINAL = "select id, name from users order by id";
  private static final String COPY =
      "select user_id, nickname from members where user_id > 0 order by user_id";

  private final Postgres centralServer = new Postgres(Map.of());
  private final Caravan caravan = new Caravan(centralServer);

  @AfterEach
  void stop() {
    caravan.close();
    centralServer.close();
  }

  @Test
  void clientsFollowACentralThatIsRestoredFromAnOlderBackup() {
    given(100);
    centralServer.stop();
    Path backup = centralServer.backUp();
    centralServer.start();
    central("insert into users values (1000, 'after the backup')");
    central("update users set name = 'changed after the backup' where id = 1");
    central("delete from users where id = 2");
    awaitEqual();
    caravan.stop();

    centralServer.stop();
    centralServer.restore(backup);
    centralServer.start();
    manyTransactions();
    central("update users set name = 'changed in the new history' where id = 3");
    caravan.start();

    awaitEqual();
    assertThat(caravan.database("blog").value("select nickname from members where user_id = -1"))
        .isEqualTo("the blog's own");
  }

  @Test
  void clientsFollowAStandbyThatIsPromotedWithoutTheLastTransactions() {
    given(100);
    centralServer.stop();
    try (Postgres standbyServer = centralServer.standby()) {
      centralServer.start();
      Database standby = caravan.central().on(standbyServer);
      central("insert into users values (500, 'the standby has it')");
      awaitEqual();
      await().until(() -> standby.value("select count(*) from users").equals("101"));
      standbyServer.stop();
      central("insert into users values (1000, 'the standby lacks it')");
      central("update users set name = 'the standby lacks it' where id = 1");
      central("delete from users where id = 2");
      awaitEqual();
      caravan.stop();

      centralServer.stop();
      standbyServer.start();
      standby.execute("select pg_promote()");
      standby.execute("update users set name = 'changed after the promotion' where id = 3");
      caravan.set("central.url", standby.url()).start();

      for (String client : new String[] {"blog", "forum"}) {
        await()
            .atMost(Duration.ofMinutes(1))
            .untilAsserted(
                () ->
                    assertThat(caravan.database(client).query(COPY))
                        .isEqualTo(standby.query(ORIGINAL)));
      }
    }
  }

  @Test
  void aCentralThatIsSuddenlyNearlyEmptyDoesNotEmptyItsClients() {
    given(2000);
    centralServer.stop();
    Path backup = centralServer.backUp();
    centralServer.start();
    central("insert into users select i, 'later' from generate_series(10000, 15000) as i");
    awaitEqual();
    caravan.stop();

    centralServer.stop();
    centralServer.restore(backup);
    centralServer.start();
    // A run of the backup may seem to be under way: its hub counts as alive for two minutes.
    central("update caravan.reconciliation set alive_at = alive_at - interval '1 hour'");
    caravan.start();
    await().atMost(Duration.ofMinutes(1)).until(() -> caravan.central().value(WAITING).equals("2"));
    assertThat(caravan.database("blog").value("select count(*) from members where user_id > 0"))
        .isEqualTo("7001");

    central("insert into users values (20000, 'goes on while a person is asked')");
    await()
        .until(
            () ->
                caravan
                    .database("blog")
                    .value("select count(*) from members where user_id = 20000")
                    .equals("1"));
    central("select caravan.confirm(id) from caravan.reconciliation where state = 'waiting'");

    awaitEqual();
  }

  @Test
  void aClientThatIsRestoredFromAnOlderBackupCatchesUp() {
    given(100);
    Map<String, String> older =
        Map.of(
            "cursor", "caravan.cursor", "replicated", "caravan.replicated", "members", "members");
    older.forEach(
        (name, table) ->
            caravan.database("blog").execute("create table old_" + name + " as table " + table));
    central("insert into users values (1000, 'after the backup')");
    central("update users set name = 'changed after the backup' where id = 1");
    central("delete from users where id = 2");
    awaitEqual();
    caravan.stop();

    older.forEach(
        (name, table) ->
            caravan
                .database("blog")
                .execute("truncate " + table + "; insert into " + table + " table old_" + name));
    caravan.start();

    awaitEqual();
  }

  @Test
  void aClientThatWasAwayLongerThanDeletionsAreRememberedIsCompared() {
    given(100);
    caravan.stop();
    central("select caravan_internal.compact()");
    central("delete from users where id <= 10");
    central("select caravan_internal.compact()");
    central(
        "update caravan_internal.watermark set at = at - interval '40 days', newest = newest + 10");
    central("update users set name = name || '.' from generate_series(1, 2)");
    for (int i = 0; i < 120; i++) {
      central("update users set name = name || '.'");
    }
    central("select caravan_internal.compact()");
    assertThat(
            caravan
                .central()
                .value("select count(*) from caravan.change where (key ->> 0)::int <= 10"))
        .isEqualTo("0");
    caravan.start();

    awaitEqual();
  }

  private void given(int users) {
    central(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users select i, 'user ' || i from generate_series(1, %d) as i;
        """
            .formatted(users));
    caravan.client(
        "blog",
        """
        create table members (user_id int primary key, nickname text);
        insert into members values (-1, 'the blog''s own');
        """,
        BLOG);
    caravan.client("forum", "create table members (user_id int primary key, nickname text)", FORUM);
    caravan.start();
    awaitEqual();
  }

  /** So many that the transactions of the lost future are overtaken. */
  private void manyTransactions() {
    for (int i = 0; i < 200; i++) {
      central("select pg_current_xact_id()");
    }
  }

  private void central(String sql) {
    caravan.central().execute(sql);
  }

  private void awaitEqual() {
    for (String client : new String[] {"blog", "forum"}) {
      caravan.awaitEqual(ORIGINAL, client, COPY);
    }
  }
}
