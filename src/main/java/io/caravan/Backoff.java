package io.caravan;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * How long to wait before something that fails is tried again: twice as long each time, up to a
 * bound. Up to half of it is left to chance, lest all that failed at once come back at once.
 */
public final class Backoff {
  private static final int MOST_DOUBLINGS = 20;

  private final long shortestNanos;
  private int failures;

  /**
   * Nothing has failed yet.
   *
   * @param shortest how long to wait after the first failure
   */
  public Backoff(Duration shortest) {
    shortestNanos = shortest.toNanos();
  }

  /**
   * It has failed once more.
   *
   * @param longest how long to wait at most
   * @return how long to wait now, in nanoseconds
   */
  public long failed(Duration longest) {
    long doubled = shortestNanos << Math.min(failures, MOST_DOUBLINGS);
    failures++;
    long pause = Math.min(doubled, longest.toNanos());
    return ThreadLocalRandom.current().nextLong(pause / 2, pause + 1);
  }

  /** It has worked. */
  public void reset() {
    failures = 0;
  }

  /** How often it has failed since it last worked. */
  public int failures() {
    return failures;
  }
}
