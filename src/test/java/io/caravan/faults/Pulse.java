package io.caravan.faults;

import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Feels central's heartbeat at one client, twenty times a second. */
final class Pulse implements AutoCloseable {
  private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor();
  private final Future<?> work;
  private final Database client;
  private Connection connection;
  private volatile long oldest;

  Pulse(Database client) {
    this.client = client;
    work = thread.scheduleWithFixedDelay(this::feel, 0, 50, TimeUnit.MILLISECONDS);
  }

  /** From now on. */
  void reset() {
    if (work.isDone()) {
      throw new IllegalStateException("the pulse of " + client.name() + " is not felt any more");
    }
    oldest = 0;
  }

  /** The highest age of the newest heartbeat that had arrived, in milliseconds, since the reset. */
  long oldest() {
    return oldest;
  }

  @Override
  public void close() {
    thread.shutdownNow();
  }

  private void feel() {
    try {
      if (connection == null) {
        connection = client.dataSource().getConnection();
      }
      try (Statement statement = connection.createStatement();
          ResultSet beat =
              statement.executeQuery(
                  "select (extract(epoch from clock_timestamp() - at) * 1000)::bigint from beat")) {
        if (beat.next()) {
          oldest = Math.max(oldest, beat.getLong(1));
        }
      }
    } catch (SQLException e) {
      connection = null; // the client is down
    }
  }
}
