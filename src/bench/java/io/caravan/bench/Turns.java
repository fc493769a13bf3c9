package io.caravan.bench;

import io.caravan.HubProcess;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** Lets contenders take turns, so that what disturbs the machine for a while disturbs all. */
final class Turns {
  private static final Duration WARM_UP = Duration.ofSeconds(2);
  private static final Duration FIRST_WARM_UP = Duration.ofSeconds(30);
  // A hub runs for weeks. In its first minutes, the compiler takes half a core.
  private static final Duration WARM_UP_OF_A_HUB = Duration.ofMinutes(2);

  private Turns() {}

  /** All that bring changes to a number of clients. */
  static List<Contender> contenders(Stage stage, Options options, int clients) {
    List<Contender> contenders = new ArrayList<>();
    contenders.add(new NativeReplication(stage, clients));
    if (options.withArticle()) {
      contenders.add(new ArticleScript(stage, clients));
    }
    contenders.add(new PollingScript(stage, clients));
    contenders.add(new CaravanHub(stage, clients).start());
    return contenders;
  }

  /**
   * Lets each contender be measured in each turn, each turn beginning with another one. Others rest
   * meanwhile.
   */
  static void take(int turns, List<Contender> contenders, Consumer<Contender> measurement) {
    List<Contender> order = new ArrayList<>(contenders);
    for (int turn = 0; turn < turns; turn++) {
      for (Contender contender : order) {
        contender.resume();
        Waiting.untilInStep(contender);
        measurement.accept(contender);
        contender.pause();
      }
      Collections.rotate(order, 1);
    }
  }

  /** Writes to each contender for a while, so that plans and code are compiled. */
  static void warmUp(List<Contender> contenders, int rows) {
    for (Contender contender : contenders) {
      // Article and native start anew with each turn; what they have compiled stays in the servers.
      contender.resume();
      Waiting.untilInStep(contender);
      warmUpAnew(contender, rows);
      contender.pause();
    }
  }

  /** Writes for longer, to a contender that was started just now. */
  static void warmUpAnew(Contender contender, int rows) {
    warmUp(contender, rows, hubOf(contender).isPresent() ? WARM_UP_OF_A_HUB : FIRST_WARM_UP);
  }

  /** Writes for a while. */
  static void warmUp(Contender contender, int rows) {
    warmUp(contender, rows, WARM_UP);
  }

  private static void warmUp(Contender contender, int rows, Duration time) {
    int count = (int) Math.min(rows, 500 * time.toSeconds());
    try (Writers writers = new Writers(contender.central(), 2, rows, Writers.TRACKED)) {
      writers.writeAll(1, count, 500);
    }
    Waiting.untilInStep(contender);
  }

  /** The hub of Caravan, where it has one. */
  static Optional<HubProcess> hubOf(Contender contender) {
    return contender instanceof CaravanHub caravan
        ? Optional.ofNullable(caravan.hub())
        : Optional.empty();
  }
}
