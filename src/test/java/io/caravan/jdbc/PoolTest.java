package io.caravan.jdbc;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Postgres;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** How the hub's connections treat its statements. */
class PoolTest {
  private final Pool pool = new Pool();

  @BeforeEach
  void connect() {
    pool.setJdbcUrl(Postgres.shared().createDatabase("central").url());
    pool.setMaximumPoolSize(1);
  }

  @AfterEach
  void close() {
    pool.close();
  }

  @Test
  void aStatementThatIsAskedForItsParametersIsPreparedOnce() throws SQLException {
    String prepared =
        "select distinct prepare_time from pg_prepared_statements where ?::int + ?::int = 3 and statement like '%distinct%'";
    Set<String> times = new HashSet<>();
    for (int call = 0; call < 20; call++) {
      try (Connection connection = pool.getConnection();
          PreparedStatement statement = connection.prepareStatement(prepared)) {
        assertThat(statement.getParameterMetaData().getParameterCount()).isEqualTo(2);
        statement.setString(1, "1");
        statement.setString(2, "2");
        try (ResultSet result = statement.executeQuery()) {
          while (result.next()) {
            times.add(result.getString(1));
          }
        }
      }
    }
    assertThat(times).hasSize(1);
  }

  @Test
  void whatTheServerRefusesIsAnErrorOfItsOwn() throws SQLException {
    try (Connection connection = pool.getConnection();
        PreparedStatement statement = connection.prepareStatement("select 1/?::int")) {
      statement.setInt(1, 0);
      assertThatThrownBy(statement::executeQuery)
          .isInstanceOf(SQLException.class)
          .hasMessageContaining("division by zero");
    }
  }
}
