package io.caravan.jdbc;

import io.caravan.Fault;
import java.net.SocketTimeoutException;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertificateExpiredException;
import java.sql.SQLException;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/**
 * Why something failed, fit for a log: one line, without row data and passwords.
 *
 * @param sqlState PostgreSQL's code of five characters; empty where there is none
 * @param message what Caravan's SQL says, with its hint; what PostgreSQL says where it can't quote
 *     a row; else words of our own
 */
public record Cause(String sqlState, String message) {
  // What only a person can mend: data, logins, names and rights, and what Caravan itself refuses.
  private static final Set<String> LASTING = Set.of("0A", "22", "23", "28", "3D", "3F", "42", "CV");
  private static final Set<String> OF_A_CONNECTION = Set.of("", "08", "28", "3D", "53", "57");
  // What PostgreSQL says of these is of names, rights, locks, logins and resources, not of rows.
  private static final Set<String> WITHOUT_ROWS =
      Set.of("08", "0A", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58");
  // In every language of the server, the line of a function in an error's context has these words.
  private static final Pattern FUNCTION = Pattern.compile("PL/pgSQL[^\\n]*?([\\w\".]+)\\(");
  private static final Pattern LANGUAGE = Pattern.compile("PL/\\w+");
  private static final Pattern OURS = Pattern.compile("caravan(_internal)?\\.");

  /**
   * The innermost error of a database; without one, the error itself.
   *
   * @param showsMessages whether to tell what PostgreSQL says in any case
   */
  public static Cause of(Throwable error, boolean showsMessages) {
    String text = Objects.requireNonNullElseGet(error.getMessage(), error::toString);
    Cause cause = new Cause("", line(text));
    for (Throwable e = error; e != null; e = e.getCause()) {
      if (e instanceof Fault fault) {
        cause = new Cause(fault.sqlState(), line(fault.getMessage()));
      } else if (e instanceof PSQLException fromServer
          && fromServer.getServerErrorMessage() != null) {
        ServerErrorMessage told = fromServer.getServerErrorMessage();
        String words = showsMessages ? said(told) : words(told, fromServer.getSQLState());
        cause = new Cause(fromServer.getSQLState(), line(words));
      } else if (e instanceof SQLException sql && sql.getSQLState() != null) {
        cause = new Cause(sql.getSQLState(), line(sql.getMessage()));
      } else if (e instanceof SocketTimeoutException) {
        cause = new Cause(cause.sqlState, "no answer in time");
      } else if (e instanceof CertificateExpiredException) {
        cause = new Cause(cause.sqlState, "the server's certificate has expired");
      } else if (e instanceof CertPathBuilderException) {
        cause =
            new Cause(
                cause.sqlState,
                "the server's certificate is not trusted: no authority in sslrootcert vouches for it");
      }
    }
    return cause;
  }

  /** Whether trying again won't help until somebody mends it. */
  public boolean isLasting() {
    return LASTING.contains(kind());
  }

  /** Whether it is about reaching the server and logging in, not about what was asked of it. */
  public boolean isOfTheConnection() {
    return OF_A_CONNECTION.contains(kind());
  }

  private String kind() {
    return sqlState.substring(0, Math.min(2, sqlState.length()));
  }

  private static String words(ServerErrorMessage error, String sqlState) {
    if (isOurs(error) || isWithoutRows(error, sqlState)) {
      return said(error);
    }
    return new Names(
            Objects.requireNonNullElse(error.getSchema(), ""),
            Objects.requireNonNullElse(error.getTable(), ""),
            Objects.requireNonNullElse(error.getColumn(), ""),
            Objects.requireNonNullElse(error.getConstraint(), ""))
        .say(sqlState);
  }

  private static String said(ServerErrorMessage error) {
    return error.getMessage() + (error.getHint() == null ? "" : ". " + error.getHint());
  }

  /** Whether a function of Caravan has raised it by RAISE. */
  private static boolean isOurs(ServerErrorMessage error) {
    Matcher function = FUNCTION.matcher(Objects.requireNonNullElse(error.getWhere(), ""));
    return "exec_stmt_raise".equals(error.getRoutine())
        && function.find()
        && OURS.matcher(function.group(1)).lookingAt();
  }

  /** Whether PostgreSQL itself says it, of something that no function but Caravan's has done. */
  private static boolean isWithoutRows(ServerErrorMessage error, String sqlState) {
    String where = Objects.requireNonNullElse(error.getWhere(), "");
    long ours =
        FUNCTION
            .matcher(where)
            .results()
            .filter(line -> OURS.matcher(line.group(1)).lookingAt())
            .count();
    return WITHOUT_ROWS.contains(sqlState.substring(0, 2))
        && !"exec_stmt_raise".equals(error.getRoutine())
        && LANGUAGE.matcher(where).results().count() == ours;
  }

  private static String line(String text) {
    return text.replaceAll("\\s+", " ").replaceAll("(?i)(password=)[^&\\s]*", "$1…");
  }
}
