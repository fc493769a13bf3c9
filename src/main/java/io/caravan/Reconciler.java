package io.caravan;

import com.fasterxml.jackson.databind.JsonNode;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.math.BigDecimal;
import java.sql.Timestamp;
import java.text.ParseException;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.Exchange;
import org.apache.camel.ExchangeException;
import org.apache.camel.Header;
import org.apache.camel.Headers;
import org.apache.camel.spi.OnCamelContextStopping;
import org.quartz.CronExpression;
import org.slf4j.LoggerFactory;

/**
 * Which clients can be reconciled and when each is to be, as their pumps tell. A client is worked
 * for once at a time here; between hubs, central sees to that. The gauge {@code
 * caravan.verified.age} tells how long ago a client was shown to be equal to central.
 */
public final class Reconciler implements CamelContextAware, OnCamelContextStopping {
  private final Map<String, Client> clients = new ConcurrentHashMap<>();
  private final String hub = UUID.randomUUID().toString();
  private double percent = 1;
  private CamelContext context;
  private boolean showsMessages;
  private volatile boolean stopping;

  /** Whether a failure is told in the database's own words, which may quote row data. */
  public void setErrorMessages(boolean showsMessages) {
    this.showsMessages = showsMessages;
  }

  /** Which share of the time all clients together may be compared to verify, in percent. */
  public void setPercent(double percent) {
    this.percent = percent;
  }

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /** From now on nothing is begun, and failing is no news. */
  @Override
  public void onContextStopping(CamelContext context) {
    stopping = true;
  }

  /**
   * A client has this mapping, and is to be reconciled at these times.
   *
   * @param schedule a Quartz cron expression
   * @throws ParseException if the schedule is none
   */
  public void know(
      @Header("client") String client,
      @Header("mapping") String mapping,
      @Header("schedule") String schedule)
      throws ParseException {
    clients.computeIfAbsent(client, this::measured).is(mapping, schedule);
  }

  /** Whether somebody rings for clients to be compared. */
  public boolean isAsked(JsonNode doorbell) {
    return doorbell.path("op").asText().equals("reconcile");
  }

  /** The clients that nobody here works for; from now on, the caller does. */
  public List<String> claim() {
    return stopping
        ? List.of()
        : clients.entrySet().stream()
            .filter(entry -> entry.getValue().claim())
            .map(Map.Entry::getKey)
            .sorted()
            .toList();
  }

  /** Sets the headers with which central is asked what is to be done for a client. */
  public void introduce(@Header("client") String client, @Headers Map<String, Object> headers) {
    headers.put("hub", hub);
    headers.put("mapping", clients.get(client).mapping());
    headers.put("scheduledAt", clients.get(client).scheduledAt());
    headers.put("percent", BigDecimal.valueOf(percent / clients.size()));
  }

  /** Until when central has shown a client to be equal; null: never yet. */
  public void shown(@Header("client") String client, @Header("equal_at") Timestamp equalAt) {
    clients.get(client).shown(equalAt);
  }

  /** A run has come a step further; central says in words how far, where that is worth a line. */
  public void progressed(@Header("client") String client, @Header("progress") String progress) {
    if (progress != null) {
      LoggerFactory.getLogger("caravan." + client).info("reconcile: {}", progress);
    }
  }

  /** Nobody works for a client any more. */
  public void release(@Header("client") String client) {
    clients.get(client).release();
  }

  /**
   * A run could not go on. It is tried again later, and news is logged.
   *
   * @param headers {@code cause} is set to what central is to know of it: null if it is only that a
   *     database could not be reached
   */
  public void failed(
      @Header("client") String client,
      @ExchangeException Exception error,
      @Headers Map<String, Object> headers,
      Exchange exchange) {
    Cause cause = Cause.of(error, showsMessages);
    boolean isOurs = !stopping && !cause.isOfTheConnection();
    headers.put("cause", isOurs && headers.get("run") != null ? cause.message() : null);
    if (!stopping && clients.get(client).isNews(cause.message())) {
      LoggerFactory.getLogger("caravan." + client).warn("not reconciled: {}", cause.message());
    }
  }

  private Client measured(String name) {
    Client client = new Client();
    MeterRegistry registry = context.getRegistry().findSingleByType(MeterRegistry.class);
    if (registry != null) {
      Gauge.builder("caravan.verified.age", client, Client::age)
          .description("Since when a client has not been shown to be equal to central")
          .baseUnit("seconds")
          .tag("client", name)
          .strongReference(true)
          .register(registry);
    }
    return client;
  }

  /** One client. */
  private static final class Client {
    private String mapping = "";
    private String schedule = "";
    private CronExpression times;
    private Instant lookedAt = Instant.now();
    private Timestamp scheduledAt;
    private Timestamp equalAt;
    private String told = "";
    private boolean claimed;

    synchronized void is(String mapping, String schedule) throws ParseException {
      if (!schedule.equals(this.schedule)) {
        times = new CronExpression(schedule);
        this.schedule = schedule;
      }
      this.mapping = mapping;
    }

    synchronized boolean claim() {
      boolean free = !claimed;
      claimed = true;
      return free;
    }

    synchronized void release() {
      claimed = false;
    }

    synchronized String mapping() {
      return mapping;
    }

    /** The last of its times that has come since this hub knows it; null: none has. */
    synchronized Timestamp scheduledAt() {
      Instant now = Instant.now();
      for (Date next = times.getNextValidTimeAfter(Date.from(lookedAt));
          next != null && !next.toInstant().isAfter(now);
          next = times.getNextValidTimeAfter(next)) {
        lookedAt = next.toInstant();
        scheduledAt = Timestamp.from(lookedAt);
      }
      return scheduledAt;
    }

    synchronized void shown(Timestamp equalAt) {
      if (equalAt != null) {
        this.equalAt = equalAt;
        told = "";
      }
    }

    synchronized boolean isNews(String cause) {
      boolean news = !cause.equals(told);
      told = cause;
      return news;
    }

    synchronized double age() {
      return equalAt == null
          ? Double.NaN
          : Duration.between(equalAt.toInstant(), Instant.now()).toMillis() / 1000.0;
    }
  }
}
