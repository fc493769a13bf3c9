package io.caravan.read;

import static java.util.stream.Collectors.joining;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a connection to central must be set to, for the texts of values to be what clients take, and
 * for rows to be found quickly. Each query says whether it is: behind a pooler, one may have got
 * another's connection.
 */
final class Settings {
  // On these the texts of values depend, and which rows are seen.
  private static final Map<String, String> CHECKED = checked();
  // Plans are kept, and made as for a large log of which little is new, which it soon is. Without
  // JIT, which takes longer than the query whose cost it is afraid of.
  private static final Map<String, String> PLANNING =
      Map.of(
          "plan_cache_mode", "force_generic_plan",
          "enable_seqscan", "off",
          "enable_bitmapscan", "off",
          "jit", "off");

  private Settings() {}

  /** An expression in SQL: whether they are set. */
  static String areSet() {
    return "pg_catalog.concat_ws('/', %s) = %s"
        .formatted(
            CHECKED.keySet().stream()
                .map(name -> "pg_catalog.current_setting('" + name + "')")
                .collect(joining(", ")),
            "'" + String.join("/", CHECKED.values()) + "'");
  }

  /**
   * Asks something on a connection; once more, if that was not set.
   *
   * @throws SQLException if central fails, or does not keep the settings
   */
  static <T> T with(Connection connection, Question<T> question) throws SQLException {
    try {
      return question.ask();
    } catch (Unset first) {
      set(connection);
    }
    try {
      return question.ask();
    } catch (Unset second) {
      throw new SQLException(
          "central does not keep the hub's session settings; a pooler may reset them", "55000");
    }
  }

  private static void set(Connection connection) throws SQLException {
    Map<String, String> settings = new LinkedHashMap<>(CHECKED);
    settings.putAll(PLANNING);
    try (Statement set = connection.createStatement()) {
      for (Map.Entry<String, String> setting : settings.entrySet()) {
        String value =
            setting.getKey().equals("search_path")
                ? setting.getValue()
                : "'" + setting.getValue() + "'";
        String name = setting.getKey().replace("transaction", "default_transaction");
        set.addBatch("set " + name + " = " + value);
      }
      set.executeBatch();
    }
  }

  private static Map<String, String> checked() {
    Map<String, String> settings = new LinkedHashMap<>();
    // At another isolation level, a query would see old descriptions of the sources, but find their
    // rows by the newest functions.
    settings.put("transaction_isolation", "read committed");
    settings.put("search_path", "pg_catalog, pg_temp");
    settings.put("row_security", "off");
    settings.put("timezone", "UTC");
    settings.put("datestyle", "ISO, MDY");
    settings.put("intervalstyle", "postgres");
    settings.put("bytea_output", "hex");
    settings.put("extra_float_digits", "1");
    settings.put("lc_monetary", "C");
    settings.put("array_nulls", "on");
    settings.put("quote_all_identifiers", "off");
    return settings;
  }

  /** Asks something. */
  interface Question<T> {
    T ask() throws SQLException, Unset;
  }

  /** The connection was not set. */
  static final class Unset extends Exception {
    private static final long serialVersionUID = 1;
  }
}
