package io.caravan.read;

import com.fasterxml.jackson.databind.JsonNode;
import io.caravan.CentralFailure;
import io.caravan.client.Cursor;
import io.caravan.client.KeptByClient;
import io.caravan.client.Position;
import io.caravan.client.Wanted;
import io.caravan.listen.Listener;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import javax.sql.DataSource;
import org.apache.camel.Body;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Central's changes, read once for all clients that stand at the same point, and a page ahead. See
 * {@link Chains} and {@link InitialLoads}.
 */
public final class Reads implements KeptByClient {
  // A page of an initial load may have this many times the rows: nobody waits for it, and most of
  // what it takes it takes once.
  private static final int LOAD_FACTOR = 10;
  private static final Logger LOG = LoggerFactory.getLogger(Reads.class);

  // As many threads as there are chains in the midst of a backlog, and initial loads.
  private final Executor ahead =
      Executors.newCachedThreadPool(
          work -> {
            Thread thread = new Thread(work, "caravan-read-ahead");
            thread.setDaemon(true);
            return thread;
          });
  private final Chains chains =
      new Chains(
          (place, until) ->
              read(place.cursor(), place.sources(), place.pageRows(), place.pageBytes(), until),
          ahead);
  private final InitialLoads loads = new InitialLoads(this::readToLoad, ahead);
  private final Map<String, Long> refusedAt = new ConcurrentHashMap<>();

  private DataSource connections;
  private int largestRow = LargestRow.of("");
  private Reader reader;

  /** Where central is: connections of this one alone, because it sets how they write and plan. */
  public void setCentral(DataSource connections) {
    this.connections = connections;
  }

  /**
   * How large a row may be.
   *
   * @param bytes of the texts of its values; empty: a share of the heap
   */
  public void setLargestRow(String bytes) {
    largestRow = LargestRow.of(bytes);
  }

  /** How many bytes the texts of a row's values may have. */
  public int largestRow() {
    return largestRow;
  }

  /**
   * All clients are about to be woken, because there may be changes.
   *
   * @param why the notification that was heard; anything else if there was none
   */
  public void wake(@Body Object why) {
    if (Listener.PAGE_RING.equals(why) || why instanceof JsonNode) {
      chains.wakeAfterRing();
    } else {
      chains.wake(System.nanoTime());
    }
  }

  /**
   * The bell has rung.
   *
   * @param toLook whether to read on at once, so that the page is on its way before the clients are
   *     woken for it
   */
  public void rung(boolean toLook) {
    chains.rung();
    if (toLook && chains.isApplied()) {
      ahead.execute(this::look);
    }
  }

  /**
   * Reads on for the clients that have nothing to do. Where central can't be read, that is not
   * known: the clients that are woken then meet the cause, and report it.
   */
  public Look look() {
    try {
      return chains.look();
    } catch (CentralFailure e) {
      LOG.debug("Can't read on", e);
      return Look.unknown();
    }
  }

  /** Whether most of the clients that took the last page have applied it. */
  public boolean isApplied() {
    return chains.isApplied();
  }

  /** When the clients were last woken, in nanoseconds. */
  public long wokenAt() {
    return chains.wokenAt();
  }

  /**
   * The next page for a client.
   *
   * @param pageRows how many changes the page has at most; ten times as many rows of an initial
   *     load
   * @param pageBytes after how many bytes it takes no further row
   * @param wokenAt when the client was woken, in nanoseconds: a page that was read before is not
   *     the last
   * @throws CentralFailure if central can't be read
   */
  public Page next(String client, Position position, int pageRows, int pageBytes, long wokenAt)
      throws CentralFailure {
    Optional<Chains.Place> place = place(position, pageRows, pageBytes);
    Page page =
        place.isPresent()
            ? chains.next(place.get(), wokenAt)
            : loads.next(
                client,
                new InitialLoads.Place(
                    position.cursor(), position.sources(), LOAD_FACTOR * pageRows, pageBytes));
    for (String name : new String[] {client, "*"}) {
      if (refusedAt.containsKey(name) && refusedAt.get(name) - page.began() > 0) {
        page = page.refusedBy(name);
      }
    }
    return page;
  }

  /**
   * Waits until there may be more for a client that has all that there was.
   *
   * @param pageRows as for {@link #next}
   * @param pageBytes as for {@link #next}
   * @param since when it was read what there was, in nanoseconds
   * @param nanos how long to wait at most
   * @return whether there may be more; false during an initial load
   */
  public boolean awaitMore(Position position, int pageRows, int pageBytes, long since, long nanos) {
    return place(position, pageRows, pageBytes)
        .filter(place -> chains.awaitMore(place, since, nanos))
        .isPresent();
  }

  /** Empty during an initial load. */
  private static Optional<Chains.Place> place(Position position, int pageRows, int pageBytes) {
    Cursor cursor = position.cursor();
    List<Wanted> sources = position.sources();
    return SharedPosition.of(cursor, sources)
        .map(shared -> Chains.Place.of(cursor, sources, shared, pageRows, pageBytes));
  }

  /**
   * A change became a dead letter just now. Pages that were read before do not know of it.
   *
   * @param client the client that refused it; {@code *} for all
   */
  public void refused(String client) {
    refusedAt.put(client, System.nanoTime());
  }

  @Override
  public void forget(String client) {
    refusedAt.remove(client);
  }

  private synchronized Reader reader() {
    if (reader == null) {
      reader = new Reader(connections, largestRow);
    }
    return reader;
  }

  private Page readToLoad(InitialLoads.Place place) throws CentralFailure {
    long began = System.nanoTime();
    return new Page(
        read(place.cursor(), place.sources(), place.pageRows(), place.pageBytes(), null),
        began,
        Optional.empty());
  }

  private Answer read(
      Cursor cursor, List<Wanted> sources, int pageRows, int pageBytes, String until)
      throws CentralFailure {
    try {
      return reader().read(cursor, sources, pageRows, pageBytes, until);
    } catch (SQLException e) {
      throw new CentralFailure(e);
    }
  }
}
