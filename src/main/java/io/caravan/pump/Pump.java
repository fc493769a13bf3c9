package io.caravan.pump;

import io.caravan.CentralFailure;
import io.caravan.Fault;
import io.caravan.apply.Applied;
import io.caravan.apply.Applying;
import io.caravan.apply.Change;
import io.caravan.apply.DeadLetters;
import io.caravan.apply.Doubts;
import io.caravan.apply.PageText;
import io.caravan.apply.Refusal;
import io.caravan.client.Clients;
import io.caravan.client.Position;
import io.caravan.contract.Contract;
import io.caravan.health.Counters;
import io.caravan.read.Reads;
import java.io.IOException;
import java.lang.ref.Reference;
import java.lang.ref.WeakReference;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.camel.Body;
import org.apache.camel.Exchange;
import org.apache.camel.ExchangeException;
import org.apache.camel.Headers;
import org.apache.camel.Variable;
import org.apache.camel.component.jdbc.JdbcConstants;
import org.apache.camel.spi.Synchronization;
import org.apache.camel.support.SynchronizationAdapter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/** The steps of a pump's route; each does one thing for a {@link Turn}. */
public final class Pump {
  // program_limit_exceeded
  private static final String TOO_LARGE = "54000";
  // How long a pump stays for the next change: to wake it costs as much as to apply a page. A turn
  // ends after a while all the same, so that a client gets another mapping, or is left to another
  // hub, while it has much to do.
  private static final long PATIENCE_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
  private static final long LONGEST_STAY_NANOS = TimeUnit.SECONDS.toNanos(1);
  // For how long a hub trusts that nobody has changed a client from outside. While it gets pages,
  // other clients may wait for theirs.
  private static final Duration TRUST = Duration.ofSeconds(10);
  private static final Duration TRUST_WITH_PAGES = Duration.ofMinutes(1);

  private final Map<String, Logger> logs = new ConcurrentHashMap<>();
  private Reads reads;
  private Clients clients;
  private Applying applying;
  private Contract contract;
  private DeadLetters deadLetters;
  private Doubts doubts;
  private Counters counters;
  // The clients share their pages.
  private volatile Reference<PageText> lastText = new WeakReference<>(null);

  /** Reads central. */
  public void setReads(Reads reads) {
    this.reads = reads;
  }

  /** Remembers how the clients stand. */
  public void setClients(Clients clients) {
    this.clients = clients;
  }

  /** Applies pages. */
  public void setApplying(Applying applying) {
    this.applying = applying;
  }

  /** Says what rows must look like. */
  public void setContract(Contract contract) {
    this.contract = contract;
  }

  /** Keeps what is refused. */
  public void setDeadLetters(DeadLetters deadLetters) {
    this.deadLetters = deadLetters;
  }

  /** Has clients compared. */
  public void setDoubts(Doubts doubts) {
    this.doubts = doubts;
  }

  /** Counts what is applied and refused. */
  public void setCounters(Counters counters) {
    this.counters = counters;
  }

  /** Whether a client is to be left alone: it has failed, and its time has not come yet. */
  public boolean rests(String client) {
    return clients.isResting(client);
  }

  /**
   * A client's pump begins. From now on nobody wakes the client: the turn sees by itself whether
   * there is more.
   *
   * @param mapping as JSON
   * @param pageRows how many changes a page has at most
   * @param pageBytes after how many bytes a page takes no further row
   * @param mostDeadLetters of a client that refuses more, something is wrong with the client
   */
  public Turn begin(
      String client, String mapping, int pageRows, int pageBytes, int mostDeadLetters) {
    clients.begins(client);
    return new Turn(
        client, mapping, reads.wokenAt(), pageRows, pageBytes, reads.largestRow(), mostDeadLetters);
  }

  /** Finds out where the client stands, as this hub remembers it, or by asking it. */
  public void locate(@Variable("turn") Turn turn, Exchange exchange)
      throws SQLException, Fault, CentralFailure {
    exchange.getExchangeExtension().addOnCompletion(atTheEnd(() -> clients.ends(turn.client)));
    Optional<Position> known = clients.recall(turn.client, turn.mapping);
    turn.position = known.isPresent() ? known.get() : applying.locate(turn.client, turn.mapping);
    long step = turn.position.step();
    turn.unsure = clients.isUnsure(turn.client, step);
    turn.isServedByAnother = clients.isServedByAnother(turn.client, step, turn.position.isRecent());
  }

  private static Synchronization atTheEnd(Runnable work) {
    return new SynchronizationAdapter() {
      @Override
      public void onDone(Exchange exchange) {
        work.run();
      }
    };
  }

  /** Sends the client again what it may have taken. */
  public void resend(@Variable("turn") Turn turn) throws CentralFailure {
    deadLetters.resend(turn.client, turn.position.cursor());
  }

  /**
   * Reads the next page. Where the client may have rows of which central knows nothing any more, it
   * will be compared; that is noted before its cursor moves on.
   */
  public void read(@Variable("turn") Turn turn) throws CentralFailure {
    turn.applied = null;
    boolean isAwaited = turn.mayHaveMore;
    turn.mayHaveMore = false;
    turn.breaches = List.of();
    turn.page = reads.next(turn.client, turn.position, turn.pageRows, turn.pageBytes, turn.wokenAt);
    turn.readAt = System.nanoTime();
    if (isAwaited) {
      turn.wokenAt = reads.wokenAt() - turn.wokenAt > 0 ? reads.wokenAt() : turn.page.began();
    }
    doubts.note(turn.client, turn.mapping, turn.page.doubted(), Doubts.EPOCH);
    if (turn.hasPage()) {
      turn.hadPage = true;
      turn.text = read(turn.page.text());
    } else if (!turn.page.isShared()) {
      turn.position = turn.position.at(turn.position.step(), turn.page.answer().cursor());
    }
  }

  private PageText read(String page) {
    PageText text = lastText.get();
    if (text == null || !text.isOf(page)) {
      text = new PageText(page);
      lastText = new WeakReference<>(text);
    }
    return text;
  }

  /** Finds the changes that break the contract of their source. */
  public void check(@Variable("turn") Turn turn) throws IOException {
    turn.breaches = contract.breaches(turn.text, turn.page.text());
  }

  /** Stores these as dead letters of all clients. The page is applied without them. */
  public void storeBreaches(@Variable("turn") Turn turn) throws CentralFailure {
    deadLetters.store(DeadLetters.ALL, turn.breaches, turn.mostDeadLetters);
    reads.refused(DeadLetters.ALL);
    log(turn).warn(told(turn.breaches, "skipped"));
  }

  /** Stores the rows that are too large to be sent as dead letters of this client. */
  public void storeOversized(@Variable("turn") Turn turn) throws CentralFailure {
    List<Refusal> refused =
        turn.text.oversized().stream().map(row -> tooLarge(row, reads.largestRow())).toList();
    storeLetters(turn, refused);
  }

  private static Refusal tooLarge(PageText.Oversized row, int largest) {
    String message =
        "the row's values have %,d bytes, but caravan.largestRow allows only %,d"
            .formatted(row.bytes(), largest);
    return new Refusal(new Change(row.source(), row.key(), "", false), TOO_LARGE, message);
  }

  /** Loads a page of an initial load in bulk, where the client takes it so. */
  public void load(@Variable("turn") Turn turn) throws SQLException, Fault {
    turn.applied = applying.load(turn.client, turn.position.step(), turn.text).orElse(null);
  }

  /**
   * Makes the message the statement with which the page is applied, where one will do.
   *
   * @param headers are given its parameters
   */
  public String prepare(@Variable("turn") Turn turn, @Headers Map<String, Object> headers)
      throws SQLException, Fault {
    Optional<String> statement =
        turn.breaksContract() || !turn.isNotApplied()
            ? Optional.empty()
            : applying.statement(turn.client, turn.text);
    turn.isOne = statement.isPresent();
    if (turn.isOne) {
      headers.put(
          JdbcConstants.JDBC_PARAMETERS,
          List.of(turn.text.cursor(), turn.client, turn.position.step(), turn.text.changes()));
    }
    return statement.orElse("");
  }

  /**
   * The statement has run.
   *
   * @param row that it has returned
   * @throws SQLException if nothing was written because a table is no longer what it was; applied
   *     carefully, the page fits it
   */
  public void ran(@Variable("turn") Turn turn, @Body Map<String, Object> row)
      throws SQLException, Fault {
    turn.applied = applying.ran(turn.client, row);
  }

  /**
   * The statement has failed; the page is applied carefully where the client refuses it for the
   * sake of some rows.
   *
   * @throws SQLException any other error, as it is
   */
  public void failed(@ExchangeException SQLException error) throws SQLException {
    applying.checkIsOfARow(error);
  }

  /** Applies the page with as many statements as it takes to refuse no more than must be. */
  public void applyCarefully(@Variable("turn") Turn turn, @Headers Map<String, Object> headers)
      throws SQLException, Fault, CentralFailure {
    headers.remove(JdbcConstants.JDBC_PARAMETERS);
    turn.applied =
        applying.carefully(
            turn.client,
            turn.position.step(),
            turn.mapping,
            turn.text,
            turn.breaches,
            turn.mayGrow(),
            refused -> storeLetters(turn, refused));
  }

  private void storeLetters(Turn turn, List<Refusal> refused) throws CentralFailure {
    deadLetters.store(turn.client, refused, turn.mostDeadLetters);
    reads.refused(turn.client);
    counters.refused(turn.client, refused.size());
    log(turn).warn(told(refused, "refused"));
  }

  /** Says and counts what has become of the page, and moves on to where the client stands now. */
  public void tell(@Variable("turn") Turn turn, @Headers Map<String, Object> headers) {
    headers.remove(JdbcConstants.JDBC_PARAMETERS);
    Applied applied = turn.applied;
    switch (applied.outcome()) {
      case APPLIED -> {
        long now = System.nanoTime();
        counters.applied(turn.client, applied.written(), applied.removed(), now - turn.readAt);
        // Of the pages of changes there may be some hundred a second.
        Level level = turn.isLoad() ? Level.INFO : Level.DEBUG;
        if (turn.position.cursor() != null && !turn.position.isBehind()) {
          counters.delivered(now - turn.wokenAt);
        }
        turn.position = turn.position.at(applied.step(), applied.cursor());
        log(turn)
            .atLevel(level)
            .log(
                "{}: {} written, {} removed",
                turn.page.progress(),
                applied.written(),
                applied.removed());
      }
      case TO_BE_ENLARGED -> {
        turn.position = turn.position.at(applied.step(), applied.cursor());
        turn.enlarge();
        log(turn)
            .info(
                "{}: rows depend on later pages, so the page is read again with up to {} changes",
                turn.page.progress(),
                turn.pageRows);
      }
      case MOVED -> turn.position = turn.position.at(applied.step(), applied.cursor());
      case STALE -> log(turn).debug("another hub was quicker");
    }
  }

  /** Resolves the dead letters of the keys that the client has taken. */
  public void resolve(@Variable("turn") Turn turn) throws CentralFailure {
    if (turn.isRefusing(turn.client)) {
      deadLetters.resolve(turn.client, turn.page.text(), turn.applied.refused());
    }
    if (turn.isRefusing(DeadLetters.ALL)) {
      deadLetters.resolve(DeadLetters.ALL, turn.page.text(), turn.breaches);
    }
  }

  /** Reports where the client stands now, or that another hub was quicker. */
  public void report(@Variable("turn") Turn turn) {
    if (turn.is(Applied.Outcome.STALE)) {
      clients.standBy(turn.client);
    } else if (!turn.is(Applied.Outcome.TO_BE_ENLARGED)) {
      clients.progressed(turn.client, turn.mapping, turn.position);
    }
  }

  /**
   * Waits a moment for more when the client has all changes, because then the next change need not
   * wake it. Looks once more when the turn has been reported as ended: until then, a new page did
   * not wake this client. A turn that has taken long ends even if there is more, and the next one
   * begins at once.
   */
  public void awaitMore(@Variable("turn") Turn turn) {
    if (!turn.hasAll()) {
      return;
    }
    boolean isLong = System.nanoTime() - turn.begunAt > LONGEST_STAY_NANOS;
    boolean mayHaveMore = !isLong && mayHaveMore(turn, PATIENCE_NANOS);
    if (!mayHaveMore) {
      clients.ends(turn.client);
      mayHaveMore = mayHaveMore(turn, 0);
    }
    turn.mayHaveMore = mayHaveMore && !isLong;
    turn.isToBegin = mayHaveMore && isLong;
    if (turn.mayHaveMore) {
      clients.begins(turn.client);
    }
  }

  /**
   * Asks the client now and then whether it still is as this hub has left it. If somebody has
   * changed it from outside, another turn begins at once.
   *
   * <p>A client that has a page to get is not asked first: its cursor moves only if it is at the
   * step that the hub remembers, and nothing is written to a table that is not what it was.
   */
  public void lookAgain(@Variable("turn") Turn turn) throws SQLException, Fault, CentralFailure {
    Duration trust = turn.hadPage ? TRUST_WITH_PAGES : TRUST;
    if (turn.hasAll() && clients.isToBeAsked(turn.client, trust)) {
      Position found = applying.locate(turn.client, turn.mapping);
      if (!found.isLike(turn.position)) {
        clients.changedFromOutside(turn.client);
        turn.isToBegin = true;
      }
    }
  }

  private boolean mayHaveMore(Turn turn, long nanos) {
    return reads.awaitMore(turn.position, turn.pageRows, turn.pageBytes, turn.page.began(), nanos);
  }

  private static String told(List<Refusal> refusals, String what) {
    Change first = refusals.get(0).change();
    String one = first.source() + " " + first.key() + ": " + refusals.get(0).message();
    return refusals.size() == 1
        ? "1 change %s: %s".formatted(what, one)
        : "%,d changes %s, e.g. %s".formatted(refusals.size(), what, one);
  }

  private Logger log(Turn turn) {
    return logs.computeIfAbsent(
        turn.client, client -> LoggerFactory.getLogger("caravan." + client));
  }
}
