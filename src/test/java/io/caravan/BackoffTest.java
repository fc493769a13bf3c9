package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** How long the hub waits before it tries again. */
class BackoffTest {
  private static final Duration LONGEST = Duration.ofSeconds(30);

  private final Backoff backoff = new Backoff(Duration.ofMillis(200));

  @Test
  void thePauseDoublesUpToItsBound() {
    for (int millis = 200; millis < 30_000; millis *= 2) {
      assertThat(backoff.failed(LONGEST)).isBetween(millis * 500_000L, millis * 1_000_000L);
    }
    for (int i = 0; i < 100; i++) {
      assertThat(backoff.failed(LONGEST)).isBetween(15_000_000_000L, 30_000_000_000L);
    }
  }

  @Test
  void afterSuccessThePauseIsShortAgain() {
    backoff.failed(LONGEST);
    backoff.failed(LONGEST);

    backoff.reset();

    assertThat(backoff.failures()).isZero();
    assertThat(backoff.failed(LONGEST)).isBetween(100_000_000L, 200_000_000L);
    assertThat(backoff.failures()).isEqualTo(1);
  }

  @Test
  void partOfItIsLeftToChance() {
    Backoff other = new Backoff(Duration.ofMillis(200));
    long equal = 0;
    for (int i = 0; i < 20; i++) {
      equal += backoff.failed(LONGEST) == other.failed(LONGEST) ? 1 : 0;
    }
    assertThat(equal).isLessThan(5);
  }
}
