package io.caravan.bench;

import java.util.List;

/** What central has to do for a change that goes to one client, and for one that goes to many. */
final class SharedReads implements Section {
  private static final int WRITERS = 8;
  private static final int FEW = 1;
  private static final int MANY = 10;

  @Override
  public void run(Stage stage, Options options, Report report) {
    List<Contender> contenders =
        List.of(new CaravanHub(stage, FEW).start(), new CaravanHub(stage, MANY).start());
    Turns.warmUp(contenders, stage.rows());
    Report.Case shared = report.begin("shared", "central's work for a change", name(FEW));
    Turns.take(
        options.turns(),
        contenders,
        contender -> {
          for (int rate : options.rates()) {
            shared.add(
                name(contender.clients().size()),
                "µs of processor time at %,d changes/s".formatted(rate),
                micros(stage, options, contender, rate));
          }
        });
    shared.print();
    contenders.forEach(Contender::close);
  }

  private static String name(int clients) {
    return "for %d clients".formatted(clients);
  }

  private static double micros(Stage stage, Options options, Contender contender, int rate) {
    int count = (int) Math.min(stage.rows(), Math.max(1, rate * options.time().toMillis() / 1000));
    try (Writers writers =
        new Writers(contender.central(), WRITERS, stage.rows(), Writers.TRACKED)) {
      double before = Processes.cpuSeconds(stage.centralServer().pid());
      writers.writeAll(1, count, rate);
      Waiting.untilInStep(contender);
      return 1e6 * (Processes.cpuSeconds(stage.centralServer().pid()) - before) / count;
    }
  }
}
