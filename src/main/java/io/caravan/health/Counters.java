package io.caravan.health;

import io.caravan.client.KeptByClient;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;

/**
 * Counts what is applied to each client and times it, if metrics are enabled. Camel's {@code
 * micrometer:} steps try a regular expression on each header of the message: they took a tenth of
 * the hub's processor time, and made a third of its garbage.
 */
public final class Counters implements CamelContextAware, KeptByClient {
  private static final String CLIENT = "client";
  // A histogram for each of a thousand clients would be more than anybody looks at: all share one.
  private static final Duration[] BUCKETS =
      LongStream.of(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
          .mapToObj(Duration::ofMillis)
          .toArray(Duration[]::new);

  private final Map<String, Client> clients = new ConcurrentHashMap<>();
  private CamelContext context;
  private MeterRegistry registry;
  private Timer pages;
  private Timer deliveries;

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /**
   * A page was applied.
   *
   * @param nanos that it took, from when it was read
   */
  public void applied(String client, long written, long removed, long nanos) {
    Client counted = client(client);
    counted.pages.increment();
    counted.written.increment((double) written);
    counted.removed.increment((double) removed);
    pages.record(nanos, TimeUnit.NANOSECONDS);
  }

  /**
   * A page was applied to a client that was not behind.
   *
   * @param nanos since the hub has learned that there are changes
   */
  public void delivered(long nanos) {
    deliveries.record(nanos, TimeUnit.NANOSECONDS);
  }

  /** A client has refused rows. */
  public void refused(String client, long refusals) {
    client(client).refused.increment((double) refusals);
  }

  @Override
  public void forget(String client) {
    Client gone = clients.remove(client);
    if (gone != null) {
      gone.all().forEach(registry::remove);
    }
  }

  private Client client(String name) {
    return clients.computeIfAbsent(name, this::counted);
  }

  private synchronized Client counted(String name) {
    if (registry == null) {
      MeterRegistry enabled = context.getRegistry().findSingleByType(MeterRegistry.class);
      registry = enabled == null ? new SimpleMeterRegistry() : enabled;
      pages = timer("caravan.page", "From reading a page until the client has it");
      deliveries =
          timer(
              "caravan.delivery",
              "From when the hub learns of changes until a client that was not behind has them");
    }
    return new Client(
        registry.counter("caravan.pages.applied", CLIENT, name),
        registry.counter("caravan.rows.written", CLIENT, name),
        registry.counter("caravan.rows.removed", CLIENT, name),
        registry.counter("caravan.rows.refused", CLIENT, name));
  }

  private Timer timer(String name, String description) {
    return Timer.builder(name)
        .description(description)
        .serviceLevelObjectives(BUCKETS)
        .register(registry);
  }

  private record Client(Counter pages, Counter written, Counter removed, Counter refused) {
    List<Meter> all() {
      return List.of(pages, written, removed, refused);
    }
  }
}
