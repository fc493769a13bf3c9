package io.caravan.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.Test;

class SessionTest {
  private static final String SETTINGS =
      "select current_setting('jit') || ' ' || current_setting('datestyle') || ' ' || current_setting('timezone')";

  /** Compiling takes longer than a comparison of some 100,000 rows. */
  @Test
  void nothingIsCompiledForAComparisonAndTextsDoNotDependOnTheDatabase() throws SQLException {
    Database database = Postgres.shared().createDatabase("session");
    for (String setting : List.of("jit = on", "datestyle = 'German'", "timezone = 'Asia/Tokyo'")) {
      database.execute("alter database " + database.name() + " set " + setting);
    }

    try (Session session = new Session(database.dataSource())) {
      assertThat(settings(session.connection())).isEqualTo("off ISO, MDY UTC");
    }

    assertThat(database.value(SETTINGS)).startsWith("on ");
  }

  private static String settings(Connection connection) throws SQLException {
    return Sql.of(SETTINGS).one(connection, row -> row.getString(1));
  }
}
