package io.caravan.read;

import io.caravan.CentralFailure;
import io.caravan.client.Cursor;
import io.caravan.client.Wanted;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * The pages with which clients are loaded: while one is applied, the next one is read.
 *
 * <p>Everything here may be forgotten at any time. A page that was read long ago does no harm: what
 * has changed since the initial load began comes after it.
 */
final class InitialLoads {
  // Of more clients that are loaded at the same time, some are not read ahead for.
  private static final int MOST = 4;
  // A client that has not taken its page by then has failed.
  private static final long PATIENCE_NANOS = TimeUnit.MINUTES.toNanos(1);

  private final Query central;
  private final Executor ahead;
  // By client, the oldest first.
  private final Map<String, Next> pages = new LinkedHashMap<>();

  /**
   * Without pages.
   *
   * @param central is asked for pages
   * @param ahead runs what is read ahead
   */
  InitialLoads(Query central, Executor ahead) {
    this.central = central;
    this.ahead = ahead;
  }

  /** The next page for a client that is being loaded. */
  Page next(String client, Place place) throws CentralFailure {
    Next known;
    synchronized (this) {
      known = pages.remove(client);
    }
    Page page =
        known != null && known.place.equals(place) ? Page.join(known.page) : central.read(place);
    Cursor cursor = page.answer().cursor();
    if (cursor.isLoading()) {
      readAhead(client, place.at(cursor));
    }
    return page;
  }

  private synchronized void readAhead(String client, Place place) {
    Iterator<Next> oldest = pages.values().iterator();
    if (pages.size() == MOST && System.nanoTime() - oldest.next().asked > PATIENCE_NANOS) {
      oldest.remove();
    }
    if (pages.size() < MOST) {
      CompletableFuture<Page> page = new CompletableFuture<>();
      ahead.execute(() -> read(place, page));
      pages.put(client, new Next(place, page, System.nanoTime()));
    }
  }

  private void read(Place place, CompletableFuture<Page> page) {
    try {
      page.complete(central.read(place));
    } catch (CentralFailure | RuntimeException | Error e) {
      page.completeExceptionally(e);
    }
  }

  /** Asks central for a page. */
  interface Query {
    Page read(Place place) throws CentralFailure;
  }

  /**
   * Where a client stands in its initial load.
   *
   * @param cursor of the client; null where it has none yet
   * @param sources that it maps
   * @param pageRows how many rows a page has at most
   * @param pageBytes after how many bytes it takes no further row
   */
  record Place(Cursor cursor, List<Wanted> sources, int pageRows, int pageBytes) {
    Place at(Cursor cursor) {
      return new Place(cursor, sources, pageRows, pageBytes);
    }
  }

  private record Next(Place place, CompletableFuture<Page> page, long asked) {}
}
