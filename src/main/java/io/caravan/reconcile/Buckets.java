package io.caravan.reconcile;

import io.caravan.Fault;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * What is asked of the rows in some buckets, on either side. {@code rows} is always a query that
 * returns key_hash, row_hash, key_text (an array of texts) and key (as it is in the log; null at a
 * client).
 *
 * <p>Hashes are combined by XOR: as good as a sum where no row is there twice, without its 128
 * bits.
 */
final class Buckets {
  // OFFSET keeps PostgreSQL from taking a key for a bucket: it would make room for as many buckets
  // as there are keys.
  private static final String DIGEST =
      """
      select coalesce(pg_catalog.sum(count), 0), coalesce(pg_catalog.bit_xor(hash), 0), pg_catalog.array_agg(bucket),
        pg_catalog.array_agg(hash operator(pg_catalog.&) 4294967295)
      from (
        select key_hash operator(pg_catalog.&) '%d'::bigint as bucket, pg_catalog.count(*) as count, pg_catalog.bit_xor(row_hash) as hash
        from (select key_hash, row_hash from (%s) as r where %s offset 0) as r
        group by 1
      ) as b
      """;
  private static final String LIST =
      "select row_hash, key_text::text, key::text from (%s) as r where %s";

  private Buckets() {}

  /**
   * The digest of the rows.
   *
   * @param pieces queries, one after the other, each for some of the rows
   * @param pace with which the pieces are asked for
   */
  static Digest digest(Connection connection, Scope scope, List<Sql> pieces, Pace pace)
      throws SQLException, Fault {
    long mask = (1L << scope.depth()) - 1;
    Map<Long, Integer> places = places(scope);
    long[] hashes = new long[scope.within().size() << scope.more()];
    long rows = 0;
    long total = 0;
    for (Sql piece : pieces) {
      Sql digest = Sql.join(DIGEST, mask, piece, isWithin(scope));
      Digest some =
          pace.ask(() -> digest.one(connection, row -> answer(row, scope, places, hashes)));
      rows += some.rows();
      total ^= some.total();
    }
    return new Digest(rows, total, Arrays.stream(hashes).boxed().toList());
  }

  /** Adds a piece's hashes to those of the buckets; returns the rest of its digest. */
  private static Digest answer(ResultSet row, Scope scope, Map<Long, Integer> places, long[] hashes)
      throws SQLException {
    if (row.getArray(3) != null) {
      Long[] found = (Long[]) row.getArray(3).getArray();
      Long[] hash = (Long[]) row.getArray(4).getArray();
      for (int i = 0; i < found.length; i++) {
        hashes[place(scope, places, found[i])] ^= hash[i];
      }
    }
    return new Digest(row.getLong(1), row.getLong(2), List.of());
  }

  /** Each of the rows, of one piece after the other. */
  static void list(
      Connection connection, Scope scope, List<Sql> pieces, Pace pace, Consumer<Listed> each)
      throws SQLException, Fault {
    for (Sql piece : pieces) {
      Sql list = Sql.join(LIST, piece, isWithin(scope));
      pace.ask(
          () -> {
            list.each(connection, row -> each.accept(listed(row)));
            return true;
          });
    }
  }

  private static Listed listed(ResultSet row) throws SQLException {
    String key = row.getString(3);
    return new Listed(row.getLong(1), row.getString(2), key == null ? "" : key);
  }

  private static Sql isWithin(Scope scope) {
    return scope.bits() == 0
        ? Sql.of("true")
        : Sql.of(
            "(key_hash operator(pg_catalog.&) '%d'::bigint) operator(pg_catalog.=) any (?::bigint[])"
                .formatted((1L << scope.bits()) - 1),
            scope.within());
  }

  /** A digest has its buckets in the order of the patterns, and then of the further bits. */
  private static int place(Scope scope, Map<Long, Integer> places, long bucket) {
    long pattern = bucket & ((1L << scope.bits()) - 1);
    return (places.get(pattern) << scope.more()) + (int) (bucket >> scope.bits());
  }

  private static Map<Long, Integer> places(Scope scope) {
    Map<Long, Integer> places = new HashMap<>();
    scope.within().forEach(pattern -> places.put(pattern, places.size()));
    return places;
  }
}
