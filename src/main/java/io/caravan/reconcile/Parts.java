package io.caravan.reconcile;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Which rows of a table are read at once: some blocks of it, so that no statement takes long; or
 * only some stretches of its key, where few buckets are wanted and the key is an integer.
 *
 * <p>Relies on: a condition on ctid reads only those blocks, since PostgreSQL 14.
 *
 * @param stretches where 16 keys each begin; empty: all are read
 * @param from the block at which the part begins
 * @param block where the next one begins
 */
record Parts(Optional<List<Long>> stretches, long from, Block block) {
  /** All rows, at once. */
  static final Parts ALL = new Parts(Optional.empty(), 0, new Block(Block.END, 0));

  private static final int MOST_STRETCHES = 20_000;
  private static final int STRETCH_BITS = 14;

  private static final String SIZE =
      """
      select coalesce(pg_catalog.max(pg_catalog.pg_relation_size(id) / pg_catalog.current_setting('block_size')::bigint), 0)
      from (select ?::oid union select relid from pg_catalog.pg_partition_tree(?::oid::regclass)) as tables (id)
      """;
  private static final String NEIGHBOURS =
      "select n << 4 from generate_series(?::bigint >> 4, ?::bigint >> 4) as n where (%s) & ? = any (?::bigint[])";

  /**
   * The part of a table that begins at a block.
   *
   * @param connection whose search path has nothing but PostgreSQL's own
   * @param relation the table's id
   * @param rows the table or a view of it, as SQL names it
   * @param key its first key column, as SQL names it
   * @param types of its key, and of what that is compared with
   * @param most how many blocks a part has
   */
  static Parts of(
      Connection connection,
      Scope scope,
      long relation,
      String rows,
      String key,
      List<List<String>> types,
      long from,
      long most)
      throws SQLException {
    if (types.stream().allMatch(Hashes::isInteger)) {
      Optional<List<Long>> stretches = stretches(connection, scope, rows, key);
      if (stretches.isPresent()) {
        return new Parts(stretches, 0, new Block(Block.END, 0));
      }
    }
    long blocks = Sql.of(SIZE, relation, relation).one(connection, row -> row.getLong(1));
    long next = blocks > from + most ? from + most : Block.END;
    return new Parts(Optional.empty(), from, new Block(next, blocks));
  }

  private static Optional<List<Long>> stretches(
      Connection connection, Scope scope, String rows, String key) throws SQLException {
    long mask = (1L << Math.min(scope.bits(), STRETCH_BITS)) - 1;
    List<Long> patterns =
        scope.within().stream().map(pattern -> pattern & mask).distinct().toList();
    if (patterns.size() * 8L >= mask + 1) {
      return Optional.empty();
    }
    List<Long> ends =
        Sql.of("select min(%1$s), max(%1$s) from %2$s".formatted(key, rows))
            .one(
                connection,
                row ->
                    row.getObject(1) == null
                        ? List.<Long>of()
                        : List.of(row.getLong(1), row.getLong(2)));
    if (ends.isEmpty()
        || ((double) ends.get(1) - ends.get(0)) / 16 * patterns.size() / (mask + 1)
            >= MOST_STRETCHES) {
      return Optional.empty();
    }
    List<Long> stretches = new ArrayList<>();
    Sql.of(
            NEIGHBOURS.formatted(Hashes.ofNeighbours("n", scope.seed())),
            ends.get(0),
            ends.get(1),
            mask,
            patterns)
        .each(connection, row -> stretches.add(row.getLong(1)));
    return Optional.of(stretches);
  }

  /**
   * The same part in pieces of so many blocks. The last piece is open-ended if this part is,
   * because the table may have grown.
   */
  List<Parts> pieces(long blocks) {
    long end = block.next() == Block.END ? block.blocks() : block.next();
    if (stretches.isPresent() || end - from <= blocks) {
      return List.of(this);
    }
    List<Parts> pieces = new ArrayList<>();
    for (long begin = from; begin < end; begin += blocks) {
      long next = begin + blocks < end ? begin + blocks : block.next();
      pieces.add(new Parts(stretches, begin, new Block(next, block.blocks())));
    }
    return pieces;
  }

  /** Whether an index is to be used: PostgreSQL takes the stretches for long. */
  boolean needIndex() {
    return stretches.isPresent();
  }

  /** What keeps a query to the rows with a key in one of the stretches. */
  Sql join(String key) {
    return stretches
        .map(
            list ->
                Sql.of(
                    """
                    join pg_catalog.unnest(?::bigint[]) as "caravan.stretch" ("caravan.first")
                      on %1$s operator(pg_catalog.>=) "caravan.first"
                      and %1$s operator(pg_catalog.<=) ("caravan.first" operator(pg_catalog.+) 15)"""
                        .formatted(key),
                    list))
        .orElse(Sql.of(""));
  }

  /** The condition that keeps a query to the blocks of this part. */
  Sql condition(String place) {
    List<String> conditions = new ArrayList<>(List.of("true"));
    List<Object> bounds = new ArrayList<>();
    if (from > 0) {
      conditions.add(place + " operator(pg_catalog.>=) ?::tid");
      bounds.add("(%d,0)".formatted(from));
    }
    if (block.next() != Block.END) {
      conditions.add(place + " operator(pg_catalog.<) ?::tid");
      bounds.add("(%d,0)".formatted(block.next()));
    }
    return new Sql(String.join(" and ", conditions), bounds);
  }
}
