package io.caravan.reconcile;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.function.Consumer;

/** Reads what the functions {@code caravan.answer} of both sides have in common. */
final class Answers {
  static final String DIGEST =
      """
      select (a operator(pg_catalog.->>) 'rows'::text)::bigint, (a operator(pg_catalog.->>) 'total'::text)::bigint, (a operator(pg_catalog.->>) 'buckets'::text)::bigint[],
        (a operator(pg_catalog.->>) 'next'::text)::bigint, (a operator(pg_catalog.->>) 'blocks'::text)::bigint, (a operator(pg_catalog.->>) 'owned_keys'::text)::bigint
      from
      """;
  static final String LIST =
      """
      select (a operator(pg_catalog.->>) 'next'::text)::bigint, (a operator(pg_catalog.->>) 'blocks'::text)::bigint, u.hash, u.key_text, u.key
      from %s
      left join lateral rows from (
        pg_catalog.unnest((a operator(pg_catalog.->>) 'hashes'::text)::bigint[]), pg_catalog.unnest((a operator(pg_catalog.->>) 'key_texts'::text)::text[]),
        pg_catalog.unnest((a operator(pg_catalog.->>) 'keys'::text)::text[])
      ) as u (hash, key_text, key) on true
      """;

  private Answers() {}

  static DigestPart digest(ResultSet row) throws SQLException {
    List<Long> buckets = List.of((Long[]) row.getArray(3).getArray());
    return new DigestPart(
        new Digest(row.getLong(1), row.getLong(2), buckets),
        block(row, 4),
        row.getObject(6) == null ? DigestPart.UNKNOWN : row.getLong(6));
  }

  static Block listed(ResultSet row, Consumer<Listed> each) throws SQLException {
    if (row.getString(4) != null) {
      each.accept(new Listed(row.getLong(3), row.getString(4), orEmpty(row.getString(5))));
    }
    return block(row, 1);
  }

  private static Block block(ResultSet row, int column) throws SQLException {
    long next = row.getLong(column);
    return new Block(row.wasNull() ? Block.END : next, row.getLong(column + 1));
  }

  static String orEmpty(String text) {
    return text == null ? "" : text;
  }

  /** JSON; empty where it is null. */
  static String json(String text) {
    return text == null || text.equals("null") ? "" : text;
  }

  /** Takes a row. */
  interface Taker {
    void take(ResultSet row) throws SQLException;
  }
}
