package io.caravan;

import io.caravan.Postgres.Database;
import io.caravan.apply.Doubts;
import io.caravan.apply.PageText;
import io.caravan.apply.PageTransaction;
import io.caravan.apply.Refusal;
import io.caravan.apply.RowErrors;
import io.caravan.client.ClientPool;
import io.caravan.client.ClientTables;
import io.caravan.client.Cursor;
import io.caravan.client.Plan;
import io.caravan.client.Statements;
import io.caravan.client.StoredPosition;
import io.caravan.jdbc.Cause;
import io.caravan.read.Answer;
import io.caravan.reconcile.RunsByHand;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.sql.DataSource;

/**
 * What the hub does for one client, done by a test: one statement after another, in one thread, on
 * the same SQL functions. So a test says what happens between them.
 */
final class ByHand implements AutoCloseable {
  private final Connection central;
  private final ClientTables tables = new ClientTables();
  private final Doubts doubts = new Doubts();
  private final Reading reading;
  private final ClientPool pool = new ClientPool();
  private final Connection client;
  private final String name;
  private final String mapping;
  // As in the hub, apart from the one that reads, which has another search path.
  private final Connection compared;
  private final RunsByHand runs;

  ByHand(Database central, Database client, String name, String mapping) throws SQLException {
    this.central = central.dataSource().getConnection();
    reading = Reading.on(this.central);
    doubts.setCentral(alwaysOpen(this.central));
    pool.setJdbcUrl(client.url());
    this.client = pool.getConnection();
    this.name = name;
    this.mapping = mapping;
    compared = central.dataSource().getConnection();
    runs = new RunsByHand(alwaysOpen(compared), alwaysOpen(this.client), name, mapping);
    runs.pause(this::pumpWhatIsRepaired);
  }

  /** Gives out one connection, again and again: so a test can set what it likes in it. */
  private static DataSource alwaysOpen(Connection connection) {
    Connection lent =
        proxy(
            Connection.class,
            (method, arguments) ->
                method.getName().equals("close") ? null : method.invoke(connection, arguments));
    return proxy(DataSource.class, (method, arguments) -> lent);
  }

  private static <T> T proxy(Class<T> type, Calls calls) {
    return type.cast(
        Proxy.newProxyInstance(
            ByHand.class.getClassLoader(),
            new Class<?>[] {type},
            (proxy, method, arguments) -> {
              try {
                return calls.answer(method, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            }));
  }

  /** What is done for the calls of an interface's methods. */
  private interface Calls {
    Object answer(Method method, Object[] arguments) throws Exception;
  }

  private void pumpWhatIsRepaired() throws SQLException {
    String repairing =
        "select exists (select from caravan.reconciliation where client = ? and checkpoint ->> 'phase' = 'PROVE') as repairing";
    if ("t".equals(call(central, repairing, name).get("repairing"))) {
      pump();
    }
  }

  /** Brings the client up to date, as its pump does. What it refuses becomes a dead letter. */
  void pump() throws SQLException {
    try {
      tables.ensure(client, name);
      StoredPosition position = StoredPosition.of(client, name, mapping);
      Cursor cursor = cursor(position);
      long step = position.step();
      for (boolean more = true; more; ) {
        Answer page = reading.page(cursor, position.sources(), 1000, 1_000_000, null);
        more = page.hasMore();
        doubts.note(name, mapping, page.doubted(), Doubts.EPOCH);
        if (page.progress() != null) {
          step = apply(position.plan(), step, new PageText(page.page()));
        }
        cursor = page.cursor();
      }
    } catch (Fault | CentralFailure e) {
      throw new SQLException(e);
    }
  }

  private static Cursor cursor(StoredPosition position) {
    return position.cursor() == null ? null : Cursor.parse(position.cursor());
  }

  private long apply(Plan plan, long step, PageText page) throws SQLException, Fault {
    Statements statements = plan.statements(pool::getConnection, page.sources());
    if (page.cleared().isEmpty() && !statements.areMixed()) {
      try {
        String changes = page.changes();
        String sql = statements.page(page.gone());
        return Long.parseLong(
            call(client, sql, page.cursor(), name, "" + step, changes).get("step"));
      } catch (SQLException e) {
        if (!RowErrors.isOfARow(e)) {
          throw e;
        }
      }
    }
    client.setAutoCommit(false);
    try {
      PageTransaction transaction =
          new PageTransaction(
              client, statements, page.gone(), error -> Cause.of(error, false).message());
      transaction.standsAt(name, step);
      for (Refusal refusal :
          transaction
              .apply(page.cleared(), page.list(), PageTransaction.Others.NONE)
              .orElseThrow()) {
        call(
            central,
            "select caravan_internal.store_dead_letters(?, jsonb_build_array(jsonb_build_object('source', ?, 'key', ?::jsonb, 'sqlstate', ?, 'message', ?)), '[]', 1000)",
            name,
            refusal.change().source(),
            refusal.change().key(),
            refusal.sqlState(),
            refusal.message());
      }
      long moved = transaction.move(name, page.cursor()).step();
      client.commit();
      return moved;
    } finally {
      client.setAutoCommit(true);
    }
  }

  /** Compares the client with central, and repairs it; returns how that ended. */
  String reconcile() throws SQLException {
    return reconcile("");
  }

  /**
   * The same.
   *
   * @param arguments further ones of caravan.reconcile, for instance {@code , dry_run => true}
   */
  String reconcile(String arguments) throws SQLException {
    finish();
    String id = call(central, "select caravan.reconcile(?" + arguments + ") as id", name).get("id");
    finish();
    return result(id);
  }

  /** Does what is due, and lets the client's pump run where something is repaired. */
  void finish() throws SQLException {
    try {
      runs.work();
    } catch (Fault e) {
      throw new SQLException(e);
    }
  }

  /** How a run has ended. */
  String result(String id) throws SQLException {
    return call(
            central,
            """
            select format('%s: %s compared, %s missing, %s stale, %s surplus, %s local, %s repaired, %s skipped',
              state, compared, missing, stale, surplus, local, repaired, skipped) || coalesce('; ' || nullif(pg_catalog.array_to_string(notes, '; '), ''), '') as result
            from caravan.reconciliation
            where id = ?::bigint
            """,
            id)
        .get("result");
  }

  /** How runs are worked for. */
  RunsByHand runs() {
    return runs;
  }

  /** Sets a setting of its two connections, for instance the role. */
  void set(String setting, String value) throws SQLException {
    call(central, "select set_config(?, ?, false)", setting, value);
    call(compared, "select set_config(?, ?, false)", setting, value);
    call(client, "select set_config(?, ?, false)", setting, value);
  }

  /** The one value of a query in central. */
  String central(String query) throws SQLException {
    return call(central, query).values().iterator().next();
  }

  /** Whether the client's table is wholly central's. */
  boolean isCentrals() {
    return mapping.contains("\"rows\": \"central\"");
  }

  /** How often the client has answered so far. */
  int answers() {
    return runs.answers();
  }

  @Override
  public void close() throws SQLException {
    central.close();
    compared.close();
    client.close();
    pool.close();
  }

  private static Map<String, String> call(Connection connection, String sql, String... parameters)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      for (int i = 0; i < parameters.length; i++) {
        statement.setString(i + 1, parameters[i]);
      }
      try (ResultSet result = statement.executeQuery()) {
        Map<String, String> row = new LinkedHashMap<>();
        result.next();
        for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) {
          row.put(result.getMetaData().getColumnLabel(i), result.getString(i));
        }
        return row;
      }
    }
  }
}
