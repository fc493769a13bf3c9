package io.caravan.read;

import static java.util.stream.Collectors.joining;

import io.caravan.client.Source;
import java.util.List;

/**
 * The query that reads the next page of what is new since a cursor's snapshot. New is what is
 * visible now and was not visible in it: {@code xid >= xmax or xid = any (running)}, which leaves
 * no gap when transactions commit in another order than they began, and waits for none. A page
 * takes what follows the last one by the id of the change; a key stands at its newest id in the
 * page.
 *
 * <p>It is one query, and so it sees one snapshot. Its first row says where central stands, and
 * whether the query fits; where it does not, no other follows. The others are the changes, each
 * with its row as it is now, up to the one with which they are as large as a page may be. So one
 * answer is all of a page: no transaction waits for a slow line.
 *
 * <p>Relies on: PostgreSQL reads a materialized part in its order, and only when somebody needs it;
 * it computes no branch of a {@code case} but the one that is taken, and runs the parts of {@code
 * union all} one after another.
 */
final class WindowStatement {
  private static final String HEAD =
      """
      with given as (
        select ?::text as epoch, ?::pg_catalog.pg_snapshot as since, ?::pg_catalog.pg_snapshot as upto,
          ?::pg_catalog.pg_snapshot as until, ?::timestamptz as seen, ?::int as most, ?::int as most_bytes
      ), %s, bound as materialized (
        select coalesce(upto, case
          when until is null then pg_catalog.pg_current_snapshot()
          when caravan_internal.shows_all_of(until, since) and caravan_internal.shows_all_of(pg_catalog.pg_current_snapshot(), until) then until
          else pg_catalog.pg_current_snapshot()
        end) as upto
        from given
      )""";
  // OFFSET keeps PostgreSQL from looking for the least ids in the order of the ids: it would walk
  // the whole log.
  private static final String FIRST =
      """
      , next as materialized (
        select id, source, key
        from (
          %s
          offset 0
        ) as new
        where pg_catalog.pg_visible_in_snapshot(xid, (select upto from bound))
        order by id
        limit ?
      ), edge as materialized (
        select pg_catalog.min(id) - 1 as after, pg_catalog.max(id) as last from (
          %s
          offset 0
        ) as new
      )""";
  private static final String FURTHER =
      """
      , next as materialized (
        select id, source, key
        from %s
        where id > ? and id <= ? and (xid >= ?::xid8 or xid = any (?::xid8[])) and source in (%s)
          and pg_catalog.pg_visible_in_snapshot(xid, (select upto from bound)) and (select fits and is_set from fit)
        order by id
        limit ?
      ), edge as materialized (
        select null::bigint as after, null::bigint as last
      )""";
  // The bounds of the whole window are needed where it is large, or brings nothing.
  private static final String REST =
      """
      , newest as materialized (
        select pg_catalog.max(id) as id, source, key from next group by source, key order by 1
      ), size as materialized (
        select pg_catalog.count(*) as n, pg_catalog.max(id) as last from next
      ), watermark as materialized (
        select pg_catalog.max(at) as at from caravan_internal.watermark
      )
      select array[fits::text, is_set::text, (select upto::text from bound), size.n::text,
          case when fits and is_set and size.n in (0, most) then (select (last - after)::text from edge) end,
          case when fits and size.n = most then (select last::text from edge) else size.last::text end,
          pg_catalog.to_json(m.at) #>> '{}', (coalesce(seen, '-infinity') < m.at - '1 hour'::interval)::text,
          (select pg_catalog.string_agg(client, E'\\n') from caravan_internal.refusing), (select pg_catalog.count(*)::text from newest)] as head,
        null::bigint as id, null::int as source, null::text as key, null::text as "row", null::text as spelled, null::text as other,
        null::text[] as moved
      from fit, size, watermark as m, given
      union all
      select null, b.id, b.source, b.key, b."row", b.spelled, b.other, b.moved
      from (
        select *, pg_catalog.sum(pg_catalog.octet_length(key) + coalesce(pg_catalog.octet_length("row"), 0) + coalesce(pg_catalog.octet_length(other), 0))
          over (rows between unbounded preceding and 1 preceding) as bytes_before
        from (
          select n.id, n.source, n.key::text as key, r."row", %1$s, %4$s as moved
          from newest as n
          cross join lateral (select case n.source %2$s end as "row" offset 0) as r%3$s
        ) as found
      ) as b
      where coalesce(b.bytes_before, 0) < (select most_bytes from given)
      """;

  private final List<Tracked> sources;
  private final List<Source> described;
  private final List<List<Integer>> siblings;
  private final String log;
  private final int largestRow;
  private final String first;
  private final String firstWithRunning;
  private final String further;

  /**
   * For some sources.
   *
   * @param sources that are read
   * @param described the same with the columns that are wanted
   * @param siblings for each, the places of those that may have a row which it has no more
   * @param log which view of the log may be read
   * @param largestRow how many bytes the texts of a row's values may have; of a larger row it says
   *     how many they have
   */
  WindowStatement(
      List<Tracked> sources,
      List<Source> described,
      List<List<Integer>> siblings,
      String log,
      int largestRow) {
    this.sources = sources;
    this.described = described;
    this.siblings = siblings;
    this.log = log;
    this.largestRow = largestRow;
    first = makeFirst(false);
    firstWithRunning = makeFirst(true);
    further = head() + FURTHER.formatted(log, ids()) + rest();
  }

  /**
   * The first page of a window. Parameters: epoch, since, upto, until, watermark, most, bytes; for
   * the changes and for their bounds each xmax, and the running ones if there are any; most behind
   * the former.
   *
   * @param hasRunning whether transactions were running when the snapshot was taken
   */
  String first(boolean hasRunning) {
    return hasRunning ? firstWithRunning : first;
  }

  private String makeFirst(boolean hasRunning) {
    String where = "where source in (" + ids() + ") and (select fits and is_set from fit) and xid ";
    String changes = "select id, xid, source, key from " + log + " " + where;
    String ids = "select id from caravan.change where xid ";
    return head() + FIRST.formatted(since(changes, hasRunning), since(ids, hasRunning)) + rest();
  }

  private static String since(String select, boolean hasRunning) {
    return select
        + ">= ?::xid8"
        + (hasRunning ? "\n    union all\n    " + select + "= any (?::xid8[])" : "");
  }

  /** A further page. Parameters: as of the first; then after, last, xmax, running, most. */
  String further() {
    return further;
  }

  private String head() {
    return HEAD.formatted(Fit.sql(sources));
  }

  private String rest() {
    StringBuilder rows = new StringBuilder();
    StringBuilder spelled = new StringBuilder();
    for (int i = 0; i < sources.size(); i++) {
      Tracked source = sources.get(i);
      String row = source.row(described.get(i), largestRow);
      rows.append(
          "\n  when %1$d then (select %2$s from (select * from caravan_internal.found_%1$d(n.key) offset 0) as f)"
              .formatted(source.id(), row));
      if (source.isLoose()) {
        spelled.append(
            """

              when %1$d then (select array[f.spelled::text, %2$s] from (select * from caravan_internal.spelled_%1$d(n.key) offset 0) as f
                where not exists (select from next as o where o.source = %1$d and o.key = f.spelled))"""
                .formatted(source.id(), row));
      }
    }
    StringBuilder moved = new StringBuilder();
    for (int i = 0; i < sources.size(); i++) {
      if (!siblings.get(i).isEmpty()) {
        moved.append("\n  when ").append(sources.get(i).id()).append(" then array[");
        moved.append(siblings.get(i).stream().map(this::rowOf).collect(joining(", "))).append(']');
      }
    }
    boolean isNoneLoose = spelled.isEmpty();
    return REST.formatted(
        isNoneLoose
            ? "null::text as spelled, null::text as other"
            : "s.texts[1] as spelled, s.texts[2] as other",
        rows,
        isNoneLoose
            ? ""
            : "\ncross join lateral (select case when r.\"row\" is null and n.key is not null then case n.source"
                + spelled
                + " end end as texts offset 0) as s",
        moved.isEmpty()
            ? "null::text[]"
            : "case when r.\"row\" is null and n.key is not null then case n.source"
                + moved
                + " end end");
  }

  private String rowOf(int sibling) {
    return "(select %s from (select * from caravan_internal.found_%d(n.key) offset 0) as f)"
        .formatted(
            sources.get(sibling).row(described.get(sibling), largestRow),
            sources.get(sibling).id());
  }

  private String ids() {
    return sources.stream().map(source -> String.valueOf(source.id())).collect(joining(", "));
  }
}
