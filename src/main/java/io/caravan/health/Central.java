package io.caravan.health;

import io.caravan.Fault;
import io.caravan.Shutdown;
import io.caravan.jdbc.Cause;
import io.caravan.jdbc.Pool;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.camel.ExchangeException;
import org.apache.camel.health.HealthCheckResultBuilder;
import org.apache.camel.impl.health.AbstractHealthCheck;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether central answers, by what became of the heartbeats. A hub whose central does not answer is
 * not healthy.
 */
public final class Central extends AbstractHealthCheck {
  private static final Logger LOG = LoggerFactory.getLogger("caravan.central");
  private static final int MISSES = 3;

  private static final String NOTHING_YET = "has not answered yet";

  private Duration patience = Duration.ofSeconds(6);
  private final List<Pool> pools = new ArrayList<>();
  private long answered = System.nanoTime();
  private long looked = answered;
  private long silentSince = answered;
  private String why = NOTHING_YET;

  /** A central that has not answered yet. */
  public Central() {
    super("caravan", "caravan-central");
  }

  /** How often central is asked, in milliseconds. */
  public void setHeartbeat(long millis) {
    patience = Duration.ofMillis(millis * MISSES);
  }

  /** The connections to it. */
  public List<Pool> getPools() {
    return pools;
  }

  /** It has answered just now. */
  public synchronized void answered() {
    answered = System.nanoTime();
    silentSince = answered;
    if (!why.isEmpty()) {
      LOG.info("answers");
      why = "";
    }
  }

  /**
   * Cuts the connections, if it has answered no heartbeat for as long as three take: nobody learns
   * by himself that a line has gone dead. To be called more often than that.
   */
  public void cutIfSilent() {
    if (isToBeCut(System.nanoTime())) {
      pools.forEach(Pool::cut);
    }
  }

  private synchronized boolean isToBeCut(long now) {
    // If nobody has looked for as long, it was this process that stood still.
    boolean stoodStill = now - looked > patience.toNanos();
    looked = now;
    boolean isSilent = !stoodStill && now - silentSince > patience.toNanos();
    if (stoodStill || isSilent) {
      silentSince = now;
    }
    if (isSilent && why.isEmpty() && !isStopping()) {
      why = "no answer for " + patience.toSeconds() + " s";
      LOG.warn("does not answer: its connections are cut, and made again");
    }
    return isSilent && !isStopping();
  }

  /** It could not be asked. */
  public synchronized void failed(@ExchangeException Exception error) {
    boolean isNews = why.isEmpty() || why.equals(NOTHING_YET);
    Cause cause = Cause.of(error, false);
    why = cause.message();
    if (isNews && !isStopping()) {
      LOG.warn(
          "{}: {}",
          cause.sqlState().equals(Fault.VERSION) ? "can't be used" : "does not answer",
          why);
    }
  }

  /** Whether it answers, as far as is known. */
  synchronized boolean isUp() {
    return whyDown().isEmpty();
  }

  /** Whether the hub stops. Then, failing is no news. */
  private boolean isStopping() {
    return Shutdown.hasBegun(getCamelContext());
  }

  @Override
  protected synchronized void doCall(
      HealthCheckResultBuilder builder, Map<String, Object> options) {
    String down = whyDown();
    if (down.isEmpty()) {
      builder.up();
    } else {
      builder.down().message(down);
    }
  }

  private String whyDown() {
    Duration silence = Duration.ofNanos(System.nanoTime() - answered);
    return why.isEmpty() && silence.compareTo(patience) > 0
        ? "no answer for " + silence.toSeconds() + " s"
        : why;
  }
}
