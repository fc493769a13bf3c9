package io.caravan.bench;

import io.caravan.Postgres.Database;
import io.caravan.Wire;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * What it costs to compare a client with central and to repair it, beside the least that both
 * databases could do for it, and what the changes notice that come meanwhile. {@code
 * -Dbench.rows=1000000} makes it a large table.
 */
final class Reconciling implements Section {
  /** Changes a second. */
  static final int RATE = 200;

  private static final Duration FAR = Duration.ofMillis(100);
  private static final String BARE =
      "select count(*), sum(hashtextextended(concat_ws('|', id, name, email), 0)) from users";
  private static final String ONE_PROCESS = "set max_parallel_workers_per_gather = 0; ";

  @Override
  public void run(Stage stage, Options options, Report report) {
    CaravanHub caravan = new CaravanHub(stage, 1).heap("-Xmx64m");
    Database client = caravan.clients().get(0);
    client.execute("truncate users");
    ExecutorService threads = Executors.newCachedThreadPool();
    try (Wire wire = new Wire(client.port())) {
      caravan
          .set("c1.url", CaravanHub.urlOf(new Database(wire.port(), client.name())))
          .set("caravan.reconcile.percent", "0");
      InitialLoad.start(caravan);
      Turns.warmUpAnew(caravan, stage.rows());
      vacuum(caravan);
      compare(stage, options, caravan, threads, report);
      live(stage, options, caravan, threads, report);
      far(wire, options, caravan, report);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      threads.shutdownNow();
      caravan.close();
    }
  }

  private static void compare(
      Stage stage, Options options, CaravanHub caravan, ExecutorService threads, Report report) {
    String rows = "a client of %,d rows".formatted(stage.rows());
    String changing = rows + ", while %d are changed a second".formatted(RATE);
    Report.Case atRest = report.begin("compare", rows, "bare digests");
    Report.Case equal = report.begin("compare", changing, "bare digests");
    Report.Case differing = report.begin("compare and repair", changing, "nothing differs");
    reconcile(caravan);
    for (int turn = 0; turn < options.turns(); turn++) {
      compare(caravan, atRest);
      beside(
          threads,
          () -> change(stage, caravan),
          () -> {
            differing.add("nothing differs", "ms", compare(caravan, equal));
            spoil(caravan.clients().get(0), stage.rows());
            differing.add("1,000 differences", "ms", reconcile(caravan));
          });
      Waiting.untilInStep(caravan);
      vacuum(caravan);
    }
    List.of(atRest, equal, differing).forEach(Report.Case::print);
  }

  private static double compare(CaravanHub caravan, Report.Case report) {
    report.add("bare digests", "ms", 1000 * seconds(() -> bare(caravan, "")));
    report.add("… in one process a side", "ms", 1000 * seconds(() -> bare(caravan, ONE_PROCESS)));
    report.add("… one side after the other", "ms", 1000 * seconds(() -> bareInTurn(caravan)));
    double millis = reconcile(caravan);
    report.add("nothing differs", "ms", millis);
    return millis;
  }

  private static void live(
      Stage stage, Options options, CaravanHub caravan, ExecutorService threads, Report report) {
    Report.Case live =
        report.begin("live", "latency of %d changes/s".formatted(RATE), "nothing is compared");
    for (int turn = 0; turn < options.turns(); turn++) {
      Latency.atRate(stage, options, caravan, caravan.clients(), RATE);
      add(live, "nothing is compared", stage, options, caravan);
      beside(
          threads,
          () -> bare(caravan, ""),
          () -> add(live, "bare digests all the time", stage, options, caravan));
      beside(
          threads,
          () -> bare(caravan, ONE_PROCESS),
          () -> add(live, "… in one process a side", stage, options, caravan));
      beside(
          threads,
          () -> bareInTurn(caravan),
          () -> add(live, "… one side after the other", stage, options, caravan));
      beside(
          threads,
          () -> reconcile(caravan),
          () -> add(live, "comparisons all the time", stage, options, caravan));
    }
    live.print();
  }

  /** Adds how long changes take meanwhile. */
  static void add(Report.Case live, String when, Stage stage, Options options, CaravanHub caravan) {
    Sample millis = Latency.atRate(stage, options, caravan, caravan.clients(), RATE).millis();
    live.add(when, "p50, ms", millis.median())
        .add(when, "p95, ms", millis.percentile(95))
        .add(when, "p99, ms", millis.percentile(99));
  }

  private static void far(Wire wire, Options options, CaravanHub caravan, Report report) {
    Report.Case far = report.begin("far", "a client that is 100 ms away", "");
    for (int turn = 0; turn < options.turns(); turn++) {
      double near = reconcile(caravan);
      wire.delay(FAR.dividedBy(2));
      reconcile(caravan); // which may have to connect
      far.add("caravan", "round trips", (reconcile(caravan) - near) / FAR.toMillis());
      wire.delay(Duration.ZERO);
    }
    far.print();
  }

  /** How long a comparison takes, in milliseconds, by central's clock. */
  private static double reconcile(CaravanHub caravan) {
    return awaitEnd(caravan.central(), caravan.central().value("select caravan.reconcile('c1')"));
  }

  /** Waits for the end of a run, and returns how long it took, in milliseconds. */
  static double awaitEnd(Database central, String run) {
    String state = "select state from caravan.reconciliation where id = " + run;
    Waiting.until("it is compared", () -> !isUnderWay(central.value(state)));
    if (!central.value(state).equals("done")) {
      throw new IllegalStateException(
          central.value("select notes from caravan.reconciliation where id = " + run));
    }
    return Double.parseDouble(
        central.value(
            "select 1000 * extract(epoch from ended_at - started_at) from caravan.reconciliation where id = "
                + run));
  }

  private static boolean isUnderWay(String state) {
    return state.equals("requested") || state.equals("running");
  }

  /** 400 stale, 300 missing, 300 surplus rows, anywhere. */
  private static void spoil(Database client, int rows) {
    client.execute(
        """
        update users set email = email || ' '
        where id in (select distinct 1 + trunc(random() * %1$d)::int from generate_series(1, 400));
        delete from users
        where id in (select distinct 1 + trunc(random() * %1$d)::int from generate_series(1, 300));
        insert into users select %1$d + i, 'surplus', '' from generate_series(1, 300) as i;
        insert into caravan.replicated
        select target, jsonb_build_array(%1$d + i)::text
        from (select distinct target from caravan.replicated) as targets, generate_series(1, 300) as i;
        """
            .formatted(rows));
  }

  private static void bare(CaravanHub caravan, String setting) {
    CompletableFuture<?> there =
        CompletableFuture.runAsync(() -> caravan.clients().get(0).execute(setting + BARE));
    caravan.central().execute(setting + BARE);
    there.join();
  }

  private static void bareInTurn(CaravanHub caravan) {
    caravan.central().execute(ONE_PROCESS + BARE);
    caravan.clients().get(0).execute(ONE_PROCESS + BARE);
  }

  static void vacuum(CaravanHub caravan) {
    caravan.central().execute("vacuum analyze");
    caravan.clients().forEach(client -> client.execute("vacuum analyze"));
  }

  private static double seconds(Runnable work) {
    long start = System.nanoTime();
    work.run();
    return (System.nanoTime() - start) / 1e9;
  }

  /** Changes rows for a second. */
  private static void change(Stage stage, CaravanHub caravan) {
    try (Writers writers = new Writers(caravan.central(), 1, stage.rows(), Writers.TRACKED)) {
      writers.writeAll(
          1 + ThreadLocalRandom.current().nextInt(Math.max(1, stage.rows() - RATE)), RATE, RATE);
    }
  }

  /** Does one thing again and again while another is measured. */
  static void beside(ExecutorService threads, Runnable repeated, Runnable measured) {
    AtomicBoolean goesOn = new AtomicBoolean(true);
    Future<?> work =
        threads.submit(
            () -> {
              while (goesOn.get()) {
                repeated.run();
              }
            });
    try {
      measured.run();
    } finally {
      goesOn.set(false);
    }
    try {
      work.get();
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }
}
