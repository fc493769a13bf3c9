package io.caravan.health;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.caravan.Json;
import io.caravan.client.ClientFiles;
import io.caravan.client.Clients;
import io.caravan.client.Cursor;
import io.caravan.listen.Bell;
import io.caravan.listen.Listener;
import io.caravan.reconcile.Reconciler;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.io.IOException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.DoubleSupplier;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What Prometheus is told besides counters: how each client stands, and what central has to say.
 * Central is asked now and then, once for all clients; a scrape asks nobody. What is not known is
 * NaN.
 */
public final class Gauges implements CamelContextAware, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Gauges.class);
  private static final String MEASURE =
      "select log_changes, dead_letters, behind from caravan_internal.measure(?::pg_snapshot[], ?, ?)";
  // All that is counted at a time: a client that is further behind than its share is so far behind.
  private static final long MOST_CHANGES = 100_000;
  private static final long LEAST_CHANGES_OF_A_CLIENT = 1_000;
  private static final String NOT_LOADED = "not loaded";
  private static final List<String> STATES =
      List.of("starting", "live", "catching up", "waiting", "paused", "standing by", NOT_LOADED);
  private static final String ALL_CLIENTS = "*";

  private DataSource central;
  private Central centralState = new Central();
  private Bell bell = new Bell();
  private Listener listener;
  private Clients clients = new Clients();
  private ClientFiles files = new ClientFiles();
  private Reconciler reconciler;
  private CamelContext context;

  private final Map<String, List<Meter>> byClient = new HashMap<>();
  private final List<Meter> ofHub = new ArrayList<>();
  private volatile Measured measured = Measured.NOTHING;

  /** Where central is asked. */
  public void setCentral(DataSource central) {
    this.central = central;
  }

  /** Knows whether central answers. */
  public void setCentralState(Central centralState) {
    this.centralState = centralState;
  }

  /** Knows whether central's bell is heard. */
  public void setBell(Bell bell) {
    this.bell = bell;
  }

  /** Knows whether the hub is awake. */
  public void setListener(Listener listener) {
    this.listener = listener;
  }

  /** Knows how the clients are. */
  public void setClients(Clients clients) {
    this.clients = clients;
  }

  /** Knows the clients that can't be loaded. */
  public void setFiles(ClientFiles files) {
    this.files = files;
  }

  /** Knows when clients were shown to be equal to central. */
  public void setReconciler(Reconciler reconciler) {
    this.reconciler = reconciler;
  }

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /** Asks central, if metrics are enabled. */
  public void measure() {
    if (context.getRegistry().findSingleByType(MeterRegistry.class) != null) {
      follow();
      ask();
    }
  }

  /** Takes up clients that are new, and lets go of those that are gone. */
  public synchronized void follow() {
    MeterRegistry registry = context.getRegistry().findSingleByType(MeterRegistry.class);
    if (registry == null) {
      return;
    }
    if (ofHub.isEmpty()) {
      measureHub(registry);
    }
    Set<String> known = new HashSet<>(clients.names());
    known.addAll(files.names());
    for (String gone : byClient.keySet().stream().filter(name -> !known.contains(name)).toList()) {
      byClient.remove(gone).forEach(registry::remove);
    }
    for (String client : known) {
      byClient.computeIfAbsent(client, name -> measureClient(registry, name));
    }
  }

  @Override
  public synchronized void close() {
    MeterRegistry registry = context.getRegistry().findSingleByType(MeterRegistry.class);
    if (registry != null) {
      ofHub.forEach(registry::remove);
      byClient.values().forEach(meters -> meters.forEach(registry::remove));
    }
    ofHub.clear();
    byClient.clear();
  }

  private void measureHub(MeterRegistry registry) {
    Tags none = Tags.empty();
    ofHub.add(
        gauge(
            registry,
            "caravan.central.up",
            "Whether central answers",
            none,
            () -> number(centralState.isUp())));
    ofHub.add(
        gauge(
            registry,
            "caravan.bell.silent",
            "Whether central's bell is not heard, and the clients are polled",
            none,
            () -> number(bell.isFoundSilent())));
    ofHub.add(
        gauge(
            registry,
            "caravan.awake",
            "Whether the hub looks for changes by itself, and nobody rings",
            none,
            () -> number(listener.isAwake())));
    ofHub.add(
        gauge(
            registry,
            "caravan.log.changes",
            "About how many entries central's change log has",
            none,
            () -> measured.log));
    ofHub.add(
        gauge(
            registry,
            "caravan.dead.letters",
            LETTERS,
            Tags.of("client", ALL_CLIENTS),
            () -> measured.letters(ALL_CLIENTS)));
  }

  private static final String LETTERS =
      "How many changes a client refuses, or * because they break the contract of their source";

  private List<Meter> measureClient(MeterRegistry registry, String client) {
    Tags name = Tags.of("client", client);
    List<Meter> meters = new ArrayList<>();
    for (String state : STATES) {
      meters.add(
          gauge(
              registry,
              "caravan.client.state",
              "1: the client is in this state",
              name.and("state", state),
              () -> number(state(client).equals(state))));
    }
    meters.add(
        gauge(
            registry,
            "caravan.client.lag",
            "For how long the client has not had all that there was",
            name,
            () -> clients.lagSeconds(client)));
    meters.add(
        gauge(
            registry,
            "caravan.client.lag.changes",
            "How many changes the client still has to get",
            name,
            () -> lagChanges(client)));
    meters.add(
        gauge(registry, "caravan.dead.letters", LETTERS, name, () -> measured.letters(client)));
    meters.add(
        gauge(
            registry,
            "caravan.verified.age",
            "How long ago the client was last shown to be equal to central",
            name,
            () -> reconciler.age(client)));
    return meters;
  }

  private String state(String client) {
    if (files.isBroken(client)) {
      return NOT_LOADED;
    }
    return clients.state(client);
  }

  private double lagChanges(String client) {
    return switch (state(client)) {
      case "live" -> 0;
      case "catching up", "waiting", "paused" -> measured.behind(client);
      default -> Double.NaN;
    };
  }

  private void ask() {
    Map<String, Place> places = new HashMap<>();
    for (String client : clients.names()) {
      if (!clients.state(client).equals("live")) {
        clients.cursor(client).ifPresent(cursor -> places.put(client, Place.of(cursor)));
      }
    }
    List<Place> distinct = List.copyOf(new LinkedHashSet<>(places.values()));
    long most = Math.max(MOST_CHANGES / Math.max(distinct.size(), 1), LEAST_CHANGES_OF_A_CLIENT);
    try (Connection connection = central.getConnection();
        PreparedStatement statement = connection.prepareStatement(MEASURE)) {
      statement.setArray(
          1, connection.createArrayOf("text", distinct.stream().map(Place::snapshot).toArray()));
      statement.setArray(
          2, connection.createArrayOf("bigint", distinct.stream().map(Place::after).toArray()));
      statement.setLong(3, most);
      try (ResultSet answer = statement.executeQuery()) {
        answer.next();
        Long[] behind = (Long[]) answer.getArray("behind").getArray();
        Map<String, Long> changes = new HashMap<>();
        places.forEach((client, place) -> changes.put(client, behind[distinct.indexOf(place)]));
        measured =
            new Measured(
                answer.getLong("log_changes"),
                Json.read(answer.getString("dead_letters")),
                Map.copyOf(changes),
                true);
      }
    } catch (SQLException | IOException e) {
      LOG.debug("Central can't be measured", e);
      measured = Measured.NOTHING;
    }
  }

  private static double number(boolean is) {
    return is ? 1 : 0;
  }

  private static Gauge gauge(
      MeterRegistry registry, String name, String description, Tags tags, DoubleSupplier value) {
    return Gauge.builder(name, value::getAsDouble)
        .baseUnit(name.matches(".*[.](lag|age)") ? "seconds" : null)
        .description(description)
        .tags(tags)
        .strongReference(true)
        .register(registry);
  }

  /** Where a client stands in the log: a snapshot, and in a backlog the id of its last change. */
  private record Place(String snapshot, long after) {
    static Place of(Cursor cursor) {
      return new Place(cursor.snapshot(), cursor.window() == null ? 0 : cursor.window().after());
    }
  }

  /** What central has said. */
  private record Measured(double log, JsonNode letters, Map<String, Long> behind, boolean isKnown) {
    static final Measured NOTHING =
        new Measured(Double.NaN, JsonNodeFactory.instance.objectNode(), Map.of(), false);

    double letters(String client) {
      return isKnown ? letters.path(client).asDouble() : Double.NaN;
    }

    double behind(String client) {
      return behind.containsKey(client) ? behind.get(client) : Double.NaN;
    }
  }
}
