package io.caravan.client;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.LoggerFactory;

/**
 * The notes of replicated keys that an older release has left. They are moved a few blocks of their
 * table at a time, each in a transaction of its own, so that no statement takes long. Whoever is
 * interrupted begins again, and finds what is left.
 */
final class OlderNotes {
  private static final int BLOCKS = 200;

  private static final String TARGETS =
      """
      select id, client, source, relation, coalesce((pg_catalog.to_jsonb(t) ->> 'entry'::text)::int, 1)
      from caravan.target as t
      """;
  private static final String SIZE =
      """
      select pg_catalog.pg_relation_size('caravan.%s'::regclass) / pg_catalog.current_setting('block_size')::int
      """;
  // As NotedKey says, whatever the types of its parts.
  private static final String MOVE =
      """
      with gone as (
        delete from caravan.%s as n
        where n.ctid >= pg_catalog.format('(%%s,0)', ?::bigint)::tid
          and n.ctid < pg_catalog.format('(%%s,0)', ?::bigint)::tid
        returning n.target, n.key
      )
      insert into caravan.replicated (target, canonical_key, spelled)
      select %s, canonical.key, nullif(gone.key::text, canonical.key)
      from gone
      %s
      cross join lateral (
        select pg_catalog.jsonb_agg(
          case pg_catalog.jsonb_typeof(part.value)
            when 'number' then pg_catalog.to_jsonb(pg_catalog.trim_scale(part.value::numeric))
            else part.value
          end order by part.n
        )::text as key
        from pg_catalog.jsonb_array_elements(gone.key) with ordinality as part (value, n)
      ) as canonical
      on conflict do nothing
      """;
  private static final String NUMBERS =
      "join rows from (pg_catalog.unnest(?::int[]), pg_catalog.unnest(?::bigint[])) as t (id, number) on t.id = gone.target";

  private final Connection connection;
  private final String client;

  /** Those of a client, and of the other clients of its database. */
  OlderNotes(Connection connection, String client) {
    this.connection = connection;
    this.client = client;
  }

  /**
   * Moves those of a release that had a table of targets with a number for each. Notes of targets
   * that are in no mapping any more come along: it may name them again.
   */
  void moveNumbered() throws SQLException {
    List<Integer> ids = new ArrayList<>();
    List<Long> numbers = new ArrayList<>();
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(TARGETS)) {
      while (row.next()) {
        ids.add(row.getInt(1));
        numbers.add(
            TargetNumber.of(row.getString(2), row.getString(3), row.getString(4), row.getInt(5)));
      }
    }
    try (PreparedStatement move =
        connection.prepareStatement(MOVE.formatted("numbered", "t.number", NUMBERS))) {
      move.setArray(3, connection.createArrayOf("int", ids.toArray()));
      move.setArray(4, connection.createArrayOf("bigint", numbers.toArray()));
      move("numbered", move);
    }
  }

  /** Moves those of a release that noted keys as {@code jsonb}. */
  void moveJson() throws SQLException {
    try (PreparedStatement move =
        connection.prepareStatement(MOVE.formatted("json_notes", "gone.target", ""))) {
      move("json_notes", move);
    }
  }

  private void move(String table, PreparedStatement move) throws SQLException {
    long blocks;
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(SIZE.formatted(table))) {
      row.next();
      blocks = row.getLong(1);
    }
    long moved = 0;
    for (long block = 0; block < blocks; block += BLOCKS) {
      move.setLong(1, block);
      move.setLong(2, block + BLOCKS);
      moved += move.executeUpdate();
    }
    if (moved > 0) {
      LoggerFactory.getLogger("caravan." + client)
          .info("took {} notes of replicated keys over from an older release", moved);
    }
  }
}
