package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.ArrayList;
import java.util.List;

/** What it takes in central to keep the change log small. */
final class Compacting implements Section {
  private static final int UPDATES = 2;

  @Override
  public void run(Stage stage, Options options, Report report) {
    CaravanHub caravan = new CaravanHub(stage, 0);
    Report.Case compacting =
        report.begin(
            "compact", "after %d updates of all %,d rows".formatted(UPDATES, stage.rows()), "");
    for (int turn = 0; turn < options.turns(); turn++) {
      for (int update = 0; update < UPDATES; update++) {
        caravan.central().execute("update users set name = '%d'".formatted(System.nanoTime()));
      }
      compact(caravan.central(), compacting);
    }
    compacting.print();
    caravan.close();
  }

  /** As the hub does: until there is nothing to do. */
  private static void compact(Database central, Report.Case report) {
    List<Double> calls = new ArrayList<>();
    long entries = 0;
    long removed;
    do {
      long start = System.nanoTime();
      removed = Long.parseLong(central.value("select caravan_internal.compact()"));
      calls.add((System.nanoTime() - start) / 1e6);
      entries += removed;
    } while (removed != 0);
    if (calls.size() > 2) {
      double all = calls.stream().mapToDouble(Double::doubleValue).sum();
      report
          .add("caravan", "µs for each entry that goes", 1e3 * all / entries)
          .add("caravan", "ms for the first call, which finds them", calls.get(0))
          .add(
              "caravan",
              "ms for each further batch",
              Sample.of(calls.subList(1, calls.size() - 1)).median());
    }
  }
}
