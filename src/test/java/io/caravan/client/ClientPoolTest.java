package io.caravan.client;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Housekeeping;
import io.caravan.Postgres;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;

/** What a client's file need not say of its connections. */
class ClientPoolTest {
  private final DefaultCamelContext hub = new DefaultCamelContext();
  private final ClientPool pool = new ClientPool();

  ClientPoolTest() {
    pool.setJdbcUrl(Postgres.shared().createDatabase("blog").url());
    pool.setCamelContext(hub);
    hub.getRegistry().bind("blog", pool);
  }

  @AfterEach
  void close() {
    pool.close();
  }

  @Test
  void theHubsTimeoutsHold() throws SQLException {
    hub.getPropertiesComponent().addInitialProperty("caravan.lockTimeout", "3s");
    hub.getPropertiesComponent().addInitialProperty("caravan.statementTimeout", "4s");
    hub.getPropertiesComponent().addInitialProperty("caravan.socketTimeout", "7");

    assertThat(setting("lock_timeout")).isEqualTo("3s");
    assertThat(setting("statement_timeout")).isEqualTo("4s");
    assertThat(pool.getDataSourceProperties()).containsEntry("socketTimeout", "7");
  }

  @Test
  void aFileMayHaveTimeoutsOfItsOwn() throws SQLException {
    hub.getPropertiesComponent().addInitialProperty("caravan.lockTimeout", "3s");
    pool.setLockTimeout("1s");
    pool.setStatementTimeout("2s");
    pool.setSocketTimeout(5);

    assertThat(setting("lock_timeout")).isEqualTo("1s");
    assertThat(setting("statement_timeout")).isEqualTo("2s");
    assertThat(pool.getDataSourceProperties()).containsEntry("socketTimeout", "5");
  }

  @Test
  void aFileMayHaveDriverSettingsOfItsOwn() throws SQLException {
    pool.addDataSourceProperty("socketTimeout", "9");
    pool.addDataSourceProperty("prepareThreshold", "3");

    assertThat(prepareThreshold()).isEqualTo(3);
    assertThat(pool.getDataSourceProperties()).containsEntry("socketTimeout", "9");
  }

  @Test
  void itIsNamedForItsBeanAndIsLookedAfterByTheHub() throws SQLException {
    Housekeeping housekeeping = new Housekeeping();
    hub.getRegistry().bind("housekeeping", housekeeping);

    setting("lock_timeout");

    assertThat(pool.getPoolName()).isEqualTo("blog");
    assertThat(pool.getScheduledExecutor()).isSameAs(housekeeping);
  }

  @Test
  void statementsArePreparedAtOnceUnlessSessionsAreShared() throws SQLException {
    assertThat(prepareThreshold()).isEqualTo(1);

    try (ClientPool shared = new ClientPool()) {
      shared.setTransactionPooling(true);
      shared.setJdbcUrl(pool.getJdbcUrl());
      try (Connection connection = shared.getConnection()) {
        assertThat(connection.unwrap(PGConnection.class).getPrepareThreshold()).isZero();
      }
    }
  }

  private int prepareThreshold() throws SQLException {
    try (Connection connection = pool.getConnection()) {
      return connection.unwrap(PGConnection.class).getPrepareThreshold();
    }
  }

  private String setting(String name) throws SQLException {
    try (Connection connection = pool.getConnection();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("show " + name)) {
      row.next();
      return row.getString(1);
    }
  }
}
