package io.caravan.client;

import io.caravan.jdbc.Calls;
import java.lang.reflect.Method;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A connection that makes its settings at the beginning of each transaction, for that transaction
 * only. A statement in auto-commit mode is run in such a transaction, too.
 */
final class TransactionSettings {
  private final Connection connection;
  private final String settings;
  private boolean areMade;

  /**
   * A connection outside of a transaction.
   *
   * @param settings as {@link #sql} writes them
   */
  TransactionSettings(Connection connection, String settings) {
    this.connection = connection;
    this.settings = settings;
  }

  /** The statement that makes these settings until the end of the transaction. */
  static String sql(Map<String, String> settings) {
    return settings.entrySet().stream()
        .map(e -> "pg_catalog.set_config('%s', '%s', true)".formatted(e.getKey(), e.getValue()))
        .collect(Collectors.joining(", ", "select ", ""));
  }

  /** The connection, for one thread at a time as any. */
  Connection connection() {
    return Calls.on(Connection.class, this::answer);
  }

  private Object answer(Method method, Object[] arguments) throws Exception {
    switch (method.getName()) {
      case "commit" -> {
        end("commit");
        return null;
      }
      case "rollback", "close" -> {
        if (arguments == null) { // else it goes back to a savepoint
          end("rollback");
        }
        return method.invoke(connection, arguments);
      }
      case "setSavepoint", "unwrap" -> {
        begin();
        return method.invoke(connection, arguments);
      }
      default -> {
        Object result = method.invoke(connection, arguments);
        return result instanceof Statement statement ? settled(statement) : result;
      }
    }
  }

  private Statement settled(Statement statement) {
    Class<? extends Statement> type =
        statement instanceof CallableStatement
            ? CallableStatement.class
            : statement instanceof PreparedStatement ? PreparedStatement.class : Statement.class;
    return Calls.on(
        type,
        (method, arguments) ->
            method.getName().startsWith("execute")
                ? run(statement, method, arguments)
                : method.invoke(statement, arguments));
  }

  private Object run(Statement statement, Method method, Object[] arguments) throws Exception {
    if (!connection.getAutoCommit()) {
      begin();
      return method.invoke(statement, arguments);
    }
    connection.setAutoCommit(false);
    try {
      begin();
      Object result = method.invoke(statement, arguments);
      end("commit");
      connection.setAutoCommit(true);
      return result;
    } catch (Exception e) {
      takeBack(e);
      throw e;
    }
  }

  /** The first error says what happened: this one may only be that the connection is gone. */
  private void takeBack(Exception error) {
    try {
      end("rollback");
      connection.setAutoCommit(true);
    } catch (SQLException e) {
      error.addSuppressed(e);
    }
  }

  /**
   * Ends a transaction, if there is one. Relies on: the driver prepares the COMMIT that it sends by
   * itself, whatever its threshold is, and in the next session that name may be another's.
   */
  private void end(String how) throws SQLException {
    if (areMade) {
      areMade = false;
      try (Statement statement = connection.createStatement()) {
        statement.execute(how);
      }
    }
  }

  /** Within a transaction that is to last. */
  private void begin() throws SQLException {
    if (!areMade && !connection.getAutoCommit()) {
      try (Statement statement = connection.createStatement()) {
        statement.execute(settings);
      }
      areMade = true;
    }
  }
}
