package io.caravan.read;

import io.caravan.client.Source;
import java.util.List;

/**
 * The query that reads the next rows of a source, in the order of its key, after the last key that
 * a client has. Its first row says where central stands, and whether the query fits; where it does
 * not, no other follows. The others are the rows, up to the one with which they are as large as a
 * page may be.
 *
 * <p>Relies on: PostgreSQL runs the parts of {@code union all} one after another, and makes {@code
 * caravan_internal.scan_N} part of the query, so that it reads no more than it is asked for.
 */
final class LoadStatement {
  private static final String LOAD =
      """
      with given as (
        select ?::text as epoch, ?::pg_catalog.pg_snapshot as since, null::pg_catalog.pg_snapshot as upto,
          ?::timestamptz as seen, ?::timestamptz as began, ?::bigint as most_bytes
      ), %1$s
      select array[fits::text, is_set::text, (select pg_catalog.to_json(pg_catalog.max(m.at)) #>> '{}' from caravan_internal.watermark as m),
          (select pg_catalog.string_agg(client, E'\n') from caravan_internal.refusing),
          extract(epoch from pg_catalog.clock_timestamp() - began)::text] as head,
        null::text as key, null::text as "row", null::bigint as bytes
      from fit, given
      union all
      select null, b.key, b."row", b.bytes
      from (
        select *, pg_catalog.sum(pg_catalog.octet_length(key) + pg_catalog.octet_length("row")) over (rows unbounded preceding) as bytes
        from (
          select f.key::text as key, %2$s as "row"
          from (
            select * from caravan_internal.scan_%3$d(%4$s) where (select fits and is_set from fit) limit ?
          ) as f
        ) as found
      ) as b
      where b.bytes - pg_catalog.octet_length(b.key) - pg_catalog.octet_length(b."row") < (select most_bytes from given)
      """;

  private LoadStatement() {}

  /**
   * The query. Parameters: epoch, since, watermark, when the load began, bytes; the last key, if
   * there is one; how many rows.
   *
   * @param described the columns that are wanted
   * @param hasKey whether the client has rows already
   * @param largestRow how many bytes the texts of a row's values may have; of a larger row it says
   *     how many they have
   */
  static String sql(Tracked source, Source described, boolean hasKey, int largestRow) {
    return LOAD.formatted(
        Fit.sql(List.of(source)),
        source.row(described, largestRow),
        source.id(),
        hasKey ? "?::jsonb" : "");
  }
}
