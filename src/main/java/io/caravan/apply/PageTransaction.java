package io.caravan.apply;

import io.caravan.client.Statements;
import io.caravan.client.StoredPosition;
import io.caravan.client.Target;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/**
 * Applies a page with several statements in one transaction, so that nothing is refused but what
 * must be. Changes are applied together; where that fails, in halves, and so on down to the single
 * ones. What is refused is tried again after the others, for as long as that gets any of them in.
 * Rows that exchange unique values in a circle are applied after all of them were given temporary
 * ones.
 */
public final class PageTransaction {
  // So many changes are not told apart any further while others follow on which they may depend.
  private static final int COARSE = 64;
  // If more than one in this many changes of a page depends on other rows, the page is read again
  // with more rows; in an initial load, these changes are sent again behind the backlog. Fewer are
  // tried again here first.
  private static final int MANY = 4;

  private static final String STAND =
      "select cursor::text from caravan.cursor where client = ? and step = ?::bigint for update";
  private static final String MOVE =
      """
      update caravan.cursor as c
      set step = %s,
        cursor = pg_catalog.jsonb_build_object('filled'::text, c.cursor -> 'filled'::text) || ?::jsonb,
        applied_at = pg_catalog.now()
      where c.client = ?
      returning c.step, c.cursor::text
      """
          .formatted(StoredPosition.NEXT_STEP);

  private final Connection connection;
  private final Statements statements;
  private final Set<String> gone;
  private final Function<SQLException, String> words;
  private long written;
  private long removed;

  /**
   * A page of which nothing is applied yet.
   *
   * @param connection in a transaction; it is left to the caller to end it
   * @param gone the sources of which rows are gone
   * @param words what a dead letter says of an error
   */
  public PageTransaction(
      Connection connection,
      Statements statements,
      Set<String> gone,
      Function<SQLException, String> words) {
    this.connection = connection;
    this.statements = statements;
    this.gone = gone;
    this.words = words;
  }

  /**
   * The cursor of a client that stands at a step, and which nobody else can move meanwhile; empty
   * where it stands elsewhere.
   */
  public Optional<String> standsAt(String client, long step) throws SQLException {
    try (PreparedStatement stand = connection.prepareStatement(STAND)) {
      stand.setString(1, client);
      stand.setLong(2, step);
      try (ResultSet row = stand.executeQuery()) {
        return row.next() ? Optional.of(String.valueOf(row.getString(1))) : Optional.empty();
      }
    }
  }

  /**
   * Applies changes, all or some of them.
   *
   * @param cleared the sources that were truncated; their rows go first
   * @param others whether others follow, on which many of these changes may depend
   * @return what is refused, a change without a key being a source that can't be cleared; empty
   *     where many changes depend on others that follow in the same window, so that they are to be
   *     applied together with them
   * @throws SQLException if it is not for the data's sake
   */
  public Optional<List<Refusal>> apply(List<String> cleared, List<Change> changes, Others others)
      throws SQLException {
    execute((statements.defer() ? "set constraints all deferred; " : "") + "savepoint piece");
    List<Refusal> refused = new ArrayList<>();
    for (String source : cleared) {
      Change all = new Change(source, "null", "", true);
      if (statements.isMixed(source)) {
        refused.add(new Refusal(all, "", "another source may have its rows now"));
      } else {
        tried(() -> clear(source)).ifPresent(error -> refused.add(refusal(all, error)));
      }
    }
    List<Change> ordered = inOrder(changes);
    List<Refusal> rows =
        applyAllAtOnce(ordered)
            ? List.of()
            : applyInHalves(ordered, others == Others.NONE ? 1 : COARSE);
    if (others != Others.NONE && count(rows) > changes.size() / MANY) {
      refused.addAll(rows);
      return others == Others.IN_WINDOW ? Optional.empty() : Optional.of(refused);
    }
    // Where not one got in, another order changes nothing.
    int before = others == Others.NONE ? changes.size() : -1;
    while (!rows.isEmpty() && rows.size() != before) {
      before = rows.size();
      List<Change> reversed = new ArrayList<>(changesOf(rows));
      Collections.reverse(reversed);
      rows = applyInHalves(reversed, 1);
    }
    refused.addAll(applyCircles(applyReferences(rows)));
    return Optional.of(refused);
  }

  /** Which changes follow a page. */
  public enum Others {
    /** None: the window ends with it. */
    NONE,
    /** Those of the same window. */
    IN_WINDOW,
    /** The rest of an initial load, and then what is sent once more. */
    OF_INITIAL_LOAD
  }

  /**
   * Moves the cursor.
   *
   * @param cursor as JSON
   */
  public Moved move(String client, String cursor) throws SQLException {
    try (PreparedStatement move = connection.prepareStatement(MOVE)) {
      move.setString(1, cursor);
      move.setString(2, client);
      try (ResultSet row = move.executeQuery()) {
        row.next();
        return new Moved(row.getLong(1), row.getString(2), written, removed);
      }
    }
  }

  /**
   * Removals first, because a new row may need what an old one has; but where a removal touches the
   * rows that reference the removed one, these must have gone to their new parents before.
   */
  private List<Change> inOrder(List<Change> changes) {
    List<Change> ordered = new ArrayList<>(changes.stream().filter(Change::isGone).toList());
    ordered.addAll(
        statements.cascade() ? 0 : ordered.size(),
        changes.stream().filter(change -> !change.isGone()).toList());
    return ordered;
  }

  /**
   * Applies all changes or none. If a unique value is taken, all rows are given temporary ones
   * first.
   */
  private boolean applyAllAtOnce(List<Change> changes) throws SQLException {
    Optional<SQLException> error = tried(() -> applyTogether(changes));
    if (error.isEmpty() || !RowErrors.isTaken(error.get().getSQLState())) {
      return error.isEmpty();
    }
    long writtenBefore = written;
    long removedBefore = removed;
    execute("savepoint circle; savepoint piece");
    if (tried(() -> vacate(changes)).isEmpty() && tried(() -> applyTogether(changes)).isEmpty()) {
      return true;
    }
    execute("rollback to savepoint circle; release savepoint circle");
    written = writtenBefore;
    removed = removedBefore;
    return false;
  }

  private static long count(List<Refusal> refusals) {
    return refusals.stream().filter(r -> RowErrors.dependsOnOthers(r.sqlState())).count();
  }

  /**
   * Applies those of the changes that fit.
   *
   * @param least how many changes are not told apart further if they depend on others
   */
  private List<Refusal> applyInHalves(List<Change> changes, int least) throws SQLException {
    if (changes.isEmpty()) {
      return new ArrayList<>();
    }
    Optional<SQLException> error = tried(() -> applyTogether(changes));
    if (error.isEmpty()) {
      return new ArrayList<>();
    }
    List<Refusal> refused = new ArrayList<>();
    int size = changes.size();
    if (size == 1 || (size <= least && RowErrors.dependsOnOthers(error.get().getSQLState()))) {
      changes.forEach(change -> refused.add(refusal(change, error.get())));
    } else {
      refused.addAll(applyInHalves(changes.subList(0, size / 2), least));
      refused.addAll(applyInHalves(changes.subList(size / 2, size), least));
    }
    return refused;
  }

  /**
   * Applies changes that reference each other, each of which is refused without the other. Changes
   * that need a row that is neither there nor in the page are left out.
   */
  private List<Refusal> applyReferences(List<Refusal> refused) throws SQLException {
    List<Refusal> others = new ArrayList<>();
    List<Refusal> referring = new ArrayList<>();
    refused.forEach(r -> (r.sqlState().equals("23503") ? referring : others).add(r));
    if (referring.size() < 2) {
      return refused;
    }
    List<Refusal> rest = withoutOrphans(referring);
    if (!goIn(rest, referring)) {
      // A row that stays may reference one that is to go.
      for (boolean isGone : new boolean[] {false, true}) {
        List<Refusal> part = rest.stream().filter(r -> r.change().isGone() == isGone).toList();
        if (part.size() < rest.size()) {
          goIn(part, referring);
        }
      }
    }
    others.addAll(referring);
    return others;
  }

  private boolean goIn(List<Refusal> together, List<Refusal> refused) throws SQLException {
    boolean areIn =
        together.size() > 1 && tried(() -> applyTogether(changesOf(together))).isEmpty();
    if (areIn) {
      refused.removeAll(together);
    }
    return areIn;
  }

  /** Whoever needs one that is left out has to be left out, too. */
  private List<Refusal> withoutOrphans(List<Refusal> referring) throws SQLException {
    List<Refusal> rest = referring;
    int before;
    do {
      before = rest.size();
      Set<RowKey> orphans = orphans(changesOf(rest));
      rest = rest.stream().filter(r -> !orphans.contains(RowKey.of(r.change()))).toList();
    } while (rest.size() < before && rest.size() > 1);
    return rest;
  }

  private Set<RowKey> orphans(List<Change> changes) throws SQLException {
    Set<RowKey> orphans = new HashSet<>();
    String json = PageText.changes(changes);
    for (Target target : statements.targets()) {
      Optional<String> sql = statements.orphans(target);
      if (sql.isPresent()) {
        try (PreparedStatement query = connection.prepareStatement(sql.get())) {
          query.setString(1, json);
          try (ResultSet rows = query.executeQuery()) {
            while (rows.next()) {
              orphans.add(RowKey.of(target.source(), rows.getString("key")));
            }
          }
        }
      }
    }
    return orphans;
  }

  /**
   * Applies rows that exchange unique values. Those that do not fit even when all rows have
   * temporary values are left out, and the others are tried again.
   */
  private List<Refusal> applyCircles(List<Refusal> refused) throws SQLException {
    List<Refusal> others = new ArrayList<>();
    List<Refusal> circle = new ArrayList<>();
    for (Refusal refusal : refused) {
      boolean mayBeInOne = RowErrors.isTaken(refusal.sqlState()) && !refusal.change().isGone();
      (mayBeInOne ? circle : others).add(refusal);
    }
    while (circle.size() > 1) {
      long writtenBefore = written;
      long removedBefore = removed;
      execute("savepoint circle; savepoint piece");
      List<Change> changes = changesOf(circle);
      List<Refusal> left = circle;
      if (tried(() -> vacate(changes)).isEmpty()) {
        left = applyInHalves(changes, 1);
      }
      if (left.isEmpty()) {
        return others;
      }
      execute("rollback to savepoint circle; release savepoint circle");
      written = writtenBefore;
      removed = removedBefore;
      if (left == circle) {
        break; // the rows can't be given temporary values
      }
      others.addAll(left);
      Set<Change> out = Set.copyOf(changesOf(left));
      circle = circle.stream().filter(refusal -> !out.contains(refusal.change())).toList();
    }
    others.addAll(circle);
    return others;
  }

  private void applyTogether(List<Change> changes) throws SQLException {
    String json = PageText.changes(changes);
    if (!statements.areMixed()) {
      run(statements.all(gone), json);
      return;
    }
    for (Target target : statements.targets()) {
      run(statements.upsert(target), json);
    }
    Set<String> losing = PageText.gone(changes);
    for (int i = statements.targets().size() - 1; i >= 0; i--) {
      Target target = statements.targets().get(i);
      if (target.isFiltered() || losing.contains(target.source())) {
        run(statements.remove(target), json);
      }
    }
  }

  private void clear(String source) throws SQLException {
    for (int i = statements.targets().size() - 1; i >= 0; i--) {
      Target target = statements.targets().get(i);
      if (target.source().equals(source)) {
        run(statements.clear(target));
      }
    }
  }

  private void vacate(List<Change> changes) throws SQLException {
    String json = PageText.changes(changes);
    for (Target target : statements.targets()) {
      Optional<String> sql = statements.vacate(target);
      if (sql.isPresent()) {
        try (PreparedStatement vacate = connection.prepareStatement(sql.get())) {
          vacate.setString(1, json);
          vacate.executeUpdate();
        }
      }
    }
  }

  private void run(String sql, String... parameters) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      for (int i = 0; i < parameters.length; i++) {
        statement.setString(i + 1, parameters[i]);
      }
      try (ResultSet row = statement.executeQuery()) {
        row.next();
        written += row.getLong("written");
        removed += row.getLong("removed");
      }
    }
  }

  /** Does something or nothing; what the data is refused for is returned. */
  private Optional<SQLException> tried(Work work) throws SQLException {
    long writtenBefore = written;
    long removedBefore = removed;
    try {
      work.run();
      execute(
          (statements.defer()
                  ? "set constraints all immediate; set constraints all deferred; "
                  : "")
              + "release savepoint piece; savepoint piece");
      return Optional.empty();
    } catch (SQLException e) {
      if (!RowErrors.isOfARow(e)) {
        throw e;
      }
      execute("rollback to savepoint piece");
      written = writtenBefore;
      removed = removedBefore;
      return Optional.of(e);
    }
  }

  private void execute(String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static List<Change> changesOf(List<Refusal> refusals) {
    return refusals.stream().map(Refusal::change).toList();
  }

  private Refusal refusal(Change change, SQLException error) {
    return new Refusal(change, error.getSQLState(), words.apply(error));
  }

  /**
   * What has become of a page.
   *
   * @param step where the client stands now
   * @param cursor of the client, as JSON
   * @param written how many rows were written
   * @param removed how many were removed
   */
  public record Moved(long step, String cursor, long written, long removed) {}

  private interface Work {
    void run() throws SQLException;
  }
}
