package io.caravan.client;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.junit.jupiter.api.Test;

/** By which clients that were loaded before know their mapping again. */
class FingerprintTest {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"user_id": "id"},
        "columns": {"mail": "lower(email)", "größe": "'\\"\\\\\\t\\u0001\\u20ac'", "a": "b"}, "where": "site = 'blog'"},
       {"source": "public.other", "table": "t", "key": {"k": "k"}, "columns": {}},
       {"table": "public.names", "source": "public.users", "key": {"id": "id"}, "columns": {}, "rows": "central"}]
      """;

  @Test
  void isThatOfTheTextThatPostgresGivesTheMapping() throws SQLException {
    Database database = Postgres.shared().createDatabase("fingerprint");
    try (Connection connection = database.dataSource().getConnection();
        PreparedStatement query =
            connection.prepareStatement(
                """
                select md5(string_agg(t::text, ',' order by n))
                from jsonb_array_elements(?::jsonb) with ordinality as m (t, n)
                where t ->> 'source' = 'public.users'
                """)) {
      query.setString(1, MAPPING);
      try (ResultSet row = query.executeQuery()) {
        row.next();
        assertThat(Fingerprint.of(MAPPING, "public.users")).isEqualTo(row.getString(1));
      }
    }
  }
}
