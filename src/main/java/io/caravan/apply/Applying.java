package io.caravan.apply;

import io.caravan.CentralFailure;
import io.caravan.Fault;
import io.caravan.client.BulkLoad;
import io.caravan.client.ClientTables;
import io.caravan.client.Cursor;
import io.caravan.client.OldSweep;
import io.caravan.client.Plan;
import io.caravan.client.Position;
import io.caravan.client.Source;
import io.caravan.client.Statements;
import io.caravan.client.StoredPosition;
import io.caravan.contract.Replies;
import io.caravan.jdbc.Cause;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;

/**
 * Applies pages to clients: with one statement, which is a transaction of its own, and where the
 * client refuses that for the data's sake, with as many as it takes to refuse no more than must be.
 */
public final class Applying implements CamelContextAware {
  private static final String REWRITTEN = "CV006";

  private final Map<String, Plan> plans = new ConcurrentHashMap<>();
  private final ClientTables tables = new ClientTables();
  // The clients that had rows already when they were loaded.
  private final Set<String> notNew = ConcurrentHashMap.newKeySet();
  private CamelContext context;
  private Replies replies = new Replies();
  private Doubts doubts;
  private boolean showsMessages;

  /** Has clients compared that could not empty a table. */
  public void setDoubts(Doubts doubts) {
    this.doubts = doubts;
  }

  /** Checks what clients say. */
  public void setReplies(Replies replies) {
    this.replies = replies;
  }

  /** Whether dead letters have the database's own message, which may quote row data. */
  public void setErrorMessages(boolean showsMessages) {
    this.showsMessages = showsMessages;
  }

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /**
   * Where a client stands; holds its mapping against its tables, and makes ours.
   *
   * @param mapping as JSON
   * @throws Fault if the mapping does not fit, or the cursor is none
   * @throws CentralFailure if central can't be asked for the columns of the sources
   */
  public Position locate(String client, String mapping) throws SQLException, Fault, CentralFailure {
    Map<String, Source> described = replies.described(mapping);
    try (Connection connection = connections(client).open()) {
      tables.ensure(connection, client);
      StoredPosition stored = StoredPosition.of(connection, client, mapping);
      List<String> sources = List.copyOf(stored.plan().sources());
      Optional<OldSweep> sweep = OldSweep.in(stored.cursor(), sources);
      if (sweep.isPresent()) {
        doubts.note(client, mapping, sweep.get().doubted(), Doubts.EPOCH);
        doubts.note(client, mapping, sweep.get().confirmed(), Doubts.TRUNCATE);
        OldSweep.forget(connection, client, stored.step());
        stored = StoredPosition.of(connection, client, mapping);
      }
      Plan plan = plans.merge(client, stored.plan(), (old, now) -> old.fits(now) ? old : now);
      plan.check(connection, described);
      return new Position(
          stored.step(),
          replies.cursor(stored.cursor(), stored.plan().sources()),
          replies.wanted(stored.sources(), described),
          stored.isRecent());
    } catch (SQLException e) {
      tables.doubt(client);
      throw e;
    }
  }

  /**
   * Loads a page of an initial load in bulk, in a transaction with the cursor. Once a client had
   * some of the rows already, or refuses them, it gets the rest of the initial load in the other
   * ways.
   *
   * @return what has become of it; empty where it is to be applied in another way
   */
  public Optional<Applied> load(String client, long step, PageText page)
      throws SQLException, Fault {
    Plan plan = plan(client);
    List<BulkLoad> loads = plan.statements(connections(client), page.sources()).bulkLoads();
    boolean isLast = !Cursor.parse(page.cursor()).isLoading();
    if (loads.isEmpty() || (isLast ? notNew.remove(client) : notNew.contains(client))) {
      return Optional.empty();
    }
    BulkPage bulk = new BulkPage(loads).of(page);
    try (Connection connection = connections(client).open()) {
      connection.setAutoCommit(false);
      try {
        PageTransaction transaction =
            new PageTransaction(
                connection,
                plan.statements(connections(client), page.sources()),
                page.gone(),
                this::words);
        if (transaction.standsAt(client, step).isEmpty()) {
          connection.rollback();
          return Optional.of(Applied.stale());
        }
        long loaded = bulk.load(connection);
        PageTransaction.Moved moved = transaction.move(client, page.cursor());
        connection.commit();
        return Optional.of(
            new Applied(
                Applied.Outcome.APPLIED,
                moved.step(),
                replies.cursor(moved.cursor(), plan.sources()),
                loaded,
                0,
                List.of()));
      } catch (SQLException e) {
        if (!RowErrors.isOfARow(e)) {
          throw e;
        }
        connection.rollback();
        if (!isLast) {
          notNew.add(client);
        }
        return Optional.empty();
      }
    }
  }

  /**
   * The statement with which a page is applied; empty where one won't do. Its parameters: the
   * cursor, the client, its step, the changes.
   */
  public Optional<String> statement(String client, PageText page) throws SQLException, Fault {
    Statements statements = plan(client).statements(connections(client), page.sources());
    return page.cleared().isEmpty() && !statements.areMixed()
        ? Optional.of(statements.page(page.gone()))
        : Optional.empty();
  }

  /**
   * The statement has run.
   *
   * @param row that it has returned
   * @throws SQLException if nothing was written because a table is no longer what it was; applied
   *     carefully, the page fits it
   */
  public Applied ran(String client, Map<String, Object> row) throws SQLException, Fault {
    if (!Boolean.TRUE.equals(row.get("fits"))) {
      throw new SQLException("a table was rewritten", REWRITTEN);
    }
    return row.get("step") == null
        ? Applied.stale()
        : new Applied(
            Applied.Outcome.APPLIED,
            ((Number) row.get("step")).longValue(),
            replies.cursor((String) row.get("cursor"), plan(client).sources()),
            ((Number) row.get("written")).longValue(),
            ((Number) row.get("removed")).longValue(),
            List.of());
  }

  /**
   * The statement has failed.
   *
   * @throws SQLException the error, if it is not for the sake of some rows
   */
  public void checkIsOfARow(SQLException error) throws SQLException {
    if (!RowErrors.isOfARow(error)) {
      throw error;
    }
  }

  /**
   * Applies a page in a transaction of several statements. What is refused becomes dead letters
   * before the transaction ends.
   *
   * @param mapping as JSON; it is held against the tables anew, which may have changed
   * @param skipped changes that are left out
   * @param mayGrow whether the page may be read again with more changes
   * @param deadLetters stores what is refused
   */
  public Applied carefully(
      String client,
      long step,
      String mapping,
      PageText page,
      List<Refusal> skipped,
      boolean mayGrow,
      Store deadLetters)
      throws SQLException, Fault, CentralFailure {
    Position position = locate(client, mapping);
    if (position.step() != step) {
      return Applied.moved(position.step(), position.cursor());
    }
    Plan plan = plan(client);
    Statements statements = plan.statements(connections(client), page.sources());
    try (Connection connection = connections(client).open()) {
      connection.setAutoCommit(false);
      PageTransaction transaction =
          new PageTransaction(connection, statements, page.gone(), this::words);
      Optional<String> cursor = transaction.standsAt(client, step);
      if (cursor.isEmpty()) {
        connection.rollback();
        return Applied.stale();
      }
      Optional<List<Refusal>> result =
          transaction.apply(page.cleared(), without(page.list(), skipped), page.others(mayGrow));
      if (result.isEmpty()) {
        connection.rollback();
        return Applied.toBeEnlarged(step, replies.cursor(cursor.get(), plan.sources()));
      }
      List<Refusal> refused = result.get();
      List<Refusal> rows = refused.stream().filter(r -> !r.change().key().equals("null")).toList();
      if (!rows.isEmpty()) {
        deadLetters.store(rows);
      }
      Set<String> uncleared =
          refused.stream()
              .map(Refusal::change)
              .filter(change -> change.key().equals("null"))
              .map(Change::source)
              .collect(Collectors.toSet());
      doubts.note(
          client,
          mapping,
          plan.sources().stream().filter(uncleared::contains).toList(),
          Doubts.TRUNCATE);
      PageTransaction.Moved moved = transaction.move(client, page.cursor());
      connection.commit();
      return new Applied(
          Applied.Outcome.APPLIED,
          moved.step(),
          replies.cursor(moved.cursor(), plan.sources()),
          moved.written(),
          moved.removed(),
          rows);
    }
  }

  /** Stores what a client refuses. */
  public interface Store {
    /** Stores these as dead letters. */
    void store(List<Refusal> refused) throws CentralFailure;
  }

  private static List<Change> without(List<Change> changes, List<Refusal> skipped) {
    Set<RowKey> out = new HashSet<>();
    skipped.forEach(refusal -> out.add(RowKey.of(refusal.change())));
    return out.isEmpty()
        ? changes
        : changes.stream().filter(change -> !out.contains(RowKey.of(change))).toList();
  }

  private String words(SQLException error) {
    return Cause.of(error, showsMessages).message();
  }

  private Plan plan(String client) {
    return plans.get(client);
  }

  private Plan.Connections connections(String client) {
    return context.getRegistry().lookupByNameAndType(client, DataSource.class)::getConnection;
  }
}
