package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * The least that brings changes by SQL: a trigger that logs the key, and a script that looks every
 * 2 ms, reads the rows in one statement, and writes them to all clients at once, in a statement
 * each. It stops at an error, and forgets where it was.
 */
final class PollingScript implements Contender {
  private static final long BETWEEN_LOOKS_NANOS = TimeUnit.MILLISECONDS.toNanos(2);
  private static final String TRIGGER =
      """
      create table log (xid xid8 not null default pg_current_xact_id(), key bigint not null);
      create index on log (xid);
      create function log_users() returns trigger language plpgsql as $$
      begin
        insert into log (key) values (new.id);
        return null;
      end
      $$;
      create trigger log_users after update on users for each row
      when (row(old.name, old.email) is distinct from row(new.name, new.email)) execute function log_users();
      """;
  private static final String READ =
      """
      select pg_current_snapshot()::text, array_agg(id), array_agg(name), array_agg(email)
      from log join users on users.id = log.key
      where xid >= pg_snapshot_xmin(?::pg_snapshot) and not pg_visible_in_snapshot(xid, ?::pg_snapshot)
      """;
  private static final String UPSERT =
      """
      insert into users (id, name, email)
      select distinct on (id) * from unnest(?, ?, ?) as changed (id, name, email)
      on conflict (id) do update set name = excluded.name, email = excluded.email
      """;

  private final Database central;
  private final List<Database> clients;
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private Future<?> script;
  private volatile boolean paused;

  PollingScript(Stage stage, int clientCount) {
    central = stage.central("polling");
    clients = stage.clients("polling", clientCount);
    central.execute(TRIGGER);
  }

  @Override
  public String name() {
    return "polling script";
  }

  @Override
  public Database central() {
    return central;
  }

  @Override
  public List<Database> clients() {
    return clients;
  }

  @Override
  public void resume() {
    paused = false;
    String now = central.value("select pg_current_snapshot()");
    script = threads.submit(() -> poll(now));
  }

  @Override
  public void pause() {
    paused = true;
    await(script);
  }

  @Override
  public void close() {
    threads.shutdown();
  }

  private Void poll(String from) throws SQLException, InterruptedException {
    List<Connection> sessions = new ArrayList<>();
    List<Callable<Integer>> writes = new ArrayList<>();
    try (Connection session = central.dataSource().getConnection();
        PreparedStatement read = session.prepareStatement(READ)) {
      List<PreparedStatement> upserts = new ArrayList<>();
      for (Database client : clients) {
        Connection clientSession = client.dataSource().getConnection();
        sessions.add(clientSession);
        clientSession.createStatement().execute("set synchronous_commit = off");
        PreparedStatement upsert = clientSession.prepareStatement(UPSERT);
        upserts.add(upsert);
        writes.add(upsert::executeUpdate);
      }
      String seen = from;
      while (!paused) {
        long looked = System.nanoTime();
        read.setString(1, seen);
        read.setString(2, seen);
        try (ResultSet rows = read.executeQuery()) {
          rows.next();
          seen = rows.getString(1);
          if (rows.getArray(2) != null) {
            for (PreparedStatement upsert : upserts) {
              for (int n = 1; n <= 3; n++) {
                upsert.setArray(n, rows.getArray(n + 1));
              }
            }
            threads.invokeAll(writes).forEach(PollingScript::await);
          }
        }
        LockSupport.parkNanos(looked + BETWEEN_LOOKS_NANOS - System.nanoTime());
      }
    } finally {
      for (Connection session : sessions) {
        session.close();
      }
    }
    return null;
  }

  private static void await(Future<?> work) {
    try {
      work.get();
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }
}
