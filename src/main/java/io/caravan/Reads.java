package io.caravan;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import org.apache.camel.Exchange;
import org.apache.camel.Header;
import org.apache.camel.Headers;
import org.apache.camel.Produce;
import org.apache.camel.ProducerTemplate;
import org.apache.camel.util.CastUtils;

/**
 * Central's changes, read once for all clients that stand at the same point, and a page ahead. See
 * {@link Chains} and {@link Fills}.
 */
public final class Reads {
  // As many threads as there are chains in the midst of a backlog, and fills.
  private final Executor ahead =
      Executors.newCachedThreadPool(
          work -> {
            Thread thread = new Thread(work, "caravan-read-ahead");
            thread.setDaemon(true);
            return thread;
          });
  private final Chains chains =
      new Chains(
          (stand, until) ->
              read(
                  stand.cursor(),
                  stand.sources(),
                  null,
                  stand.pageRows(),
                  stand.pageBytes(),
                  until),
          ahead);
  private final Fills fills = new Fills(this::readToFill, ahead);
  private final Map<String, Long> refusedAt = new ConcurrentHashMap<>();
  private volatile long wokenAt = System.nanoTime();

  // A pump that finds no route is one that Camel is just stopping.
  @Produce("direct:read?timeout=1000")
  private ProducerTemplate central;

  /** All clients are about to be woken, for there may be changes. */
  public void wake() {
    wokenAt = System.nanoTime();
  }

  /**
   * A pump begins.
   *
   * @param headers {@code wokenAt} is set to when the clients were last woken, in nanoseconds: it
   *     may have been more than once, and the pump remembers one
   */
  public void begin(@Headers Map<String, Object> headers) {
    headers.put("wokenAt", wokenAt);
  }

  /**
   * The next page for a client, as the columns of {@code caravan.read}; without the cursor where it
   * is only known when the page was applied, or stays.
   *
   * @param cursor of the client; null where it has none yet
   * @param sources that its mapping names, as {@code caravan.standing} returns them
   * @param held the client's next keys, while it is being swept
   * @param pageRows how many changes the page has at most
   * @param pageBytes after how many bytes it takes no further row
   * @param wokenAt as {@link #begin} has set it: a page that was read before is not the last
   * @throws CentralFailure if central can't be read
   */
  public Map<String, Object> next(
      @Header("client") String client,
      @Header("cursor") String cursor,
      @Header("sources") String sources,
      @Header("held") String held,
      @Header("pageRows") int pageRows,
      @Header("pageBytes") int pageBytes,
      @Header("wokenAt") long wokenAt)
      throws CentralFailure {
    Optional<Standpoint> standpoint = Standpoint.of(cursor, sources);
    Page page;
    if (standpoint.isPresent()) {
      Chains.Stand stand = new Chains.Stand(cursor, sources, standpoint.get(), pageRows, pageBytes);
      page = chains.next(stand, wokenAt);
    } else if (held == null) {
      page = fills.next(client, new Fills.Place(cursor, sources, pageRows, pageBytes));
    } else {
      return read(cursor, sources, held, pageRows, pageBytes, null);
    }
    Map<String, Object> row = new HashMap<>(page.row());
    for (String name : new String[] {client, "*"}) {
      if (refusedAt.containsKey(name) && refusedAt.get(name) - page.began() > 0) {
        row.merge("refusing", "," + name + ",", (known, more) -> known.toString() + more);
      }
    }
    return row;
  }

  /**
   * A change became a dead letter just now. Pages that were read before do not know of it.
   *
   * @param client the client that refused it; {@code *} for all
   */
  public void refused(String client) {
    refusedAt.put(client, System.nanoTime());
  }

  private Page readToFill(Fills.Place place) throws CentralFailure {
    long began = System.nanoTime();
    return new Page(
        read(place.cursor(), place.sources(), null, place.pageRows(), place.pageBytes(), null),
        began,
        Optional.empty());
  }

  /** By a template, not by an interface: Camel parses the annotations of these at each call. */
  private Map<String, Object> read(
      String cursor, String sources, String held, int pageRows, int pageBytes, String until)
      throws CentralFailure {
    Map<String, Object> headers = new HashMap<>();
    headers.put("cursor", cursor);
    headers.put("sources", sources);
    headers.put("held", held);
    headers.put("pageRows", pageRows);
    headers.put("pageBytes", pageBytes);
    headers.put("until", until);
    Exchange answer = central.send(exchange -> exchange.getMessage().setHeaders(headers));
    if (answer.getException() != null) {
      throw new CentralFailure(answer.getException());
    }
    return CastUtils.cast(answer.getMessage().getBody(Map.class));
  }
}
