package io.caravan.client;

import com.zaxxer.hikari.SQLExceptionOverride;
import io.caravan.Pool;
import java.sql.SQLException;

/**
 * The connections to one client's PostgreSQL, with settings that suit a pump. Each of them can be
 * overridden where the pool is declared.
 */
public final class ClientPool extends Pool {
  // Values cross as text, which these make the same everywhere. Plans are kept; those for a small
  // table would be kept for a large one. A page that a crash of the server takes back takes the
  // cursor back with it, and comes again.
  private static final String SETTINGS =
      "set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'postgres';"
          + " set bytea_output = 'hex'; set extra_float_digits = 1; set lc_monetary = 'C';"
          + " set enable_seqscan = off; set jit = off; set plan_cache_mode = force_generic_plan;"
          + " set synchronous_commit = off;";

  private String lockTimeout = "10s";
  private String statementTimeout = "55s";

  /** Two connections at most, and none for as long as there is nothing to do. */
  public ClientPool() {
    setMaximumPoolSize(2);
    setMinimumIdle(0);
    setConnectionTimeout(5_000);
    setKeepaliveTime(60_000);
    setInitializationFailTimeout(-1);
    applySettings();
    addDataSourceProperty("prepareThreshold", 1);
    setExceptionOverride(
        new SQLExceptionOverride() {
          // A client's trigger may raise it for a row; the pool takes it for a broken connection.
          @java.lang.Override
          public Override adjudicate(SQLException error) {
            return "0A000".equals(error.getSQLState())
                ? Override.DO_NOT_EVICT
                : Override.CONTINUE_EVICT;
          }
        });
  }

  /**
   * How long a statement waits for a lock.
   *
   * @param time as PostgreSQL takes it, for instance {@code 10s}
   */
  public void setLockTimeout(String time) {
    lockTimeout = time;
    applySettings();
  }

  /**
   * After how long the server stops a statement.
   *
   * @param time as PostgreSQL takes it, for instance {@code 55s}
   */
  public void setStatementTimeout(String time) {
    statementTimeout = time;
    applySettings();
  }

  private void applySettings() {
    setConnectionInitSql(
        "%s set lock_timeout = '%s'; set statement_timeout = '%s'"
            .formatted(SETTINGS, lockTimeout, statementTimeout));
  }
}
