package io.caravan.jdbc;

import io.caravan.install.Installation;
import java.sql.Connection;
import java.sql.SQLException;

/**
 * Connections to a central that is of this hub's version. While it is not, there are none: so
 * nothing is read from it or written to it.
 */
public final class CentralPool extends Pool {
  private Installation installation;

  /** What says whether central is of this hub's version. */
  public void setInstallation(Installation installation) {
    this.installation = installation;
    installation.whenItNoLongerFits(this::cut);
  }

  @Override
  public Connection getConnection() throws SQLException {
    installation.require();
    return super.getConnection();
  }
}
