package io.caravan;

import java.net.SocketTimeoutException;
import java.sql.SQLException;
import java.util.Set;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/**
 * Why something failed, fit for a log: one line, without row data and passwords.
 *
 * @param sqlState PostgreSQL's code of five characters; empty where there is none
 * @param message what PostgreSQL says, with its hint, and without its detail, which may quote a row
 */
record Cause(String sqlState, String message) {
  // What only a person can mend: data, logins, names and rights, and what Caravan itself refuses.
  private static final Set<String> LASTING = Set.of("0A", "22", "23", "28", "3D", "3F", "42", "CV");
  private static final Set<String> OF_A_CONNECTION = Set.of("", "08", "28", "3D", "53", "57");

  /** The innermost error of a database; without one, the error itself. */
  static Cause of(Throwable error) {
    Cause cause = new Cause("", line(String.valueOf(error.getMessage())));
    for (Throwable e = error; e != null; e = e.getCause()) {
      if (e instanceof PSQLException fromServer && fromServer.getServerErrorMessage() != null) {
        cause = new Cause(fromServer.getSQLState(), line(fromServer.getServerErrorMessage()));
      } else if (e instanceof SQLException sql && sql.getSQLState() != null) {
        cause = new Cause(sql.getSQLState(), line(sql.getMessage()));
      } else if (e instanceof SocketTimeoutException) {
        cause = new Cause(cause.sqlState, "no answer in time");
      }
    }
    return cause;
  }

  /** Whether trying again won't help until somebody mends it. */
  boolean isLasting() {
    return LASTING.contains(kind());
  }

  /** Whether it is about reaching the server and logging in, not about what was asked of it. */
  boolean isOfTheConnection() {
    return OF_A_CONNECTION.contains(kind());
  }

  private String kind() {
    return sqlState.substring(0, Math.min(2, sqlState.length()));
  }

  private static String line(ServerErrorMessage error) {
    String hint = error.getHint() == null ? "" : ". " + error.getHint();
    return line(String.valueOf(error.getMessage())) + line(hint);
  }

  private static String line(String text) {
    return text.replaceAll("\\s+", " ")
        .replaceAll(": \".*\"", "") // PostgreSQL quotes an offending value after a colon
        .replaceAll("(?i)(password=)[^&\\s]*", "$1…");
  }
}
