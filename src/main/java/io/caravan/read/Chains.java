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
  // With more chains than this, none is looked at: each would take a read of its own.
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
  // When the bell rang last, and when somebody last began to look.
  private long rungAt = wokenAt;
  private long lookedAt = wokenAt;
  // How many waited for the last page that was found, how many have come back since, and how many
  // wait now.
  private int took;
  private int returned;
  private int waiting;
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
   * @param place where the client stands
   * @param wokenAt when it was woken, in nanoseconds: what says that there is no more must have
   *     been read since then
   */
  Page next(Place place, long wokenAt) throws CentralFailure {
    while (true) {
      boolean isFirst = false;
      CompletableFuture<Page> next;
      synchronized (this) {
        next = pages.get(place.key());
        take(place);
        if (next == null && endFor(place).isAt(place)) {
          next = new CompletableFuture<>();
          pages.put(place.key(), next);
          isFirst = true;
        }
      }
      if (next == null) {
        return readApart(place);
      }
      if (isFirst) {
        read(place, next);
      }
      Page page = Page.join(next);
      if (!place.isFollowedBy(page)) {
        return isFirst ? page : readApart(place);
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
   * @param place where the client stands
   * @param since since when nobody must have been woken, in nanoseconds
   * @param nanos how long to wait at most
   * @return whether there may be more
   */
  synchronized boolean awaitMore(Place place, long since, long nanos) {
    long end = System.nanoTime() + nanos;
    returned++;
    waiting++;
    try {
      while (!mayHaveMore(place, since)) {
        long rest = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
        if (rest <= 0) {
          return false;
        }
        wait(rest);
      }
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    } finally {
      waiting--;
    }
  }

  /**
   * Whether most of those that took the last page have come back for the next one. To look again
   * before makes them apply the same changes in smaller pages.
   */
  synchronized boolean isApplied() {
    return 2 * returned >= took;
  }

  private boolean mayHaveMore(Place place, long since) {
    CompletableFuture<Page> page = pages.get(place.key());
    End end = ends.get(place.chain());
    return wokenAt - since > 0
        || end == null
        || (!end.isAt(place) && end.newsAt() - since > 0)
        || (page != null && page.isDone());
  }

  /**
   * There may be changes.
   *
   * @param at since when, in nanoseconds
   */
  synchronized void wake(long at) {
    if (at - wokenAt > 0) {
      wokenAt = at;
      notifyAll();
    }
  }

  /** The bell has rung. */
  synchronized void rung() {
    rungAt = System.nanoTime();
  }

  /**
   * There may be changes, for which the bell has rung. A page that was looked for since has them
   * all: nobody need read once more.
   */
  synchronized void wakeAfterRing() {
    wake(lookedAt - rungAt > 0 ? lookedAt : System.nanoTime());
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
    Map<Place, CompletableFuture<Page>> looks = new LinkedHashMap<>();
    synchronized (this) {
      untaken.entrySet().removeIf(this::isForgotten);
      boolean canLook = !ends.isEmpty() && ends.size() <= MOST_LOOKS && untaken.isEmpty();
      for (End end : canLook ? ends.values() : List.<End>of()) {
        if (pages.containsKey(end.place().key())) {
          return Look.unknown();
        }
        looks.put(end.place(), new CompletableFuture<>());
      }
      for (Map.Entry<Place, CompletableFuture<Page>> look : looks.entrySet()) {
        lookedAt = System.nanoTime();
        pages.put(look.getKey().key(), look.getValue());
        untaken.put(look.getKey().chain(), new Untaken(look.getKey().key(), lookedAt));
      }
    }
    return looks.isEmpty() ? Look.unknown() : found(looks);
  }

  private Look found(Map<Place, CompletableFuture<Page>> looks) throws CentralFailure {
    looks.forEach(this::read);
    Look.Found found = Look.Found.NOTHING;
    String snapshot = "";
    Set<Place> without = new HashSet<>(looks.keySet());
    try {
      for (Map.Entry<Place, CompletableFuture<Page>> look : looks.entrySet()) {
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

  private void take(Place place) {
    untaken.computeIfPresent(
        place.chain(), (chain, page) -> page.key.equals(place.key()) ? null : page);
  }

  private boolean isForgotten(Map.Entry<String, Untaken> page) {
    boolean isOld = System.nanoTime() - page.getValue().since > PATIENCE_NANOS;
    if (isOld) {
      drop(page.getKey());
    }
    return isOld;
  }

  /** Reads a page for all that stand where it begins. */
  private void read(Place place, CompletableFuture<Page> next) {
    try {
      Page page = ask(place, null);
      synchronized (this) {
        if (!place.isFollowedBy(page)) {
          pages.remove(place.key(), next);
          drop(place.chain());
        } else if (page.isEmpty()) {
          pages.remove(place.key(), next);
        } else if (pages.get(place.key()) == next) {
          append(place, page);
        }
      }
      next.complete(page);
      if (!page.isEmpty() || !place.isFollowedBy(page)) {
        tellWaiting();
      }
    } catch (CentralFailure | RuntimeException | Error e) {
      synchronized (this) {
        pages.remove(place.key(), next);
      }
      next.completeExceptionally(e);
    }
  }

  /** Whoever waits looks whether it is for its sake. */
  private synchronized void tellWaiting() {
    took = waiting;
    returned = 0;
    notifyAll();
  }

  private void append(Place place, Page page) {
    End end = endFor(place);
    Place after = page.after().orElseThrow();
    characters += page.size();
    if (!after.position().isWithinWindow()) {
      end.windows().add(place.key());
    }
    forget(end.windows());
    if (end.isAt(place)) {
      ends.put(place.chain(), end.movedTo(after, page));
    }
  }

  private synchronized void readAhead(Place place) {
    if (endFor(place).isAt(place) && !pages.containsKey(place.key())) {
      CompletableFuture<Page> next = new CompletableFuture<>();
      ahead.execute(() -> read(place, next));
      pages.put(place.key(), next);
    }
  }

  /** The end of a client's chain, which begins with this client if there is none. */
  private End endFor(Place place) {
    return ends.computeIfAbsent(place.chain(), chain -> End.beginningWith(place));
  }

  /**
   * Forgets a chain: central does not continue it, because central has another history or tracks a
   * source again; or no client takes its pages.
   */
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
  private Page readApart(Place place) throws CentralFailure {
    End end;
    synchronized (this) {
      end = endFor(place);
    }
    Page page = ask(place, end.place().position().snapshot());
    if (!place.isFollowedBy(page)) {
      synchronized (this) {
        drop(place.chain());
      }
      return page;
    }
    Place after = page.after().orElseThrow();
    boolean isOnChain;
    synchronized (this) {
      end = endFor(place);
      isOnChain = end.isAt(after) || pages.containsKey(after.key());
      boolean isNewer = page.began() - end.began() > 0 && !after.position().isWithinWindow();
      if (!isOnChain && isNewer) {
        untaken.remove(place.chain());
        ends.put(place.chain(), end.movedTo(page.isEmpty() ? place : after, page));
      }
    }
    return (page.isEmpty() && !isOnChain ? page.shared() : page).withMore();
  }

  private Page ask(Place place, String until) throws CentralFailure {
    long began = System.nanoTime();
    Answer answer = central.read(place, until);
    return new Page(answer, began, place.at(answer.cursor()));
  }

  /**
   * Asks central for the page that follows a client's cursor, up to a snapshot; null: up to now.
   */
  interface Query {
    Answer read(Place place, String until) throws CentralFailure;
  }

  /**
   * Where a client stands.
   *
   * @param cursor of the client
   * @param sources that it maps
   * @param position what the cursor comes to
   * @param pageRows how many changes a page has at most
   * @param pageBytes after how many bytes it takes no further row
   * @param chain that gives it its pages
   * @param key of the next page
   */
  record Place(
      Cursor cursor,
      List<Wanted> sources,
      SharedPosition position,
      int pageRows,
      int pageBytes,
      String chain,
      Key key) {
    static Place of(
        Cursor cursor, List<Wanted> sources, SharedPosition position, int pageRows, int pageBytes) {
      Cursor shared = position.cursor();
      String chain = shared.epoch() + " " + position.sources() + pageRows + "/" + pageBytes + " ";
      return new Place(
          cursor, sources, position, pageRows, pageBytes, chain, new Key(chain, shared));
    }

    Optional<Place> at(Cursor cursor) {
      return SharedPosition.of(cursor, sources)
          .map(position -> of(cursor, sources, position, pageRows, pageBytes));
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
   * @param place where a client stands that has applied all of it
   * @param began when it was read
   * @param newsAt when the last page was read that brings something: what only moves the end, like
   *     a new watermark, is no reason to read for those who wait
   * @param windows the keys of the last pages of its last windows, the oldest first
   */
  private record End(Place place, long began, long newsAt, Queue<Key> windows) {
    static End beginningWith(Place place) {
      long now = System.nanoTime();
      return new End(place, now, now, new ArrayDeque<>());
    }

    End movedTo(Place place, Page page) {
      return new End(place, page.began(), page.isEmpty() ? newsAt : page.began(), windows);
    }

    boolean isAt(Place other) {
      return place.position.cursor().equals(other.position.cursor());
    }
  }
}
