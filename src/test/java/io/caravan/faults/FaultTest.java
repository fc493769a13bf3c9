package io.caravan.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Every fault once, under load: nothing is lost, nothing goes backwards, and it heals by itself.
 * For an hour of them see {@link Soak}. {@code -Dfaults.seed=42} chooses what a failure has
 * printed.
 */
@Tag("slow")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class FaultTest {
  private final long seed = Long.getLong("faults.seed", System.nanoTime());
  private FaultRun run;

  @BeforeAll
  void start() {
    System.out.println("FaultTest: -Dfaults.seed=" + seed);
    run = new FaultRun(seed, Duration.ofMillis(500), Duration.ofMillis(1500));
  }

  @ParameterizedTest
  @EnumSource
  void everyClientEqualsCentralAfter(Fault fault) throws Exception {
    assumeThat(run.outcomes())
        .as("no fault before this one has done harm")
        .allMatch(Outcome::isGood);

    assertThat(run.inject(fault)).matches(Outcome::isGood);
  }

  @AfterAll
  void stop() throws IOException {
    System.out.println(Outcome.table(run.outcomes()));
    Outcome.write(run.outcomes(), Path.of("target/faults.json"));
    run.close();
  }
}
