package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** How long a change takes from its commit in central to the commits at the clients. */
final class Latency implements Section {
  private static final int WRITERS = 8;
  // Each measurement takes the rows that follow those of the one before.
  private static final AtomicInteger NEXT = new AtomicInteger();

  @Override
  public void run(Stage stage, Options options, Report report) {
    report.note(
        "Latency is read from the commit records of both servers, which have the same clock: from the time in"
            + " central's record to that in the client's. What a commit then waits for its disk to become visible is"
            + " in neither of the two; a session with synchronous_commit = off does not wait, and logical replication"
            + " applies with it off.");
    for (int clients : options.clients()) {
      List<Contender> contenders = Turns.contenders(stage, options, clients);
      Turns.warmUp(contenders, stage.rows());
      List<Report.Case> cases = new ArrayList<>();
      for (int rate : options.rates()) {
        cases.add(
            report.begin(
                "latency", "%,d changes/s to %d clients".formatted(rate, clients), "native"));
      }
      Turns.take(
          options.turns(),
          contenders,
          contender -> {
            Turns.warmUp(contender, stage.rows());
            for (int n = 0; n < options.rates().size(); n++) {
              add(
                  cases.get(n),
                  contender,
                  atRate(stage, options, contender, contender.clients(), options.rates().get(n)));
            }
          });
      cases.forEach(Report.Case::print);
      contenders.forEach(Contender::close);
    }
  }

  /** Lets writers write at a rate for some time. */
  static Delivery atRate(
      Stage stage, Options options, Contender contender, List<Database> clients, int rate) {
    int count = (int) Math.min(stage.rows(), Math.max(1, rate * options.time().toMillis() / 1000));
    int first = 1 + NEXT.getAndAdd(count) % Math.max(1, stage.rows() - count);
    return Delivery.of(
        stage,
        contender,
        clients,
        first,
        count,
        () -> {
          try (Writers writers =
              new Writers(contender.central(), WRITERS, stage.rows(), Writers.TRACKED)) {
            writers.writeAll(first, count, rate);
          }
        });
  }

  /** Adds what was measured. */
  static void add(Report.Case report, Contender contender, Delivery delivery) {
    Sample millis = delivery.millis();
    report
        .add(contender.name(), "p50, ms", millis.median())
        .add(contender.name(), "p95, ms", millis.percentile(95))
        .add(contender.name(), "p99, ms", millis.percentile(99))
        .add(contender.name(), "max, ms", millis.max());
  }
}
