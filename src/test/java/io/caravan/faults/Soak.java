package io.caravan.faults;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * All faults, again and again in another order, for an hour: {@code mvn -Psoak}, or for {@code
 * -Dsoak.minutes=…}. It ends at the first loss, and writes {@code target/faults.json}, of which
 * {@code mvn -q -Pfigures} makes a table and a plot.
 */
class Soak {
  private final long seed = Long.getLong("faults.seed", System.nanoTime());
  private final Duration time = Duration.ofMinutes(Long.getLong("soak.minutes", 60));

  @Test
  @Timeout(value = 1, unit = TimeUnit.DAYS)
  void everyClientEqualsCentralAfterEachFault() throws Exception {
    System.out.println("Soak: -Dfaults.seed=" + seed);
    Random random = new Random(seed);
    long end = System.nanoTime() + time.toNanos();
    FaultRun run = new FaultRun(seed, Duration.ofSeconds(1), Duration.ofSeconds(3));
    try (run) {
      List<Fault> round = new ArrayList<>();
      while (System.nanoTime() < end) {
        if (round.isEmpty()) {
          round.addAll(List.of(Fault.values()));
          Collections.shuffle(round, random);
        }
        run.inject(round.remove(0));
      }
    } finally {
      System.out.println(Outcome.table(run.outcomes()));
      Outcome.write(run.outcomes(), Path.of("target/faults.json"));
    }
    assertThat(run.outcomes()).allMatch(Outcome::isGood);
  }
}
