package io.caravan.read;

import java.sql.PreparedStatement;
import java.sql.SQLException;

/** Sets a statement's parameters one after another. */
final class Parameters {
  private final PreparedStatement statement;
  private int next = 1;

  /** Begins with the first one. */
  Parameters(PreparedStatement statement) {
    this.statement = statement;
  }

  Parameters text(String value) throws SQLException {
    statement.setString(next++, value);
    return this;
  }

  Parameters number(int value) throws SQLException {
    statement.setInt(next++, value);
    return this;
  }

  Parameters id(long value) throws SQLException {
    statement.setLong(next++, value);
    return this;
  }

  /** Which transactions a snapshot does not show, as two parameters, or one if none was running. */
  Parameters since(Snapshot snapshot, boolean withRunning) throws SQLException {
    text(snapshot.xmax());
    return withRunning || !snapshot.isWithoutRunning() ? text(snapshot.running()) : this;
  }
}
