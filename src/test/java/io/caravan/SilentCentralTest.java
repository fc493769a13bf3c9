package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** A line to central that goes dead is noticed by the heartbeat, whatever waits on it. */
class SilentCentralTest {
  private static final String WAITING_READS =
      "select pid from pg_stat_activity where wait_event_type = 'Lock' and query like 'with given as %'";

  @Test
  void aPumpThatWaitsForAnAnswerThatWillNotComeAsksAgainWithinSeconds()
      throws IOException, SQLException {
    try (Caravan caravan = new Caravan();
        Wire wire = new Wire(caravan.central().port());
        Log log = new Log("caravan.central")) {
      Database central = caravan.central();
      central.execute(
          """
          create table users (id int primary key, name text);
          select caravan.track('users', '{name}');
          insert into users values (1, 'Ada');
          """);
      caravan
          .client(
              "blog",
              "create table members (id bigint primary key, name text)",
              """
              [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
              """)
          .set("central.url", central.url().replace(":" + central.port(), ":" + wire.port()))
          .set("caravan.heartbeat", "500")
          .set("caravan.lockTimeout", "0")
          .start();
      caravan.awaitEqual("table users", "blog", "table members");

      try (Connection user = central.dataSource().getConnection();
          Statement statement = user.createStatement()) {
        user.setAutoCommit(false);
        statement.execute("lock table caravan.dead_letter");
        await().until(() -> !central.query(WAITING_READS).isEmpty());
        wire.silence();
        wire.restore();
      }
      central.execute("update users set name = 'Countess'");

      await()
          .atMost(Duration.ofSeconds(20))
          .untilAsserted(
              () ->
                  assertThat(caravan.database("blog").value("select name from members"))
                      .isEqualTo("Countess"));
      assertThat(log.lines()).anyMatch(line -> line.contains("its connections are cut"));
    }
  }

  @Test
  void aLongReadOfACentralThatAnswersIsNotCut() throws SQLException {
    try (Caravan caravan = new Caravan();
        Log log = new Log("caravan")) {
      Database central = caravan.central();
      central.execute(
          """
          create table users (id int primary key, name text);
          select caravan.track('users', '{name}');
          insert into users values (1, 'Ada');
          """);
      for (String client : new String[] {"a", "b", "c", "d", "e", "f"}) {
        caravan.client(
            client,
            "create table members (id bigint primary key, name text)",
            """
            [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
            """);
      }
      caravan.set("caravan.heartbeat", "200").set("caravan.lockTimeout", "0").start();
      caravan.awaitEqual("table users", "f", "table members");

      try (Connection user = central.dataSource().getConnection();
          Statement statement = user.createStatement()) {
        user.setAutoCommit(false);
        statement.execute("lock table caravan.dead_letter");
        await().until(() -> !central.query(WAITING_READS).isEmpty());
        String read = central.value(WAITING_READS);
        await()
            .during(Duration.ofSeconds(3))
            .atMost(Duration.ofSeconds(10))
            .until(() -> central.query(WAITING_READS).toString().contains(read));
      }

      assertThat(log.lines()).noneMatch(line -> line.contains("connections are cut"));
    }
  }
}
