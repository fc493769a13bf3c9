package io.caravan.client;

import io.caravan.jdbc.Pool;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Map;

/**
 * The connections to one client's PostgreSQL, with settings that suit a pump. Each of them can be
 * overridden where the pool is declared.
 */
public final class ClientPool extends Pool {
  // Values cross as text, which the first of these make the same everywhere. Plans are kept; those
  // for a small table would be kept for a large one. A page that a crash of the server takes back
  // takes the cursor back with it, and comes again.
  private static final Map<String, String> SETTINGS =
      Map.of(
          "timezone", "UTC",
          "datestyle", "ISO",
          "intervalstyle", "postgres",
          "bytea_output", "hex",
          "extra_float_digits", "1",
          "lc_monetary", "C",
          "enable_seqscan", "off",
          "jit", "off",
          "plan_cache_mode", "force_generic_plan",
          "synchronous_commit", "off");

  private boolean poolsTransactions;
  private String localSettings = "";

  /** Two connections at most, and none for as long as there is nothing to do. */
  public ClientPool() {
    setMaximumPoolSize(2);
    setMinimumIdle(0);
    setKeepaliveTime(60_000);
    setExceptionOverride(new KeptConnections());
  }

  /**
   * Whether a pooler stands before the client that gives a session to somebody else after each
   * transaction, as PgBouncer does with {@code pool_mode = transaction}. Then nothing is prepared
   * in a session, and each transaction makes its own settings, which takes two round trips more.
   */
  public void setTransactionPooling(boolean poolsTransactions) {
    this.poolsTransactions = poolsTransactions;
  }

  @Override
  public Connection getConnection() throws SQLException {
    Connection connection = super.getConnection();
    return poolsTransactions
        ? new TransactionSettings(connection, localSettings).connection()
        : connection;
  }

  @Override
  protected Map<String, String> sessionSettings() {
    Map<String, String> settings = super.sessionSettings();
    settings.putAll(SETTINGS);
    return settings;
  }

  @Override
  protected String initSql() {
    return poolsTransactions ? null : super.initSql();
  }

  @Override
  protected void complete() {
    super.complete();
    setIfAbsent("prepareThreshold", poolsTransactions ? "0" : "1");
    Map<String, String> settings = sessionSettings();
    settings.remove("tcp_user_timeout"); // that connection is the pooler's
    localSettings = TransactionSettings.sql(settings);
  }
}
