package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/** What the other clients notice of one that does not answer or takes no connections. */
final class DeadClient implements Section {
  private static final int CLIENTS = 3;
  private static final int RATE = 200;

  @Override
  public void run(Stage stage, Options options, Report report) {
    Report.Case latency =
        report.begin(
            "dead client",
            "latency of the other two of 3 clients, %d changes/s".formatted(RATE),
            "native");
    for (int turn = 0; turn < options.turns(); turn++) {
      for (Contender contender :
          List.of(
              new NativeReplication(stage, CLIENTS),
              new ArticleScript(stage, CLIENTS),
              new CaravanHub(stage, CLIENTS).start())) {
        contender.resume();
        Waiting.untilInStep(contender);
        Turns.warmUpAnew(contender, stage.rows());
        measure(stage, options, contender, latency);
        contender.pause();
        contender.close();
      }
    }
    latency.print();
  }

  private static void measure(
      Stage stage, Options options, Contender contender, Report.Case latency) {
    String name = contender.name();
    Database dead = contender.clients().get(0);
    List<Database> others = contender.clients().subList(1, CLIENTS);
    add(latency, name, "all well", Latency.atRate(stage, options, contender, others, RATE));
    if (!(contender instanceof ArticleScript)) { // which would wait for the one that hangs
      try (Connection locking = dead.dataSource().getConnection();
          Statement statement = locking.createStatement()) {
        locking.setAutoCommit(false);
        statement.execute("lock table users in access exclusive mode");
        add(latency, name, "one hangs", Latency.atRate(stage, options, contender, others, RATE));
        locking.rollback();
      } catch (SQLException e) {
        throw new IllegalStateException(e);
      }
    }
    Database elsewhere = new Database(dead.port(), "postgres");
    elsewhere.execute("alter database %s allow_connections false".formatted(dead.name()));
    elsewhere.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '%s'"
            .formatted(dead.name()));
    add(latency, name, "one is dead", Latency.atRate(stage, options, contender, others, RATE));
    elsewhere.execute("alter database %s allow_connections true".formatted(dead.name()));
  }

  private static void add(Report.Case latency, String name, String state, Delivery delivery) {
    latency
        .add(name, "p50, ms, " + state, delivery.millis().median())
        .add(name, "p99, ms, " + state, delivery.millis().percentile(99));
  }
}
