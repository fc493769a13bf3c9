package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.LockSupport;
import org.postgresql.PGConnection;

/**
 * Sessions in central that write, each a thread with a prepared statement; each write is a
 * transaction.
 */
final class Writers implements AutoCloseable {
  static final String TRACKED = "update users set name = ? where id = ?";
  static final String UNTRACKED = "update users set remark = ? where id = ?";

  private final int rows;
  private final ExecutorService threads;
  private final List<Connection> sessions = new ArrayList<>();
  private final List<PreparedStatement> statements = new ArrayList<>();
  private final long firstPid;

  /**
   * Connects them.
   *
   * @param sql takes a new name and an id
   */
  Writers(Database central, int count, int rows, String sql) {
    this.rows = rows;
    threads = Executors.newFixedThreadPool(count);
    try {
      for (int n = 0; n < count; n++) {
        Connection session = central.dataSource().getConnection();
        sessions.add(session);
        statements.add(session.prepareStatement(sql));
      }
      firstPid = sessions.get(0).unwrap(PGConnection.class).getBackendPID();
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Each writes to rows at random, one after another without a pause, for some time. */
  Pace writeFor(Duration time) {
    Processes.Cores before = Processes.coresOf(firstPid);
    long start = System.nanoTime();
    long end = start + time.toNanos();
    List<long[]> all =
        together(
            writer -> {
              PreparedStatement statement = statements.get(writer);
              long[] nanos = new long[1024];
              int count = 0;
              for (long now = System.nanoTime(); now < end; ) {
                write(statement, 1 + ThreadLocalRandom.current().nextInt(rows));
                long then = now;
                now = System.nanoTime();
                nanos = count == nanos.length ? Arrays.copyOf(nanos, 2 * count) : nanos;
                nanos[count++] = now - then;
              }
              return Arrays.copyOf(nanos, count);
            });
    double seconds = (System.nanoTime() - start) / 1e9;
    Processes.Cores used = Processes.coresOf(firstPid).since(before);
    double microsOfFirst = 1e6 / all.get(0).length;
    double[] millis =
        all.stream().flatMapToLong(Arrays::stream).mapToDouble(nanos -> nanos / 1e6).toArray();
    return new Pace(
        millis.length / seconds,
        Sample.of(millis).median(),
        used.atWork() * microsOfFirst,
        used.waiting() * microsOfFirst);
  }

  /** Writes to each of these rows once, all sessions together, without a pause. */
  void writeAll(int first, int count) {
    together(
        writer -> {
          for (int n = writer; n < count; n += sessions.size()) {
            write(statements.get(writer), first + n);
          }
          return null;
        });
  }

  /**
   * Writes to each of these rows once, so many a second, whether or not the one before is done: a
   * writer that is late writes at once until it is in time again.
   */
  void writeAll(int first, int count, int perSecond) {
    long start = System.nanoTime();
    together(
        writer -> {
          for (int n = writer; n < count; n += sessions.size()) {
            long due = start + n * 1_000_000_000L / perSecond;
            for (long early = due - System.nanoTime(); early > 0; early = due - System.nanoTime()) {
              LockSupport.parkNanos(early);
            }
            write(statements.get(writer), first + n);
          }
          return null;
        });
  }

  @Override
  public void close() {
    threads.shutdown();
    for (Connection session : sessions) {
      try {
        session.close();
      } catch (SQLException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private static void write(PreparedStatement statement, long id) throws SQLException {
    statement.setString(1, Long.toString(System.nanoTime(), 36));
    statement.setLong(2, id);
    if (statement.executeUpdate() != 1) {
      throw new IllegalStateException("there is no row " + id);
    }
  }

  private <T> List<T> together(Work<T> work) {
    List<Callable<T>> tasks = new ArrayList<>();
    for (int n = 0; n < sessions.size(); n++) {
      int writer = n;
      tasks.add(() -> work.of(writer));
    }
    try {
      List<T> results = new ArrayList<>();
      for (Future<T> done : threads.invokeAll(tasks)) {
        results.add(done.get());
      }
      return results;
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * How quickly they wrote.
   *
   * @param perSecond all of them together
   * @param millis the median of a single write
   * @param microsAtWork how long the first one's session in central worked for a write, on average
   * @param microsWaiting how long it was ready to work and had no core
   */
  record Pace(double perSecond, double millis, double microsAtWork, double microsWaiting) {}

  @FunctionalInterface
  private interface Work<T> {
    T of(int writer) throws SQLException;
  }
}
