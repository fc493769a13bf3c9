package io.caravan;

import io.caravan.Postgres.Database;
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
  private static final String READ =
      "select cursor::text, page, progress, more from caravan.read(?::jsonb, ?::jsonb, 1000, 1000000)";
  private static final String APPLY =
      "select * from caravan.apply(?, ?::bigint, ?::jsonb, ?::jsonb, '[]')";
  private static final String NEXT_RUN =
      "select * from caravan.next_run(?, ?::jsonb, ?, null, ?::numeric, 10)";
  private static final String JUDGE =
      "select * from caravan.judge(?::bigint, ?::bigint, ?, ?::jsonb, ?::jsonb, ?::jsonb)";
  private static final String ANSWER = "select caravan.answer(?::jsonb, ?::jsonb) as answer";
  private static final String CLIENT_ANSWER =
      "select caravan.answer(?, ?::jsonb, ?::jsonb) as answer";

  private final Connection central;
  private final Connection client;
  private final String name;
  private final String mapping;
  private Map<String, String> run = Map.of();
  private String hub = "by hand";
  private int percent;
  private int answers;

  ByHand(Database central, Database client, String name, String mapping) throws SQLException {
    this.central = central.dataSource().getConnection();
    this.client = client.dataSource().getConnection();
    this.name = name;
    this.mapping = mapping;
  }

  /** Brings the client up to date, as its pump does. What it refuses becomes a dead letter. */
  void pump() throws SQLException {
    Map<String, String> standing =
        call(client, "select * from caravan.standing(?, ?::jsonb)", name, mapping);
    String cursor = standing.get("cursor");
    String step = standing.get("step");
    for (boolean more = true; more; ) {
      Map<String, String> page = call(central, READ, cursor, standing.get("sources"));
      more = "t".equals(page.get("more"));
      if (page.get("progress") != null) {
        Map<String, String> applied = call(client, APPLY, name, step, mapping, page.get("page"));
        if (applied.get("outcome").equals("refused")) {
          String refused = applied.get("refused");
          call(central, "select caravan.bury(?, ?::jsonb, '[]', 1000)", name, refused);
          applied =
              call(
                  client,
                  APPLY.replace("'[]'", "?::jsonb"),
                  name,
                  step,
                  mapping,
                  page.get("page"),
                  refused);
        }
        step = applied.get("step");
      }
      cursor = page.get("cursor");
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
