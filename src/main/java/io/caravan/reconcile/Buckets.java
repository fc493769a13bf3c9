package io.caravan.reconcile;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.function.Consumer;

/**
 * What is asked of the rows in some buckets, on either side. {@code rows} is always a query that
 * returns key_hash, row_hash, key_text (an array of texts) and key (as it is in the log; null at a
 * client).
 */
final class Buckets {
  private static final String LIST =
      "select row_hash, key_text::text, key::text from (%s) as r where %s";

  private Buckets() {}

  /** Each of the rows. */
  static void list(Connection connection, Scope scope, Sql rows, Consumer<Listed> each)
      throws SQLException {
    Sql.join(LIST, rows, isWithin(scope))
        .each(
            connection,
            row -> {
              String key = row.getString(3);
              each.accept(new Listed(row.getLong(1), row.getString(2), key == null ? "" : key));
            });
  }

  /** The condition that keeps a query to the buckets of a scope. */
  static Sql isWithin(Scope scope) {
    return scope.bits() == 0
        ? Sql.of("true")
        : Sql.of(
            "(key_hash operator(pg_catalog.&) '%d'::bigint) operator(pg_catalog.=) any (?::bigint[])"
                .formatted((1L << scope.bits()) - 1),
            scope.within());
  }

  /** Reads rows. */
  interface Reading {
    void read(Connection connection, Sql rows) throws SQLException;
  }
}
