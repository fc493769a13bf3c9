package io.caravan.apply;

import io.caravan.CentralFailure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import javax.sql.DataSource;

/** Has central do something that answers nothing. */
final class CentralCall {
  private CentralCall() {}

  /**
   * Runs a statement, as a transaction of its own.
   *
   * @param sql with a question mark for each parameter
   * @param parameters texts, numbers, and arrays of texts
   * @throws CentralFailure if central can't be reached, or refuses it
   */
  static void run(DataSource central, String sql, Object... parameters) throws CentralFailure {
    try (Connection connection = central.getConnection();
        PreparedStatement statement = connection.prepareStatement(sql)) {
      for (int i = 0; i < parameters.length; i++) {
        statement.setObject(i + 1, parameters[i]);
      }
      statement.execute();
    } catch (SQLException e) {
      throw new CentralFailure(e);
    }
  }
}
