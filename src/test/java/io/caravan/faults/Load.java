package io.caravan.faults;

import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * Three writers in central with random transactions, some 300 changes a second in all, which can be
 * paused; and a heartbeat, ten times a second, which never pauses. A row that is written anew has a
 * version that is higher than any it had before.
 */
final class Load implements AutoCloseable {
  private static final int WRITERS = 3;
  private static final int USERS = 300;

  private final ScheduledExecutorService threads = Executors.newScheduledThreadPool(WRITERS + 1);
  private final ReadWriteLock gate = new ReentrantReadWriteLock(true);
  private final AtomicLong changes = new AtomicLong();
  private final List<Future<?>> work = new ArrayList<>();
  private final List<Writer> writers = new ArrayList<>();

  Load(Database central, long seed) {
    for (int number = 0; number < WRITERS; number++) {
      Writer writer = new Writer(central, number, new Random(seed + number));
      writers.add(writer);
      work.add(
          threads.scheduleWithFixedDelay(writer::writeWhenAllowed, 0, 20, TimeUnit.MILLISECONDS));
    }
    Writer heart = new Writer(central, 0, new Random());
    writers.add(heart);
    work.add(threads.scheduleAtFixedRate(heart::beat, 0, 100, TimeUnit.MILLISECONDS));
  }

  /** Waits until no writer is in a transaction, and keeps them from beginning another. */
  void pause() {
    if (work.stream().anyMatch(Future::isDone)) {
      throw new IllegalStateException("a writer has failed");
    }
    gate.writeLock().lock();
  }

  /** Lets the writers go on; called by the thread that paused them. */
  void resume() {
    gate.writeLock().unlock();
  }

  /** How many rows were changed, in transactions that were committed. */
  long changes() {
    return changes.get();
  }

  @Override
  public void close() {
    threads.shutdownNow();
    try {
      threads.awaitTermination(1, TimeUnit.MINUTES);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    writers.forEach(Writer::disconnect);
  }

  /** A session of central's that is opened again when it was lost. */
  private final class Writer {
    private final Database central;
    private final int number;
    private final Random random;
    private Connection connection;

    Writer(Database central, int number, Random random) {
      this.central = central;
      this.number = number;
      this.random = random;
    }

    void writeWhenAllowed() {
      Lock lock = gate.readLock();
      lock.lock();
      try {
        inTransaction(this::writeAtRandom);
      } finally {
        lock.unlock();
      }
    }

    void beat() {
      inTransaction(
          s ->
              s.executeUpdate(
                  """
                  insert into beat values (1, clock_timestamp())
                  on conflict (id) do update set at = clock_timestamp()
                  """));
    }

    /** Central may be down, another writer may be in the way: then this is for another time. */
    private void inTransaction(Work work) {
      try {
        if (connection == null) {
          connection = central.dataSource().getConnection();
          connection.setAutoCommit(false);
        }
        try (Statement statement = connection.createStatement()) {
          statement.execute(
              "set local lock_timeout = '500ms'; set local deadlock_timeout = '20ms'");
          int changed = work.with(statement);
          if (random.nextInt(10) > 0) {
            connection.commit();
            changes.addAndGet(changed);
          } else {
            connection.rollback();
          }
        } catch (SQLException e) {
          connection.rollback();
        }
      } catch (SQLException e) {
        disconnect();
      }
    }

    void disconnect() {
      try {
        if (connection != null) {
          connection.close();
        }
      } catch (SQLException e) {
        // it is gone either way
      }
      connection = null;
    }

    private int writeAtRandom(Statement s) throws SQLException {
      int changed = 0;
      for (int n = 1 + random.nextInt(3); n > 0; n--) {
        changed += change(s);
      }
      return changed;
    }

    private int change(Statement s) throws SQLException {
      int anyone = 1 + random.nextInt(USERS);
      // A key comes back with a higher version only if nobody else deletes and inserts it.
      int mine = anyone - anyone % WRITERS + number;
      String sql =
          switch (random.nextInt(12)) {
            case 0, 1 ->
                """
                insert into users select %d, 'new', %s, nextval('version') where %1$d > 0 on conflict do nothing
                """
                    .formatted(mine, email());
            case 2 -> "delete from users where id = %d and id > 0".formatted(mine);
            case 3, 4 ->
                """
                update users set email = %s, version = nextval('version')
                where id = %d and not exists (select from users where email = %1$s)
                """
                    .formatted(email(), anyone);
            case 5 ->
                """
                update users set name = left(name, 20) || '.', version = nextval('version')
                where id between %d and %1$d + 10
                """
                    .formatted(anyone);
            case 6, 7, 8 ->
                """
                insert into orders (user_id, item, amount, version)
                select id, 'thing', random() * 100, nextval('version') from users where id = %d
                """
                    .formatted(anyone);
            case 9 ->
                """
                update orders set amount = amount + 1, version = nextval('version') where user_id = %d
                """
                    .formatted(anyone);
            case 10 -> "delete from orders where user_id = %d".formatted(anyone);
            default ->
                """
                update users set name = 'user %d', version = nextval('version') where id = %d
                """
                    .formatted(random.nextInt(), anyone);
          };
      return s.executeUpdate(sql);
    }

    /** Few enough that users take those that others have given up. */
    private String email() {
      int number = random.nextInt(2 * USERS);
      return number < 20 ? "null" : "'E" + number + "@example.org'";
    }
  }

  @FunctionalInterface
  private interface Work {
    int with(Statement statement) throws SQLException;
  }
}
