package io.caravan.reconcile;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * The digest of rows that are read piece by piece.
 *
 * <p>Hashes are combined by XOR: as good as a sum where no row is there twice, without its 128
 * bits.
 */
final class PartialDigest {
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

  private final Scope scope;
  private final Map<Long, Integer> places = new HashMap<>();
  private final long[] hashes;
  private long rows;
  private long total;

  /** Of no rows yet. */
  PartialDigest(Scope scope) {
    this.scope = scope;
    scope.within().forEach(pattern -> places.put(pattern, places.size()));
    hashes = new long[scope.within().size() << scope.more()];
  }

  /** Reads a piece, a query as {@link Buckets} describes it. */
  void add(Connection connection, Sql piece) throws SQLException {
    Sql.join(DIGEST, (1L << scope.depth()) - 1, piece, Buckets.isWithin(scope))
        .each(connection, this::add);
  }

  private void add(ResultSet row) throws SQLException {
    rows += row.getLong(1);
    total ^= row.getLong(2);
    if (row.getArray(3) != null) {
      Long[] buckets = (Long[]) row.getArray(3).getArray();
      Long[] sums = (Long[]) row.getArray(4).getArray();
      for (int i = 0; i < buckets.length; i++) {
        hashes[place(buckets[i])] ^= sums[i];
      }
    }
  }

  /** A digest has its buckets in the order of the patterns, and then of the further bits. */
  private int place(long bucket) {
    long pattern = bucket & ((1L << scope.bits()) - 1);
    return (places.get(pattern) << scope.more()) + (int) (bucket >> scope.bits());
  }

  /** The digest of what was read. */
  Digest digest() {
    return new Digest(rows, total, Arrays.stream(hashes).boxed().toList());
  }
}
