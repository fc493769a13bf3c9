package io.caravan;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import io.caravan.client.Cursor;
import io.caravan.read.Answer;
import io.caravan.read.Reader;
import io.caravan.read.Wanted;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import javax.sql.DataSource;
import org.apache.camel.Header;
import org.apache.camel.Headers;

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

  private Reader central;

  /** Where central is: connections of this one alone, because it sets how they write and plan. */
  public void setCentral(DataSource connections) {
    central = new Reader(connections);
  }

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
   * The next page for a client: page, progress, refusing and more, and the cursor, where it is not
   * only known when the page was applied, or stays.
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
    Cursor stands = cursor == null ? null : Cursor.parse(cursor);
    List<Wanted> wanted = wanted(sources);
    Optional<Standpoint> standpoint = Standpoint.of(stands, wanted);
    Page page;
    if (standpoint.isPresent()) {
      page =
          chains.next(
              new Chains.Stand(stands, wanted, standpoint.get(), pageRows, pageBytes), wokenAt);
    } else if (held == null) {
      page = fills.next(client, new Fills.Place(stands, wanted, pageRows, pageBytes));
    } else {
      Answer answer = read(stands, wanted, held, pageRows, pageBytes, null);
      page = new Page(answer, System.nanoTime(), Optional.empty());
    }
    return row(client, page);
  }

  private Map<String, Object> row(String client, Page page) {
    Set<String> refusing = new HashSet<>(page.answer().refusing());
    for (String name : new String[] {client, "*"}) {
      if (refusedAt.containsKey(name) && refusedAt.get(name) - page.began() > 0) {
        refusing.add(name);
      }
    }
    Map<String, Object> row = new HashMap<>();
    if (!page.isShared()) {
      row.put("cursor", page.answer().cursor().json());
    }
    row.put("page", page.answer().page());
    row.put("progress", page.answer().progress());
    row.put("refusing", "," + String.join(",", refusing) + ",");
    row.put("more", String.valueOf(page.hasMore()));
    return row;
  }

  private static List<Wanted> wanted(String sources) {
    try {
      return Json.read(sources, new TypeReference<>() {});
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(e);
    }
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

  private Answer read(
      Cursor cursor, List<Wanted> sources, String held, int pageRows, int pageBytes, String until)
      throws CentralFailure {
    try {
      return central.read(cursor, sources, pageRows, pageBytes, held, until);
    } catch (SQLException e) {
      throw new CentralFailure(e);
    }
  }
}
