package io.caravan.read;

import io.caravan.CentralFailure;
import io.caravan.client.Cursor;
import io.caravan.client.Wanted;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * The last pages of central's changes, each from where the one before ends: a chain for each set of
 * sources and each history of central. The clients that map these sources stand on the chain and
 * take its pages. A page that is not there yet is read once, for whoever comes first, and while a
 * page is applied, the next one of its window is read ahead. A client that stands elsewhere reads
 * on its own, up to the end of the chain, and then stands there.
 *
 * <p>Everything here may be forgotten at any time: then clients read for themselves what they could
 * have shared. Pages may be older than what they are applied to; a page that is applied twice
 * changes nothing, and what it lacks follows.
 */
final class Chains {
  // A client that is further behind reads for itself, and gets many small pages as one.
  private static final int MOST_WINDOWS = 2;
  private static final int MOST_CHARACTERS = 8_000_000;
  // Of more chains, one is not looked at: each takes a read of its own.
  private static final int MOST_LOOKS = 4;
  // Nobody stands any more at the end of a chain whose page nobody has taken by then.
  private static final long PATIENCE_NANOS = TimeUnit.MINUTES.toNanos(1);

  private final Query central;
  private final Executor ahead;
  // By chain and position, the oldest first.
  private final Map<Key, CompletableFuture<Page>> pages = new LinkedHashMap<>();
  private final Map<String, End> ends = new HashMap<>();
  private int characters;
  private long wokenAt = System.nanoTime();
  // By chain: the page that was looked for, and which nobody has taken yet.
  private final Map<String, Untaken> untaken = new HashMap<>();

  /**
   * Without pages.
   *
   * @param central is asked for pages
   * @param ahead runs what is read ahead
   */
  Chains(Query central, Executor ahead) {
    this.central = central;
    this.ahead = ahead;
  }

  /**
   * The next page for a client.
   *
   * @param stand where the client stands
   * @param wokenAt when it was woken, in nanoseconds: what says that there is no more must have
   *     been read since then
   */
  Page next(Stand stand, long wokenAt) throws CentralFailure {
    while (true) {
      boolean isFirst = false;
      CompletableFuture<Page> next;
      synchronized (this) {
        next = pages.get(stand.key());
        take(stand);
        if (next == null && endFor(stand).isAt(stand)) {
          next = new CompletableFuture<>();
          pages.put(stand.key(), next);
          isFirst = true;
        }
      }
      if (next == null) {
        return readApart(stand);
      }
      if (isFirst) {
        read(stand, next);
      }
      Page page = Page.join(next);
      if (!stand.isFollowedBy(page)) {
        return isFirst ? page : readApart(stand);
      }
      if (page.hasMore()) {
        readAhead(page.after().orElseThrow());
      }
      boolean isOld = page.began() - wokenAt < 0;
      if (!page.isEmpty() || !isOld) {
        return isOld ? page.shared().withMore() : page.shared();
      }
    }
  }

  /**
   * Waits until there may be more for a client that has all that there was.
   *
   * @param stand where the client stands
   * @param since since when nobody must have been woken, in nanoseconds
   * @param nanos how long to wait at most
   * @return whether there may be more
   */
  synchronized boolean awaitMore(Stand stand, long since, long nanos) {
    long end = System.nanoTime() + nanos;
    while (!mayHaveMore(stand, since)) {
      long rest = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
      if (rest <= 0) {
        return false;
      }
      try {
        wait(rest);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return false;
      }
    }
    return true;
  }

  private boolean mayHaveMore(Stand stand, long since) {
    CompletableFuture<Page> page = pages.get(stand.key());
    End end = ends.get(stand.chain());
    return wokenAt - since > 0
        || end == null
        || !end.isAt(stand)
        || (page != null && page.isDone() && !page.isCompletedExceptionally());
  }

  /**
   * There may be changes.
   *
   * @param at since when, in nanoseconds
   */
  synchronized void wake(long at) {
    wokenAt = at;
    notifyAll();
  }

  /** When there may have been changes for the last time, in nanoseconds. */
  synchronized long wokenAt() {
    return wokenAt;
  }

  /**
   * Reads on at the ends of the chains, where clients stand that have nothing to do. What is found
   * waits for them.
   *
   * @return what there is; unknown where a page still waits, because then the clients stand before
   *     it
   */
  Look look() throws CentralFailure {
    Map<Stand, CompletableFuture<Page>> looks = new LinkedHashMap<>();
    synchronized (this) {
      untaken.entrySet().removeIf(this::isForgotten);
      boolean canLook = !ends.isEmpty() && ends.size() <= MOST_LOOKS && untaken.isEmpty();
      for (End end : canLook ? ends.values() : List.<End>of()) {
        if (pages.containsKey(end.stand().key())) {
          return Look.unknown();
        }
        looks.put(end.stand(), new CompletableFuture<>());
      }
      for (Map.Entry<Stand, CompletableFuture<Page>> look : looks.entrySet()) {
        pages.put(look.getKey().key(), look.getValue());
        untaken.put(look.getKey().chain(), new Untaken(look.getKey().key(), System.nanoTime()));
      }
    }
    return looks.isEmpty() ? Look.unknown() : found(looks);
  }

  private Look found(Map<Stand, CompletableFuture<Page>> looks) throws CentralFailure {
    looks.forEach(this::read);
    Look.Found found = Look.Found.NOTHING;
    String snapshot = "";
    Set<Stand> without = new HashSet<>(looks.keySet());
    try {
      for (Map.Entry<Stand, CompletableFuture<Page>> look : looks.entrySet()) {
        Page page = Page.join(look.getValue());
        if (!page.isEmpty() || !look.getKey().isFollowedBy(page)) {
          found = Look.Found.PAGE;
          without.remove(look.getKey());
        }
        snapshot = page.answer().cursor().upto();
      }
      return new Look(found, snapshot);
    } finally {
      synchronized (this) {
        without.forEach(this::take);
      }
    }
  }

  private void take(Stand stand) {
    untaken.computeIfPresent(
        stand.chain(), (chain, page) -> page.key.equals(stand.key()) ? null : page);
  }

  private boolean isForgotten(Map.Entry<String, Untaken> page) {
    boolean isOld = System.nanoTime() - page.getValue().since > PATIENCE_NANOS;
    if (isOld) {
      drop(page.getKey());
    }
    return isOld;
  }

  /** Reads a page for all that stand where it begins. */
  private void read(Stand stand, CompletableFuture<Page> next) {
    try {
      Page page = ask(stand, null);
      synchronized (this) {
        if (!stand.isFollowedBy(page)) {
          pages.remove(stand.key(), next);
          drop(stand.chain());
        } else if (page.isEmpty()) {
          pages.remove(stand.key(), next);
        } else if (pages.get(stand.key()) == next) {
          append(stand, page);
        }
      }
      next.complete(page);
      tellWaiting();
    } catch (CentralFailure | RuntimeException | Error e) {
      synchronized (this) {
        pages.remove(stand.key(), next);
      }
      next.completeExceptionally(e);
    }
  }

  /** Whoever waits looks whether it is for its sake. */
  private synchronized void tellWaiting() {
    notifyAll();
  }

  private void append(Stand stand, Page page) {
    End end = endFor(stand);
    Stand after = page.after().orElseThrow();
    characters += page.size();
    if (!after.standpoint().isWithinWindow()) {
      end.windows().add(stand.key());
    }
    forget(end.windows());
    if (end.isAt(stand)) {
      ends.put(stand.chain(), end.movedTo(after, page.began()));
    }
  }

  private synchronized void readAhead(Stand stand) {
    if (endFor(stand).isAt(stand) && !pages.containsKey(stand.key())) {
      CompletableFuture<Page> next = new CompletableFuture<>();
      ahead.execute(() -> read(stand, next));
      pages.put(stand.key(), next);
    }
  }

  /** The end of a client's chain, which begins with this client if there is none. */
  private End endFor(Stand stand) {
    return ends.computeIfAbsent(
        stand.chain(), chain -> new End(stand, System.nanoTime(), new ArrayDeque<>()));
  }

  /** Central does not go on with a chain: it has another history, or tracks a source anew. */
  private void drop(String chain) {
    ends.remove(chain);
    pages
        .entrySet()
        .removeIf(page -> page.getKey().chain().equals(chain) && isUncounted(page.getValue()));
  }

  private void forget(Queue<Key> windows) {
    while (windows.size() > MOST_WINDOWS) {
      pages.computeIfPresent(windows.remove(), (key, page) -> isUncounted(page) ? null : page);
    }
    Iterator<CompletableFuture<Page>> oldest = pages.values().iterator();
    while (characters > MOST_CHARACTERS && oldest.hasNext()) {
      if (isUncounted(oldest.next())) {
        oldest.remove();
      }
    }
  }

  /** Counts a page no more; false for one that is still being read, and not counted yet. */
  private boolean isUncounted(CompletableFuture<Page> page) {
    boolean isRead = page.isDone();
    if (isRead) {
      characters -= page.join().size();
    }
    return isRead;
  }

  /** Reads for one client that stands elsewhere. */
  private Page readApart(Stand stand) throws CentralFailure {
    End end;
    synchronized (this) {
      end = endFor(stand);
    }
    Page page = ask(stand, end.stand().standpoint().snapshot());
    if (!stand.isFollowedBy(page)) {
      synchronized (this) {
        drop(stand.chain());
      }
      return page;
    }
    Stand after = page.after().orElseThrow();
    boolean isOnChain;
    synchronized (this) {
      end = endFor(stand);
      isOnChain = end.isAt(after) || pages.containsKey(after.key());
      boolean isNewer = page.began() - end.began() > 0 && !after.standpoint().isWithinWindow();
      if (!isOnChain && isNewer) {
        untaken.remove(stand.chain());
        ends.put(stand.chain(), end.movedTo(page.isEmpty() ? stand : after, page.began()));
      }
    }
    return (page.isEmpty() && !isOnChain ? page.shared() : page).withMore();
  }

  private Page ask(Stand stand, String until) throws CentralFailure {
    long began = System.nanoTime();
    Answer answer = central.read(stand, until);
    return new Page(answer, began, stand.at(answer.cursor()));
  }

  /**
   * Asks central for the page that follows a client's cursor, up to a snapshot; null: up to now.
   */
  interface Query {
    Answer read(Stand stand, String until) throws CentralFailure;
  }

  /**
   * Where a client stands.
   *
   * @param cursor of the client
   * @param sources that it maps
   * @param standpoint what the cursor comes to
   * @param pageRows how many changes a page has at most
   * @param pageBytes after how many bytes it takes no further row
   * @param chain that gives it its pages
   * @param key of the next page
   */
  record Stand(
      Cursor cursor,
      List<Wanted> sources,
      Standpoint standpoint,
      int pageRows,
      int pageBytes,
      String chain,
      Key key) {
    static Stand of(
        Cursor cursor, List<Wanted> sources, Standpoint standpoint, int pageRows, int pageBytes) {
      Cursor position = standpoint.position();
      String chain =
          position.epoch() + " " + standpoint.sources() + pageRows + "/" + pageBytes + " ";
      return new Stand(
          cursor, sources, standpoint, pageRows, pageBytes, chain, new Key(chain, position));
    }

    Optional<Stand> at(Cursor cursor) {
      return Standpoint.of(cursor, sources)
          .map(standpoint -> of(cursor, sources, standpoint, pageRows, pageBytes));
    }

    boolean isFollowedBy(Page page) {
      return page.after().filter(after -> after.chain().equals(chain())).isPresent();
    }
  }

  /** Where a page begins. */
  record Key(String chain, Cursor position) {}

  private record Untaken(Key key, long since) {}

  /**
   * The end of a chain.
   *
   * @param stand where a client stands that has applied all of it
   * @param began when it was read
   * @param windows the keys of the last pages of its last windows, the oldest first
   */
  private record End(Stand stand, long began, Queue<Key> windows) {
    End movedTo(Stand stand, long began) {
      return new End(stand, began, windows);
    }

    boolean isAt(Stand other) {
      return stand.standpoint.position().equals(other.standpoint.position());
    }
  }
}
