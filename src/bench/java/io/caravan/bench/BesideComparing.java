package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * What the changes to three clients notice while one of the clients is compared with central:
 * because somebody has asked for it, or because Caravan does it by itself. And what a comparison
 * costs. {@code -Dbench.rows=1000000} makes it a large table.
 */
final class BesideComparing implements Section {
  private static final int CLIENTS = 3;
  private static final String REQUESTED = "request";
  private static final String BY_ITSELF = "verify";

  @Override
  public void run(Stage stage, Options options, Report report) {
    CaravanHub caravan =
        new CaravanHub(stage, CLIENTS).heap("-Xmx64m").set("caravan.reconcile.percent", "0");
    ExecutorService threads = Executors.newCachedThreadPool();
    try {
      InitialLoad.start(caravan);
      Turns.warmUpAnew(caravan, stage.rows());
      Reconciling.vacuum(caravan);
      compare(caravan, REQUESTED);
      cost(stage, options, caravan, report);
      live(stage, options, caravan, threads, report);
    } finally {
      threads.shutdownNow();
      caravan.close();
    }
  }

  private static void cost(Stage stage, Options options, CaravanHub caravan, Report report) {
    Report.Case cost =
        report.begin("cost", "a comparison of %,d equal rows".formatted(stage.rows()), REQUESTED);
    for (int turn = 0; turn < options.turns(); turn++) {
      for (String reason : new String[] {REQUESTED, BY_ITSELF}) {
        double central = Processes.cpuSeconds(stage.centralServer().pid());
        double client = Processes.cpuSeconds(stage.clientServer().pid());
        double hub = hub(caravan);
        cost.add(reason, "ms from its beginning to its end", compare(caravan, reason));
        cost.add(
            reason,
            "central's processor time, s",
            Processes.cpuSeconds(stage.centralServer().pid()) - central);
        cost.add(
            reason,
            "the client's processor time, s",
            Processes.cpuSeconds(stage.clientServer().pid()) - client);
        cost.add(reason, "the hub's processor time, s", hub(caravan) - hub);
      }
    }
    cost.print();
  }

  private static double hub(CaravanHub caravan) {
    return Processes.cpuSeconds(caravan.hub().pid());
  }

  private static void live(
      Stage stage, Options options, CaravanHub caravan, ExecutorService threads, Report report) {
    String rest = "nothing is compared";
    Report.Case live =
        report.begin(
            "live", "%d changes/s to %d clients".formatted(Reconciling.RATE, CLIENTS), rest);
    for (int turn = 0; turn < options.turns(); turn++) {
      Latency.atRate(stage, options, caravan, caravan.clients(), Reconciling.RATE);
      Reconciling.add(live, rest, stage, options, caravan);
      for (String reason : new String[] {REQUESTED, BY_ITSELF}) {
        Reconciling.beside(
            threads,
            () ->
                live.add(
                    reason + ", run after run",
                    "ms from the beginning to the end of a run",
                    compare(caravan, reason)),
            () -> Reconciling.add(live, reason + ", run after run", stage, options, caravan));
      }
    }
    live.print();
  }

  /** Has the first client compared for this reason; returns how many milliseconds that takes. */
  private static double compare(CaravanHub caravan, String reason) {
    Database central = caravan.central();
    String run =
        central.value(
            """
            insert into caravan.reconciliation (client, source, target, reason)
            values ('c1', 'public.users', 'public.users', '%s')
            returning id
            """
                .formatted(reason));
    central.execute("select caravan_internal.ask_hub('reconcile')");
    return Reconciling.awaitEnd(central, run);
  }
}
