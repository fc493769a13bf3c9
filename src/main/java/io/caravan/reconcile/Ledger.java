package io.caravan.reconcile;

import com.fasterxml.jackson.databind.JsonNode;
import io.caravan.client.Source;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import javax.sql.DataSource;

/**
 * What central keeps of one run. Each method that writes is a transaction, and writes only if the
 * run is still this hub's: so two hubs never work for the same one.
 */
final class Ledger {
  private final DataSource central;
  private final long run;
  private final String hub;
  private final BooleanSupplier isStopping;
  private long step;
  private Duration rested = Duration.ZERO;
  private boolean isAwaited;

  Ledger(DataSource central, long run, String hub, long step, BooleanSupplier isStopping) {
    this.central = central;
    this.run = run;
    this.hub = hub;
    this.step = step;
    this.isStopping = isStopping;
  }

  /** What the run must know of its source. */
  Basis basis() throws SQLException {
    return read(
        "select * from caravan_internal.source_of_run(?)",
        row ->
            row.getString("unfit") != null
                ? new Basis(row.getString("unfit"), 0, 0, null, 0, List.of(), SeededDigest.NONE)
                : new Basis(
                    "",
                    row.getInt("id"),
                    row.getLong("relation"),
                    Checkpoint.read(row.getString("description"), Source.class),
                    row.getLong("rows"),
                    texts(row, "refused"),
                    local(row.getString("local"))),
        run);
  }

  /** The digest of the client's local rows, as it last was. */
  SeededDigest local() throws SQLException {
    return read("select caravan_internal.local_digest(?)", row -> local(row.getString(1)), run);
  }

  private static SeededDigest local(String json) throws SQLException {
    // An older release has kept it in another form.
    return json == null || !Checkpoint.read(json, JsonNode.class).has("digest")
        ? SeededDigest.NONE
        : Checkpoint.read(json, SeededDigest.class);
  }

  /** Whether a client that stands at this cursor can be compared. */
  boolean isComparable(String cursor, String source) throws SQLException {
    return read(
        "select caravan_internal.is_comparable(?::jsonb, ?)",
        row -> row.getBoolean(1),
        orNull(cursor),
        source);
  }

  /** Those of these types of a client that central lacks. */
  Set<String> unknownTypes(Collection<String> types) throws SQLException {
    return Set.copyOf(
        read(
            "select caravan_internal.unknown_types(?) as unknown",
            row -> texts(row, "unknown"),
            types));
  }

  /** Another hub could go on from here. */
  void keep(Checkpoint checkpoint) throws SQLException, Ended {
    write(checkpoint, connection -> null);
  }

  /** The run has rested so long: that is no work. */
  void hasRested(Duration time) {
    rested = rested.plus(time);
  }

  /** Whether somebody waits for another run of the client, as of when something was last kept. */
  boolean isAwaited() {
    return isAwaited;
  }

  /** What the run has come to, in a line; empty: it is not worth one. */
  String progress() throws SQLException {
    return read(
        "select coalesce(caravan_internal.progress(?), ''::text)", row -> row.getString(1), run);
  }

  /** Adds to what the run has to say. */
  void note(List<String> notes) throws SQLException, Ended {
    if (!notes.isEmpty()) {
      write(connection -> call(connection, "select caravan_internal.note(?, ?)", run, notes));
    }
  }

  /** Keeps the digest of the client's local rows. */
  void keepLocal(SeededDigest local) throws SQLException, Ended {
    String json = Checkpoint.json(local);
    write(
        connection ->
            call(connection, "select caravan_internal.keep_local_digest(?, ?::jsonb)", run, json));
  }

  /**
   * Suspects keys.
   *
   * @param keys as in the change log
   * @param keyTexts as the client writes them, where central has no row
   */
  void suspect(Collection<String> keys, Collection<String> keyTexts) throws SQLException, Ended {
    if (!keys.isEmpty() || !keyTexts.isEmpty()) {
      write(
          connection ->
              call(
                  connection,
                  "select caravan_internal.suspect_keys(?, ?, ?)",
                  run,
                  keys,
                  keyTexts));
    }
  }

  /** Suspects keys that the client has noted, as far as they are keys of the source. */
  void suspectNoted(Collection<String> keys) throws SQLException, Ended {
    write(connection -> call(connection, "select caravan_internal.suspect_noted(?, ?)", run, keys));
  }

  /** Marks those of the client's noted keys as surplus that are gone from central. */
  void suspectGone(Collection<String> keys) throws SQLException, Ended {
    write(connection -> call(connection, "select caravan_internal.suspect_gone(?, ?)", run, keys));
  }

  /** The keys to check next; none: all are decided, or change all the time. */
  Suspects keysToCheck(Limits limits) throws SQLException {
    return read(
        "select * from caravan_internal.keys_to_check(?, ?, ?)",
        row -> new Suspects(texts(row, "keys"), row.getInt("checks"), texts(row, "refused")),
        run,
        limits.checked(),
        limits.checks());
  }

  /** What has become known since both sides were checked; asked after both have answered. */
  SinceCheck changedSinceCheck(List<String> keys, CentralRows central, ClientRows client)
      throws SQLException {
    return read(
        "select * from caravan_internal.changed_since_check(?, ?, ?::pg_snapshot, ?::jsonb)",
        row ->
            row.getBoolean("is_comparable")
                ? new SinceCheck(
                    true, Set.copyOf(texts(row, "changing")), Set.copyOf(texts(row, "refused")))
                : new SinceCheck(false, Set.of(), Set.of()),
        run,
        keys,
        central.snapshot(),
        orNull(client.cursor()));
  }

  /** Keeps what was decided about keys; returns how many are known to differ by now. */
  long keepVerdicts(List<Checked> checked) throws SQLException, Ended {
    return write(
        connection ->
            Sql.of(
                    "select caravan_internal.keep_verdicts(?, ?, ?, ?::boolean[], ?, ?)",
                    run,
                    checked.stream().map(Checked::key).toList(),
                    checked.stream().map(each -> each.verdict().text()).toList(),
                    checked.stream().map(each -> "" + each.isReplicated()).toList(),
                    checked.stream().map(each -> orNull(each.spelled())).toList(),
                    checked.stream().map(each -> orNull(each.keyText())).toList())
                .one(connection, row -> row.getLong(1)));
  }

  private static String orNull(String text) {
    return text.isEmpty() ? null : text;
  }

  /** How many keys are what. */
  Tally tally() throws SQLException {
    return read(
        "select * from caravan_internal.tally(?)",
        row ->
            new Tally(
                row.getLong("missing"),
                row.getLong("stale"),
                row.getLong("surplus"),
                row.getLong("orphaned"),
                row.getLong("local"),
                row.getLong("changing"),
                row.getLong("skipped"),
                row.getLong("repaired"),
                row.getLong("all"),
                row.getLong("unnoted")),
        run);
  }

  /** Keeps what was found. */
  void keepFindings(Findings found, Comparison comparison) throws SQLException, Ended {
    write(
        connection ->
            call(
                connection,
                "select caravan_internal.keep_findings(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                run,
                found.compared(),
                found.missing(),
                found.stale(),
                found.surplus(),
                found.local(),
                found.skipped(),
                comparison.key().stream().map(Column::name).toList(),
                comparison.columns().stream().map(Column::name).toList(),
                found.notes()));
  }

  /** Has what was found to differ sent once more. */
  void repair(Checkpoint checkpoint) throws SQLException, Ended {
    write(checkpoint, connection -> call(connection, "select caravan_internal.repair(?)", run));
  }

  /** Ends the run, in this state and with these words. */
  void end(String state, String note) throws SQLException, Ended {
    write(
        connection ->
            call(connection, "select caravan_internal.end_run(?, ?, ?)", run, state, note));
  }

  /** Ends the run, which has come through. */
  void finish(boolean isEqual, long repaired, long skipped, List<String> notes)
      throws SQLException, Ended {
    write(
        connection ->
            call(
                connection,
                "select caravan_internal.finish_run(?, ?, ?, ?, ?)",
                run,
                isEqual,
                repaired,
                skipped,
                notes));
  }

  private <T> T write(Statements<T> statements) throws SQLException, Ended {
    return write(Optional.empty(), statements);
  }

  private <T> T write(Checkpoint checkpoint, Statements<T> statements) throws SQLException, Ended {
    return write(Optional.of(checkpoint), statements);
  }

  private <T> T write(Optional<Checkpoint> checkpoint, Statements<T> statements)
      throws SQLException, Ended {
    long before = step;
    try (Connection connection = central.getConnection()) {
      connection.setAutoCommit(false);
      try {
        keepOn(connection, checkpoint);
        T result = statements.run(connection);
        connection.commit();
        return result;
      } catch (SQLException | Ended e) {
        step = before;
        connection.rollback();
        throw e;
      } finally {
        connection.setAutoCommit(true);
      }
    }
  }

  private void keepOn(Connection connection, Optional<Checkpoint> checkpoint)
      throws SQLException, Ended {
    if (isStopping.getAsBoolean()) {
      throw new Ended("the hub stops");
    }
    Kept kept =
        Sql.of(
                "select coalesce(step, 0), coalesce(awaited, false) from caravan_internal.keep_on(?, ?, ?, ?::jsonb, ?, ?::interval)",
                run,
                hub,
                step,
                checkpoint.map(Checkpoint::json).orElse(null),
                checkpoint.map(at -> BigDecimal.valueOf(at.share())).orElse(null),
                rested.toString())
            .one(connection, row -> new Kept(row.getLong(1), row.getBoolean(2)));
    if (kept.step == 0) {
      throw new Ended("it is no longer this hub's");
    }
    step = kept.step;
    isAwaited = kept.isAwaited;
    rested = Duration.ZERO;
  }

  private <T> T read(String sql, Sql.Maker<T> reading, Object... parameters) throws SQLException {
    try (Connection connection = central.getConnection()) {
      return Sql.of(sql, parameters).one(connection, reading);
    }
  }

  private static Object call(Connection connection, String sql, Object... parameters)
      throws SQLException {
    return Sql.of(sql, parameters).one(connection, row -> null);
  }

  private static List<String> texts(ResultSet row, String column) throws SQLException {
    return List.of((String[]) row.getArray(column).getArray());
  }

  private record Kept(long step, boolean isAwaited) {}

  /** What is done in a transaction. */
  private interface Statements<T> {
    T run(Connection connection) throws SQLException;
  }

  /**
   * What a run must know of its source.
   *
   * @param unfit why it can't be compared; empty: it can
   * @param rows about how many it has
   * @param refused keys that are not compared
   * @param local the digest of the client's local rows, as it last was
   */
  record Basis(
      String unfit,
      int id,
      long relation,
      Source source,
      long rows,
      List<String> refused,
      SeededDigest local) {}

  /**
   * Keys to check.
   *
   * @param checks how often they were checked
   * @param refused keys of the source that are not compared
   */
  record Suspects(List<String> keys, int checks, List<String> refused) {}

  /**
   * What has become known since both sides were checked.
   *
   * @param isComparable whether the client can be compared at all
   * @param changing keys of which one of the two has not seen a change
   * @param refused keys that are not compared
   */
  record SinceCheck(boolean isComparable, Set<String> changing, Set<String> refused) {}

  /**
   * What was decided about a key.
   *
   * @param isReplicated whether the client has noted it as central's
   * @param spelled as central writes it, if in another way; else empty
   * @param keyText as the client writes it; empty: it has no row
   */
  record Checked(
      String key, Verdict verdict, boolean isReplicated, String spelled, String keyText) {}

  /**
   * How many keys are what.
   *
   * @param all how many there are
   * @param unnoted how many are missing or stale, and not noted as central's
   */
  record Tally(
      long missing,
      long stale,
      long surplus,
      long orphaned,
      long local,
      long changing,
      long skipped,
      long repaired,
      long all,
      long unnoted) {
    long differing() {
      return missing + stale + surplus + orphaned;
    }
  }

  /** What a run has found, as people see it. */
  record Findings(
      long compared,
      long missing,
      long stale,
      long surplus,
      long local,
      long skipped,
      List<String> notes) {}
}
