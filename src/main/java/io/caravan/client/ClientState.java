package io.caravan.client;

import io.caravan.Backoff;
import io.caravan.News;
import io.caravan.jdbc.Cause;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * How one client is, and whether it rests. Its pump reports in one thread; others ask. A change of
 * it is a line in the log {@code caravan.<client>}.
 */
final class ClientState {
  private static final Duration SHORTEST_PAUSE = Duration.ofMillis(200);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);
  // Retries sooner when central was the cause, because all clients need it.
  private static final Duration LONGEST_PAUSE_FOR_CENTRAL = Duration.ofSeconds(2);
  private static final Duration PAUSE_FOR_ANOTHER_HUB = Duration.ofSeconds(5);
  private static final Duration LONGEST_RUN = Duration.ofSeconds(30);
  private static final String LIVE = "live";
  private static final String STANDING_BY = "standing by";

  private final Logger log;
  private final News news = new News();
  private final Backoff backoff = new Backoff(SHORTEST_PAUSE);
  private String state = "starting";
  private String why = "";
  private Instant since = Instant.now();
  private boolean connected;
  private boolean resting;
  private long restsUntil;
  private boolean isAtWork;
  private boolean isRunning;
  private long runsSince;
  private long hadAll = System.nanoTime();

  ClientState(String client) {
    log = LoggerFactory.getLogger("caravan." + client);
  }

  /** Its pump has begun to work. */
  synchronized void begins() {
    if (state.equals(LIVE) && !isAtWork) {
      hadAll = System.nanoTime();
    }
    isAtWork = true;
    isRunning = true;
    runsSince = System.nanoTime();
  }

  /** Its pump has ended. */
  synchronized void ends() {
    isRunning = false;
  }

  /** Whether its pump runs, and has begun not long ago: one that was cut off does not say so. */
  synchronized boolean isRunning() {
    return isRunning && System.nanoTime() - runsSince < LONGEST_RUN.toNanos();
  }

  /** Whether its pump has ended, and may begin at any time. */
  synchronized boolean isToBeWoken() {
    return !isRunning() && !isResting();
  }

  /** Whether it is to be left alone for now. */
  synchronized boolean isResting() {
    return resting && System.nanoTime() - restsUntil < 0;
  }

  /** Whether its rest is over, and its pump has not run since. */
  synchronized boolean isDue() {
    return resting && !isResting();
  }

  /** A page was applied, or there was none. */
  synchronized void progressed(boolean isBehind) {
    backoff.reset();
    connected = true;
    resting = false;
    if (!isBehind) {
      isAtWork = false;
      hadAll = System.nanoTime();
    }
    become(isBehind ? "catching up" : LIVE, "");
  }

  /** Another hub serves it. */
  synchronized void standBy() {
    backoff.reset();
    connected = true;
    rest(PAUSE_FOR_ANOTHER_HUB.toNanos());
    become(STANDING_BY, "another hub serves it");
  }

  /**
   * Its pump has failed: it rests, each time for longer.
   *
   * @param atCentral whether that was central's doing
   */
  synchronized void failed(Cause cause, boolean atCentral) {
    connected = atCentral || !cause.isOfTheConnection();
    rest(backoff.failed(atCentral ? LONGEST_PAUSE_FOR_CENTRAL : LONGEST_PAUSE));
    become(
        cause.isLasting() ? "paused" : "waiting", (atCentral ? "central: " : "") + cause.message());
  }

  /** Its state in a word or two. */
  synchronized String state() {
    return state;
  }

  /**
   * For how long it has not had all that there was, in seconds, if there was anything: nobody knows
   * while it cannot be asked. NaN: another hub knows.
   */
  synchronized double lagSeconds() {
    if (state.equals(STANDING_BY)) {
      return Double.NaN;
    }
    boolean hasAll = state.equals(LIVE) && !isAtWork;
    return hasAll ? 0 : (System.nanoTime() - hadAll) / 1e9;
  }

  /** Its state, why and since when, and whether its connection works. */
  synchronized Map<String, Object> status() {
    return Map.of(
        "state",
        state,
        "why",
        why,
        "since",
        since.toString(),
        "failures",
        backoff.failures(),
        "connected",
        connected,
        "flowing",
        connected && backoff.failures() == 0);
  }

  private void rest(long nanos) {
    resting = true;
    restsUntil = System.nanoTime() + nanos;
  }

  private void become(String state, String why) {
    boolean isChanged = !state.equals(this.state);
    if (isChanged) {
      since = Instant.now();
    }
    if (isChanged && state.equals(LIVE)) {
      log.info(LIVE);
      news.areOver();
    }
    if (!why.isEmpty() && news.isNew(why)) {
      log.atLevel(backoff.failures() > 0 ? Level.WARN : Level.INFO).log("{}: {}", state, why);
    }
    this.state = state;
    this.why = why;
  }
}
