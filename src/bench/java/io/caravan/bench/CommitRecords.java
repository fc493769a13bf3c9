package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.HashMap;
import java.util.Map;

/**
 * When transactions were committed, from the commit records that a server writes anyway: so that
 * nobody has to look while something is measured. Both servers have the same clock.
 *
 * <p>{@code pg_xact_commit_timestamp} won't do: for what logical replication has brought it returns
 * the time of the commit in central. The record has the client's own.
 */
final class CommitRecords {
  private static final String COMMITS =
      """
      select string_to_table(concat_ws(' ', xid, substring(description from 'subxacts: ([0-9 ]+)')), ' '),
        (extract(epoch from split_part(description, ';', 1)::timestamptz) * 1000000)::bigint
      from pg_get_wal_records_info('%s', pg_current_wal_flush_lsn())
      where resource_manager = 'Transaction' and record_type = 'COMMIT'
      """;

  private final Database database;
  private final String from;

  /**
   * Of what is committed from now on.
   *
   * @param database any of the server's, with the extension pg_walinspect
   */
  CommitRecords(Database database) {
    this.database = database;
    from = database.value("select pg_current_wal_insert_lsn()");
  }

  /**
   * Id of a transaction or subtransaction to time, in microseconds, of what was committed until
   * now.
   */
  Map<Long, Long> read() {
    // A commit that waits for the disk takes with it those before, which may not have waited.
    database.execute("select pg_logical_emit_message(true, 'bench', '')");
    Map<Long, Long> times = new HashMap<>();
    database
        .query(COMMITS.formatted(from))
        .forEach(commit -> times.put(Long.valueOf(commit.get(0)), Long.valueOf(commit.get(1))));
    return times;
  }
}
