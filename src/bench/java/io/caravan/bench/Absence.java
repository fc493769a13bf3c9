package io.caravan.bench;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;

/** How long it takes until the clients have what was changed while nothing was delivered. */
final class Absence implements Section {
  private static final int CLIENTS = 3;
  private static final int ROUNDS = 10;

  @Override
  public void run(Stage stage, Options options, Report report) {
    int keys = stage.rows() / ROUNDS;
    Report.Case absence =
        report.begin(
            "absence",
            "%,d changes of %,d keys, then started again".formatted(keys * ROUNDS, keys),
            "native");
    List<Contender> contenders =
        List.of(new NativeReplication(stage, CLIENTS), new CaravanHub(stage, CLIENTS).start());
    Turns.warmUp(contenders, stage.rows());
    Turns.take(
        options.turns(),
        contenders,
        contender ->
            absence.add(
                contender.name(),
                "s from the start until 3 clients have all",
                secondsUntilBack(stage, (Contender.Returning) contender, keys)));
    absence.print();
    contenders.forEach(Contender::close);
  }

  private static double secondsUntilBack(Stage stage, Contender.Returning contender, int keys) {
    long[] start = new long[1];
    Delivery delivery =
        Delivery.of(
            stage,
            contender,
            1,
            keys,
            () -> {
              contender.leave();
              try (Writers writers =
                  new Writers(contender.central(), 8, stage.rows(), Writers.TRACKED)) {
                for (int round = 0; round < ROUNDS; round++) {
                  writers.writeAll(1, keys);
                }
              }
              start[0] = ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
              contender.comeBack();
            });
    return (delivery.lastInClients() - start[0]) / 1e6;
  }
}
