package io.caravan.listen;

import com.fasterxml.jackson.databind.JsonNode;
import io.caravan.Backoff;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.apache.camel.Body;
import org.apache.camel.health.HealthCheckResultBuilder;
import org.apache.camel.impl.health.AbstractHealthCheck;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether central's bell is heard. The hub rings it for itself, and what is not heard three times
 * running is not proven alive: then the clients are polled and the listener is rebuilt.
 */
public final class Bell extends AbstractHealthCheck {
  private static final Logger LOG = LoggerFactory.getLogger("caravan.bell");
  private static final int MISSES = 3;
  private static final Duration LONGEST_PAUSE = Duration.ofMinutes(1);

  private Listener listener = new Listener();
  private Duration patience = Duration.ofSeconds(6);
  private Instant heardAt = Instant.EPOCH;
  private long heard;
  private boolean started;
  private boolean silent;
  private Backoff backoff = new Backoff(patience);
  private long rebuildAt;

  /** A bell that is expected to be heard from the first {@link #isSilent()} on. */
  public Bell() {
    super("caravan", "caravan-bell");
  }

  /** What is rebuilt when the bell is not heard. */
  public void setListener(Listener listener) {
    this.listener = listener;
  }

  /** How often the hub rings the bell for itself, in milliseconds. */
  public void setHeartbeat(long millis) {
    patience = Duration.ofMillis(millis * MISSES);
  }

  /**
   * Whether the hub's own listener has rung, which it does some hundred times a second while it
   * looks for changes.
   */
  public boolean isOfListener(@Body String notification) {
    return Listener.OWN_RINGS.contains(notification);
  }

  /** Whether the hub itself has rung, to know that it hears the bell. */
  public boolean isHeartbeat(JsonNode doorbell) {
    return doorbell.path("op").asText().equals("heartbeat");
  }

  /** It was heard just now. */
  public synchronized void heard() {
    if (silent) {
      LOG.info("heard again after {} s: the clients are no longer polled", secondsSince(heard));
    }
    silent = false;
    started = true;
    heard = System.nanoTime();
    heardAt = Instant.now();
  }

  /**
   * Whether the clients are to be polled, because the bell is not heard. While it is not, the
   * listener is rebuilt now and then, ever more seldom: behind a transaction pooler it stays deaf.
   */
  public synchronized boolean isSilent() {
    long now = System.nanoTime();
    if (!started) {
      started = true;
      heard = now;
    }
    if (!silent && now - heard > patience.toNanos()) {
      silent = true;
      backoff = new Backoff(patience.multipliedBy(2));
      rebuildAt = now;
      LOG.warn("not heard for {} s: the clients are polled until it is", secondsSince(heard));
    }
    if (silent && now - rebuildAt >= 0) {
      listener.rebuild();
      rebuildAt = now + backoff.failed(LONGEST_PAUSE);
    }
    return silent;
  }

  /** Whether it was last found to be silent. */
  public synchronized boolean isFoundSilent() {
    return silent;
  }

  @Override
  protected synchronized void doCall(
      HealthCheckResultBuilder builder, Map<String, Object> options) {
    builder.up();
    builder.detail("bell", silent ? "polling" : "ringing");
    builder.detail("lastHeard", heardAt.equals(Instant.EPOCH) ? "never" : heardAt.toString());
  }

  private static long secondsSince(long nanos) {
    return Duration.ofNanos(System.nanoTime() - nanos).toSeconds();
  }
}
