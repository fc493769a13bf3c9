package io.caravan.reconcile;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;

/**
 * A statement or a piece of one, with its parameters in their order.
 *
 * @param text with a question mark for each parameter
 * @param parameters texts, numbers, and collections of either; they may be null
 */
record Sql(String text, List<Object> parameters) {
  static Sql of(String text, Object... parameters) {
    return new Sql(text, Arrays.asList(parameters));
  }

  /** Puts pieces where the format has {@code %s}; their parameters are in the order of these. */
  static Sql join(String format, Object... pieces) {
    List<Object> parameters = new ArrayList<>();
    Object[] texts =
        Stream.of(pieces)
            .map(
                piece -> {
                  if (piece instanceof Sql sql) {
                    parameters.addAll(sql.parameters);
                    return sql.text;
                  }
                  return piece;
                })
            .toArray();
    return new Sql(format.formatted(texts), parameters);
  }

  /** Runs it, and hands over each row. */
  void each(Connection connection, Taker row) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(text)) {
      statement.setFetchSize(1000);
      for (int i = 0; i < parameters.size(); i++) {
        statement.setObject(i + 1, value(connection, parameters.get(i)));
      }
      try (ResultSet result = statement.executeQuery()) {
        while (result.next()) {
          row.take(result);
        }
      }
    }
  }

  /** Runs it, and returns what is made of its only row. */
  <T> T one(Connection connection, Maker<T> made) throws SQLException {
    List<T> rows = new ArrayList<>();
    each(connection, row -> rows.add(made.make(row)));
    return rows.get(0);
  }

  private static Object value(Connection connection, Object parameter) throws SQLException {
    if (!(parameter instanceof Collection<?> values)) {
      return parameter;
    }
    boolean areNumbers = values.stream().anyMatch(Long.class::isInstance);
    Array array = connection.createArrayOf(areNumbers ? "bigint" : "text", values.toArray());
    return array;
  }

  /** Takes a row. */
  interface Taker {
    void take(ResultSet row) throws SQLException;
  }

  /** Makes something of a row. */
  interface Maker<T> {
    T make(ResultSet row) throws SQLException;
  }
}
