package io.caravan.reconcile;

import java.sql.Connection;
import java.sql.SQLException;
import javax.sql.DataSource;

/**
 * A transaction in which one side answers. It writes nothing. Values have the same text form on
 * both sides; names are found among PostgreSQL's own; one process reads, and does not sort.
 */
final class Session implements AutoCloseable {
  private static final String BEGIN =
      """
      select pg_catalog.current_setting('search_path'), pg_catalog.set_config(s.name, s.value, true)
      from (values
        ('search_path', 'pg_catalog, pg_temp'),
        ('timezone', 'UTC'), ('datestyle', 'ISO'), ('intervalstyle', 'postgres'), ('bytea_output', 'hex'),
        ('extra_float_digits', '1'), ('lc_monetary', 'C'),
        ('plan_cache_mode', 'force_custom_plan'), ('max_parallel_workers_per_gather', '0'), ('jit', 'off'),
        ('enable_seqscan', 'on'), ('enable_sort', 'off'), ('work_mem', '8MB')
      ) as s (name, value)
      """;

  private final Connection connection;
  private String searchPath = "";

  /** Begins one. */
  Session(DataSource database) throws SQLException {
    connection = database.getConnection();
    try {
      connection.setAutoCommit(false);
      Sql.of(BEGIN)
          .each(
              connection, row -> searchPath = searchPath.isEmpty() ? row.getString(1) : searchPath);
    } catch (SQLException e) {
      connection.close();
      throw e;
    }
  }

  Connection connection() {
    return connection;
  }

  /** Sets a setting until the end of the transaction. */
  void set(String name, String value) throws SQLException {
    Sql.of("select pg_catalog.set_config(?, ?, true)", name, value)
        .one(connection, row -> row.getString(1));
  }

  /** From now on an index is used wherever there is one, if so; otherwise PostgreSQL decides. */
  void useIndex(boolean always) throws SQLException {
    if (always) {
      set("enable_seqscan", "off");
    }
  }

  /**
   * From now on names are also found where whoever logs in finds them. What is asked must name
   * everything but a mapping's expressions with its schema.
   */
  void useSearchPathOfLogin() throws SQLException {
    set("search_path", searchPath.isEmpty() ? "pg_catalog" : "pg_catalog, " + searchPath);
  }

  @Override
  public void close() throws SQLException {
    try (connection) {
      connection.rollback();
      connection.setAutoCommit(true);
    }
  }
}
