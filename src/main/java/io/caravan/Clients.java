package io.caravan;

import com.zaxxer.hikari.HikariDataSource;
import io.caravan.client.Standing;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.ExchangeProperty;
import org.apache.camel.Header;
import org.apache.camel.health.HealthCheckResultBuilder;
import org.apache.camel.impl.health.AbstractHealthCheck;
import org.apache.camel.spi.OnCamelContextStopping;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * How each client stands, by what its pump reports, and when one that failed is tried again. A
 * client that is waiting or paused does not make the hub unhealthy.
 */
public final class Clients extends AbstractHealthCheck implements OnCamelContextStopping {
  private static final Duration SHORTEST_PAUSE = Duration.ofMillis(200);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);
  // Central serves all: when it is back, nobody shall have to wait for long.
  private static final Duration LONGEST_PAUSE_FOR_CENTRAL = Duration.ofSeconds(2);
  private static final Duration PAUSE_FOR_ANOTHER_HUB = Duration.ofSeconds(5);
  private static final Duration MEMORY = Duration.ofSeconds(10);
  private static final long UNKNOWN = -1;
  private static final String CENTRAL = "jdbc://central?";

  private final Map<String, Client> clients = new ConcurrentHashMap<>();
  private final Map<String, String> notLoaded = new ConcurrentHashMap<>();
  private boolean showsMessages;
  private volatile boolean stopping;

  /** No client is known before its pump has run. */
  public Clients() {
    super("caravan", "caravan-clients");
  }

  /** Whether a client's failure is told in the database's own words, which may quote row data. */
  public void setErrorMessages(boolean showsMessages) {
    this.showsMessages = showsMessages;
  }

  /** Whether a client is to be left alone: its time has not come yet. */
  public boolean isResting(String client) {
    return stopping || client(client).isResting();
  }

  /** The clients whose rest is over. */
  public List<String> due() {
    return clients.keySet().stream().filter(name -> client(name).isDue()).sorted().toList();
  }

  /**
   * Where a client stands; empty where it is to be asked itself: at first, after a failure, with
   * another mapping, and now and then, for what somebody does to it from outside.
   */
  public Optional<Standing> recall(String client, String mapping) {
    return client(client).recall(mapping);
  }

  /**
   * Whether pages may have been applied that this hub does not know of: what the client has taken
   * with them may still be a dead letter.
   *
   * @param step where the client stands
   */
  public boolean isUnsure(String client, long step) {
    return client(client).isUnsure(step);
  }

  /**
   * Whether another hub has applied pages since this one last looked, and not long ago. Then the
   * client is left to that hub, and looked at again in a while.
   *
   * @param step where the client stands
   * @param isRecent whether a page was applied within the last seconds
   */
  public boolean isServedByAnother(String client, long step, boolean isRecent) {
    return client(client).isServedByAnother(step, isRecent);
  }

  /** Another hub was quicker. */
  public void standBy(String client) {
    client(client).standBy();
  }

  /** A page was applied, or there was none: the client stands there now. */
  public void progressed(String client, String mapping, Standing standing) {
    client(client).progressed(mapping, standing);
  }

  /**
   * A run has failed: the client rests, each time for longer.
   *
   * @param endpoint what was asked last, as Camel's URI; null: nothing yet
   */
  public void failed(
      @Header("client") String client,
      @ExchangeProperty(Exchange.EXCEPTION_CAUGHT) Exception error,
      @ExchangeProperty(Exchange.FAILURE_ENDPOINT) String endpoint) {
    if (!stopping) {
      boolean atCentral =
          error instanceof CentralFailure || (endpoint != null && endpoint.startsWith(CENTRAL));
      client(client).failed(Cause.of(error, showsMessages), atCentral);
    }
  }

  /**
   * Cuts all connections, for Camel waits for the pumps, and one may hang in a lock or have a
   * million rows before it. What they have begun is rolled back, and comes again.
   */
  @Override
  public void onContextStopping(CamelContext context) {
    stopping = true;
    for (HikariDataSource pool : context.getRegistry().findByType(HikariDataSource.class)) {
      Thread cut = new Thread(pool::close, "caravan-cut-" + pool.getPoolName());
      cut.setDaemon(true);
      cut.start();
    }
  }

  /** The file of a client cannot be loaded: it is left out until the hub is started again. */
  void notLoaded(String client, String why) {
    notLoaded.put(client, why);
    LoggerFactory.getLogger("caravan." + client).error("not loaded: {}", why);
  }

  /** How many are not resting. */
  public int countActive() {
    return (int) clients.values().stream().filter(client -> !client.isResting()).count();
  }

  /** How a client stands: its state, why and since when, and whether its connection works. */
  public Map<String, Object> standing(String client) {
    return client(client).standing();
  }

  @Override
  protected void doCall(HealthCheckResultBuilder builder, Map<String, Object> options) {
    builder.up();
    new TreeMap<>(clients).forEach((name, client) -> builder.detail(name, client.standing()));
    notLoaded.forEach(
        (name, why) -> builder.detail(name, Map.of("state", "not loaded", "why", why)));
  }

  private Client client(String name) {
    return clients.computeIfAbsent(name, Client::new);
  }

  /** One client. Its pump reports in one thread; others ask. */
  private static final class Client {
    private final String name;
    private final Set<String> told = new HashSet<>();
    private String state = "starting";
    private String why = "";
    private Instant since = Instant.now();
    private boolean connected;
    private int failures;
    private long step = UNKNOWN;
    private Standing seen;
    private String mapping;
    private long askedAt;
    private boolean resting;
    private long restsUntil;

    Client(String name) {
      this.name = name;
    }

    synchronized boolean isResting() {
      return resting && System.nanoTime() - restsUntil < 0;
    }

    synchronized boolean isDue() {
      return resting && !isResting();
    }

    synchronized boolean isUnsure(long step) {
      return this.step != step;
    }

    synchronized boolean isServedByAnother(long step, boolean recent) {
      boolean byAnother = recent && this.step != UNKNOWN && this.step != step;
      this.step = step;
      if (byAnother) {
        standBy();
      }
      return byAnother;
    }

    synchronized void standBy() {
      failures = 0;
      connected = true;
      seen = null;
      rest(PAUSE_FOR_ANOTHER_HUB.toNanos());
      become("standing by", "another hub serves it");
    }

    synchronized Optional<Standing> recall(String mapping) {
      boolean known =
          seen != null
              && mapping.equals(this.mapping)
              && System.nanoTime() - askedAt < MEMORY.toNanos();
      if (!known) {
        askedAt = System.nanoTime();
      }
      return known ? Optional.of(seen) : Optional.empty();
    }

    synchronized void progressed(String mapping, Standing seen) {
      this.mapping = mapping;
      this.seen = seen;
      step = seen.step();
      failures = 0;
      connected = true;
      resting = false;
      become(seen.isBehind() ? "catching up" : "live", "");
    }

    synchronized void failed(Cause cause, boolean atCentral) {
      failures++;
      seen = null;
      step = UNKNOWN; // a page may have been applied, and the answer lost
      connected = atCentral || !cause.isOfTheConnection();
      rest(pause(atCentral ? LONGEST_PAUSE_FOR_CENTRAL : LONGEST_PAUSE));
      become(
          cause.isLasting() ? "paused" : "waiting",
          (atCentral ? "central: " : "") + cause.message());
    }

    synchronized Map<String, Object> standing() {
      return Map.of(
          "state", state,
          "why", why,
          "since", since.toString(),
          "failures", failures,
          "connected", connected,
          "flowing", connected && failures == 0);
    }

    /** Doubles with each failure. Half of it is left to chance, lest all come at once. */
    private long pause(Duration longest) {
      long doubled = SHORTEST_PAUSE.toNanos() << Math.min(failures - 1, 20);
      long pause = Math.min(doubled, longest.toNanos());
      return ThreadLocalRandom.current().nextLong(pause / 2, pause);
    }

    private void rest(long nanos) {
      resting = true;
      restsUntil = System.nanoTime() + nanos;
    }

    private void become(String state, String why) {
      if (!state.equals(this.state)) {
        since = Instant.now();
      }
      if (state.equals("live") && !state.equals(this.state)) {
        LoggerFactory.getLogger("caravan." + name).info("live");
        told.clear();
      }
      if (!why.isEmpty() && told.add(why)) {
        LoggerFactory.getLogger("caravan." + name)
            .atLevel(failures > 0 ? Level.WARN : Level.INFO)
            .log("{}: {}", state, why);
      }
      this.state = state;
      this.why = why;
    }
  }
}
