package io.caravan.read;

import static java.util.stream.Collectors.joining;

import java.util.List;

/**
 * Whether a query fits: central has the history that the cursor is of, and its sources are as they
 * were when the query was made.
 */
final class Fit {
  private static final String FIT =
      """
      fit as materialized (
        select h.epoch = g.epoch and h.started = pg_catalog.pg_postmaster_start_time()
            and h.epoch = pg_catalog.concat_ws('/', pg_catalog.split_part(h.epoch, '/', 1),
              pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8), (select id from caravan_internal.incarnation),
              pg_catalog.split_part(pg_catalog.pg_relation_filepath('caravan_internal.history'), '/', -2), 'caravan.change'::regclass::oid)
            and pg_catalog.pg_snapshot_xmax(coalesce(g.upto, g.since)) <= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
            and (g.seen is null or exists (select from caravan_internal.watermark as m where m.at = g.seen))
            and pg_catalog.pg_snapshot_xmin(g.since) > (select horizon from caravan_internal.compaction)
            and (select pg_catalog.count(*) from caravan_internal.tracked as t where t.state in (%1$s)) = %2$d as fits,
          %3$s as is_set
        from caravan_internal.history as h, given as g
      )""";

  private Fit() {}

  /**
   * A part of a query in SQL, {@code fit (fits, is_set)}. It is over another part, {@code given
   * (epoch, since, upto, seen)}: the cursor's epoch, snapshot, window and watermark.
   */
  static String sql(List<Tracked> sources) {
    return FIT.formatted(
        sources.stream().map(source -> literal(source.state())).collect(joining(", ")),
        sources.size(),
        Settings.areSet());
  }

  private static String literal(String text) {
    return "'" + text.replace("'", "''") + "'";
  }
}
