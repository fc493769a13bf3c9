package io.caravan;

import io.caravan.Postgres.Database;
import io.caravan.apply.PageText;
import io.caravan.apply.PageTransaction;
import io.caravan.apply.Refusal;
import io.caravan.apply.RowErrors;
import io.caravan.client.ClientPool;
import io.caravan.client.ClientTables;
import io.caravan.client.Cursor;
import io.caravan.client.Plan;
import io.caravan.client.Position;
import io.caravan.client.Statements;
import io.caravan.read.Answer;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the hub does for one client, done by a test: one statement after another, in one thread, on
 * the same SQL functions. So a test says what happens between them.
 */
final class ByHand implements AutoCloseable {
  private static final String NEXT_RUN =
      "select * from caravan.next_run(?, ?::jsonb, ?, null, ?::numeric, 10)";
  private static final String JUDGE =
      "select * from caravan.judge(?::bigint, ?::bigint, ?, ?::jsonb, ?::jsonb, ?::jsonb)";
  private static final String ANSWER = "select caravan.answer(?::jsonb, ?::jsonb) as answer";
  private static final String CLIENT_ANSWER =
      "select caravan.answer(?, ?::jsonb, ?::jsonb) as answer";

  private final Connection central;
  private final ClientTables tables = new ClientTables();
  private final Reading reading;
  private final ClientPool pool = new ClientPool();
  private final Connection client;
  private final String name;
  private final String mapping;
  private Map<String, String> run = Map.of();
  private String hub = "by hand";
  private int percent;
  private int answers;

  ByHand(Database central, Database client, String name, String mapping) throws SQLException {
    this.central = central.dataSource().getConnection();
    reading = Reading.on(this.central);
    pool.setJdbcUrl(client.url());
    this.client = pool.getConnection();
    this.name = name;
    this.mapping = mapping;
  }

  /** Brings the client up to date, as its pump does. What it refuses becomes a dead letter. */
  void pump() throws SQLException {
    try {
      tables.ensure(client, name);
      Position position = Position.of(client, name, mapping);
      Cursor cursor = cursor(position);
      long step = position.step();
      for (boolean more = true; more; ) {
        Answer page = reading.page(cursor, position.sources(), 1000, 1_000_000, null, null);
        more = page.hasMore();
        if (page.progress() != null) {
          step = apply(position.plan(), step, new PageText(page.page()));
        }
        cursor = page.cursor();
      }
    } catch (Fault e) {
      throw new SQLException(e);
    }
  }

  /** Brings one page to the client, also one of a sweep; whether there is more. */
  boolean page() throws SQLException {
    try {
      tables.ensure(client, name);
      Position position = Position.of(client, name, mapping);
      Cursor cursor = cursor(position);
      String held = null;
      if (cursor != null && cursor.sweep() != null) {
        String keys = "select caravan.keys(?, ?::jsonb, ?::jsonb, 500) as held";
        held = call(client, keys, name, mapping, cursor.json()).get("held");
      }
      Answer page = reading.page(cursor, position.sources(), 5000, 10_000_000, held, null);
      if (page.page() != null) {
        apply(position.plan(), position.step(), new PageText(page.page()));
      }
      return page.hasMore();
    } catch (Fault e) {
      throw new SQLException(e);
    }
  }

  private static Cursor cursor(Position position) {
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
            "select caravan.bury(?, jsonb_build_array(jsonb_build_object('source', ?, 'key', ?::jsonb, 'sqlstate', ?, 'message', ?)), '[]', 1000)",
            name,
            refusal.change().source(),
            refusal.change().key(),
            refusal.sqlState(),
            refusal.message());
      }
      long moved = transaction.move(name, page.cursor(), "{}").step();
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
    next();
    String id = call(central, "select caravan.reconcile(?" + arguments + ") as id", name).get("id");
    finish();
    return result(id);
  }

  /** Does what is due, and lets the client's pump run where something is repaired. */
  void finish() throws SQLException {
    next();
    while (isAsked()) {
      if (question().contains("\"repairing\"")) {
        pump();
      }
      answerAndJudge();
    }
  }

  /** How a run has ended. */
  String result(String id) throws SQLException {
    return call(
            central,
            """
            select format('%s: %s compared, %s missing, %s stale, %s surplus, %s own, %s repaired, %s skipped',
              state, compared, missing, stale, surplus, own, repaired, skipped) || coalesce('; ' || nullif(pg_catalog.array_to_string(notes, '; '), ''), '') as result
            from caravan.reconciliation
            where id = ?::bigint
            """,
            id)
        .get("result");
  }

  /** Asks central what is to be done. */
  void next() throws SQLException {
    run = call(central, NEXT_RUN, name, mapping, hub, "" + percent);
  }

  /** Whether there is a question. */
  boolean isAsked() {
    return run.get("question") != null;
  }

  /** What is asked. */
  String question() {
    return run.get("question");
  }

  /** Has both sides answer the question, central first, and central judge the answers. */
  void answerAndJudge() throws SQLException {
    judge(centralAnswer(), clientAnswer());
  }

  String centralAnswer() throws SQLException {
    return "t".equals(run.get("asks_central"))
        ? call(central, ANSWER, question(), mapping).get("answer")
        : null;
  }

  String clientAnswer() throws SQLException {
    if (!"t".equals(run.get("asks_client"))) {
      return null;
    }
    answers++;
    return call(client, CLIENT_ANSWER, name, question(), mapping).get("answer");
  }

  void judge(String centralAnswer, String clientAnswer) throws SQLException {
    String id = run.get("run");
    run = call(central, JUDGE, id, run.get("step"), hub, mapping, centralAnswer, clientAnswer);
    run.put("run", id);
  }

  /** From now on, this is another hub. */
  void name(String hub) {
    this.hub = hub;
  }

  /** From now on, so much of the time goes into verifying. */
  void verify(int percent) {
    this.percent = percent;
  }

  /** Sets a setting of its two connections, for instance the role. */
  void set(String setting, String value) throws SQLException {
    call(central, "select set_config(?, ?, false)", setting, value);
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
    return answers;
  }

  @Override
  public void close() throws SQLException {
    central.close();
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
