package io.caravan.client;

import com.zaxxer.hikari.SQLExceptionOverride;
import java.sql.SQLException;

/**
 * Keeps a connection on which a client's trigger has raised 0A000 for a row: the pool takes that
 * for a broken connection.
 */
final class KeptConnections implements SQLExceptionOverride {
  @java.lang.Override
  public Override adjudicate(SQLException error) {
    return "0A000".equals(error.getSQLState()) ? Override.DO_NOT_EVICT : Override.CONTINUE_EVICT;
  }
}
