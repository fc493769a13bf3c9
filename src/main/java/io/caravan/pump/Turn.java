package io.caravan.pump;

import io.caravan.apply.Applied;
import io.caravan.apply.DeadLetters;
import io.caravan.apply.PageText;
import io.caravan.apply.Refusal;
import io.caravan.client.Cursor;
import io.caravan.client.Position;
import io.caravan.read.Page;
import java.util.List;

/**
 * One run of a client's pump: where the client stands, the page that it gets, and what has become
 * of it. The routes ask it what is to be done next; {@link Pump} does it.
 */
public final class Turn {
  private static final int LARGER = 10;
  private static final int MOST_ROWS = 100_000;

  final String client;
  final String mapping;
  final long begunAt = System.nanoTime();
  final int mostDeadLetters;
  private final int mostBytes;
  int pageRows;
  int pageBytes;
  Position position;
  boolean unsure;
  boolean isServedByAnother;
  Page page;
  boolean hadPage;
  long readAt;
  PageText text;
  List<Refusal> breaches = List.of();
  boolean isOne;
  Applied applied;
  // When the client was last woken, in nanoseconds; or, if it got a page without being woken, when
  // that was read.
  long wokenAt;
  boolean mayHaveMore;
  boolean isToBegin;

  Turn(
      String client,
      String mapping,
      long wokenAt,
      int pageRows,
      int pageBytes,
      int mostBytes,
      int mostDeadLetters) {
    this.client = client;
    this.mapping = mapping;
    this.wokenAt = wokenAt;
    this.pageRows = pageRows;
    this.pageBytes = pageBytes;
    this.mostBytes = mostBytes;
    this.mostDeadLetters = mostDeadLetters;
  }

  /** Whether the client is left to another hub, which has moved it just now. */
  public boolean isLeftToAnother() {
    return isServedByAnother;
  }

  /** Whether pages may have been applied of which this hub does not know. */
  public boolean isUnsure() {
    return unsure && position.cursor() != null;
  }

  /** Whether the page brings something. */
  public boolean hasPage() {
    return !page.isEmpty();
  }

  /** Whether the page has changes that break the contract of their source. */
  public boolean breaksContract() {
    return !breaches.isEmpty();
  }

  /** Whether rows are too large to be sent. */
  public boolean hasOversized() {
    return !text.oversized().isEmpty();
  }

  /** Whether the page brings rows that are new to the client, as far as is known. */
  public boolean isOfInitialLoad() {
    return text.isOfInitialLoad() && !breaksContract();
  }

  /** Whether one statement will do for the page. */
  public boolean isOneStatement() {
    return isOne;
  }

  /** Whether the page is still to be applied. */
  public boolean isNotApplied() {
    return applied == null;
  }

  /** Whether the client, or all, had dead letters that the page may resolve. */
  public boolean mayResolve() {
    return isApplied() && (isRefusing(client) || isRefusing(DeadLetters.ALL));
  }

  /** Whether to read on. */
  public boolean hasMore() {
    if (page == null || is(Applied.Outcome.TO_BE_ENLARGED) || is(Applied.Outcome.MOVED)) {
      return true;
    }
    return (page.hasMore() || mayHaveMore) && !is(Applied.Outcome.STALE);
  }

  /** Whether another turn is to begin at once. */
  public boolean isToBegin() {
    return isToBegin;
  }

  /** Whether the client has all that there was. */
  boolean hasAll() {
    return !hasMore() && !is(Applied.Outcome.STALE);
  }

  /** Whether the page is one of an initial load. */
  boolean isLoad() {
    Cursor cursor = position.cursor();
    return cursor == null || cursor.isLoading();
  }

  boolean isApplied() {
    return is(Applied.Outcome.APPLIED);
  }

  boolean is(Applied.Outcome outcome) {
    return applied != null && applied.outcome() == outcome;
  }

  boolean isRefusing(String name) {
    return page.refusing().contains(name);
  }

  /** Whether the page may be read again with more changes: the heap has room for it. */
  boolean mayGrow() {
    return pageRows < MOST_ROWS && pageBytes < mostBytes;
  }

  void enlarge() {
    pageRows = larger(pageRows);
    pageBytes = Math.min(larger(pageBytes), mostBytes);
  }

  private static int larger(int bound) {
    return (int) Math.min((long) bound * LARGER, Integer.MAX_VALUE);
  }
}
