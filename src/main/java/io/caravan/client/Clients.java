package io.caravan.client;

import io.caravan.CentralFailure;
import io.caravan.Shutdown;
import io.caravan.jdbc.Cause;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.Exchange;
import org.apache.camel.ExchangeProperty;
import org.apache.camel.Header;

/** What the clients' pumps report and ask, by the client's name. */
public final class Clients implements CamelContextAware, KeptByClient {
  private static final String CENTRAL = "jdbc://central?";

  private final Map<String, Client> clients = new ConcurrentHashMap<>();
  private CamelContext context;
  private boolean showsMessages;

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /** Whether a client's failure is told in the database's own words, which may quote row data. */
  public void setErrorMessages(boolean showsMessages) {
    this.showsMessages = showsMessages;
  }

  /** A client's pump has begun to work. Whatever becomes of that is reported. */
  public void begins(String client) {
    client(client).state.begins();
  }

  /** A client's pump has ended, however. Until it begins again, somebody must wake it. */
  public void ends(String client) {
    Client known = clients.get(client);
    if (known != null) {
      known.state.ends();
    }
  }

  /** Whether a client's pump runs: it sees by itself when there is more. */
  public boolean isRunning(String client) {
    Client known = clients.get(client);
    return known != null && known.state.isRunning();
  }

  /** Whether there is a client that must be woken if there is something for all. */
  public boolean isOneToBeWoken() {
    return clients.values().stream().anyMatch(client -> client.state.isToBeWoken());
  }

  /** Whether a client is to be left alone: its time has not come yet. */
  public boolean isResting(String client) {
    return isStopping() || client(client).state.isResting();
  }

  /** The clients whose rest is over. */
  public List<String> due() {
    return clients.entrySet().stream()
        .filter(entry -> entry.getValue().state.isDue())
        .map(Map.Entry::getKey)
        .sorted()
        .toList();
  }

  /**
   * Where a client stands; empty where the client itself must be asked: at first, after a failure,
   * and with another mapping.
   */
  public Optional<Position> recall(String client, String mapping) {
    return client(client).seen.recall(mapping);
  }

  /** Whether a client was not asked for so long where it stands. The caller asks it now. */
  public boolean isToBeAsked(String client, Duration trust) {
    return client(client).seen.isToBeAsked(trust);
  }

  /** Somebody has changed a client from outside: the next turn asks it where it stands. */
  public void changedFromOutside(String client) {
    client(client).seen.movedElsewhere();
  }

  /**
   * Whether pages may have been applied that this hub does not know of: what the client has taken
   * with them may still be a dead letter.
   *
   * @param step where the client stands
   */
  public boolean isUnsure(String client, long step) {
    return client(client).seen.isUnsure(step);
  }

  /**
   * Whether another hub has applied pages since this one last looked, and not long ago. Then the
   * client is left to that hub, and looked at again in a while.
   *
   * @param step where the client stands
   * @param isRecent whether a page was applied within the last seconds
   */
  public boolean isServedByAnother(String client, long step, boolean isRecent) {
    boolean byAnother = client(client).seen.isMovedByAnother(step, isRecent);
    if (byAnother) {
      client(client).state.standBy();
    }
    return byAnother;
  }

  /** Another hub was quicker. */
  public void standBy(String client) {
    client(client).seen.movedElsewhere();
    client(client).state.standBy();
  }

  /** A page was applied, or there was none: the client stands there now. */
  public void progressed(String client, String mapping, Position position) {
    client(client).seen.broughtTo(mapping, position);
    client(client).state.progressed(position.isBehind());
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
    if (!isStopping()) {
      boolean atCentral =
          error instanceof CentralFailure || (endpoint != null && endpoint.startsWith(CENTRAL));
      client(client).seen.lost();
      client(client).state.failed(Cause.of(error, showsMessages), atCentral);
    }
  }

  @Override
  public void forget(String client) {
    clients.remove(client);
  }

  /** How many are not resting. */
  public int countActive() {
    return (int) clients.values().stream().filter(client -> !client.state.isResting()).count();
  }

  /** How a client stands: its state, why and since when, and whether its connection works. */
  public Map<String, Object> status(String client) {
    return client(client).state.status();
  }

  /** The clients that have been woken. */
  public Set<String> names() {
    return Set.copyOf(clients.keySet());
  }

  /** The state of a client, in a word or two; empty: it was not woken yet, or is no more. */
  public String state(String client) {
    Client known = clients.get(client);
    return known == null ? "" : known.state.state();
  }

  /** For how long a client has not had all that there was, in seconds; NaN: nobody here knows. */
  public double lagSeconds(String client) {
    Client known = clients.get(client);
    return known == null ? Double.NaN : known.state.lagSeconds();
  }

  /** The cursor that a client had when it was last seen; empty: it was not seen yet. */
  public Optional<Cursor> cursor(String client) {
    return Optional.ofNullable(clients.get(client)).flatMap(known -> known.seen.cursor());
  }

  /** How each client stands that has been woken, by name. */
  Map<String, Map<String, Object>> statuses() {
    Map<String, Map<String, Object>> statuses = new TreeMap<>();
    clients.forEach((name, client) -> statuses.put(name, client.state.status()));
    return statuses;
  }

  private boolean isStopping() {
    return Shutdown.hasBegun(context);
  }

  private Client client(String name) {
    return clients.computeIfAbsent(name, Client::new);
  }

  private record Client(ClientState state, LastSeen seen) {
    Client(String name) {
      this(new ClientState(name), new LastSeen());
    }
  }
}
