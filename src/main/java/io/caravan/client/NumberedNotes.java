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
 * The notes of replicated keys that an older release has left: it had a table of targets with a
 * number for each. They are moved a few blocks of the table at a time, each in a transaction of its
 * own, so that no statement takes long. Whoever is interrupted begins again, and finds what is
 * left.
 */
final class NumberedNotes {
  private static final int BLOCKS = 200;

  private static final String TARGETS =
      """
      select id, client, source, relation, coalesce((pg_catalog.to_jsonb(t) ->> 'entry'::text)::int, 1)
      from caravan.target as t
      """;
  private static final String SIZE =
      """
      select pg_catalog.pg_relation_size('caravan.numbered'::regclass) / pg_catalog.current_setting('block_size')::int
      """;
  // Notes of targets that are in no mapping any more come along: it may name them again.
  private static final String MOVE =
      """
      with gone as (
        delete from caravan.numbered as n
        where n.ctid >= pg_catalog.format('(%s,0)', ?::bigint)::tid
          and n.ctid < pg_catalog.format('(%s,0)', ?::bigint)::tid
        returning n.target, n.key
      )
      insert into caravan.replicated (target, key)
      select t.number, gone.key
      from gone
      join rows from (pg_catalog.unnest(?::int[]), pg_catalog.unnest(?::bigint[])) as t (id, number) on t.id = gone.target
      on conflict do nothing
      """;

  private final Connection connection;
  private final String client;

  NumberedNotes(Connection connection, String client) {
    this.connection = connection;
    this.client = client;
  }

  /** Moves all of them, those of other clients of this database, too. */
  void move() throws SQLException {
    List<Integer> ids = new ArrayList<>();
    List<Long> numbers = new ArrayList<>();
    long blocks;
    try (Statement statement = connection.createStatement()) {
      try (ResultSet row = statement.executeQuery(TARGETS)) {
        while (row.next()) {
          ids.add(row.getInt(1));
          numbers.add(
              TargetNumber.of(row.getString(2), row.getString(3), row.getString(4), row.getInt(5)));
        }
      }
      try (ResultSet row = statement.executeQuery(SIZE)) {
        row.next();
        blocks = row.getLong(1);
      }
    }
    long moved = 0;
    try (PreparedStatement move = connection.prepareStatement(MOVE)) {
      move.setArray(3, connection.createArrayOf("int", ids.toArray()));
      move.setArray(4, connection.createArrayOf("bigint", numbers.toArray()));
      for (long block = 0; block < blocks; block += BLOCKS) {
        move.setLong(1, block);
        move.setLong(2, block + BLOCKS);
        moved += move.executeUpdate();
      }
    }
    if (moved > 0) {
      LoggerFactory.getLogger("caravan." + client)
          .info("took {} notes of replicated keys over from an older release", moved);
    }
  }
}
