package io.caravan.apply;

import java.sql.SQLException;
import java.util.Set;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** Tells errors that are a row's from those of the client: only the former refuse the row. */
public final class RowErrors {
  // Connection, state of the transaction, prepared statement, login, name or right, lock, resource,
  // operator, disk.
  private static final Set<String> OF_THE_CLIENT =
      Set.of("", "08", "25", "26", "28", "3D", "3F", "40", "42", "53", "55", "57", "58");
  private static final String ROW_SECURITY = "ExecWithCheckOptions";

  private RowErrors() {}

  /** Whether the database may take the other rows of a page. */
  public static boolean isOfARow(SQLException error) {
    String state = error.getSQLState() == null ? "" : error.getSQLState();
    return !OF_THE_CLIENT.contains(state.substring(0, Math.min(2, state.length())))
        || isRowSecurity(error);
  }

  /** A policy refuses one row with the code of a privilege that is missing for all. */
  private static boolean isRowSecurity(SQLException error) {
    if (error instanceof PSQLException fromServer) {
      ServerErrorMessage message = fromServer.getServerErrorMessage();
      return message != null && ROW_SECURITY.equals(message.getRoutine());
    }
    return false;
  }

  /** Whether another row, which may come later, makes the difference. */
  static boolean dependsOnOthers(String sqlState) {
    return isTaken(sqlState) || sqlState.equals("23503");
  }

  /** Whether another row of the same table has the values that this one wants. */
  static boolean isTaken(String sqlState) {
    return sqlState.equals("23505") || sqlState.equals("23P01");
  }
}
