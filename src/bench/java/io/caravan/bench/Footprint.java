package io.caravan.bench;

import static org.awaitility.Awaitility.await;

import io.caravan.HubProcess;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** How soon the hub is ready, what it takes of its machine, and how often it asks central. */
final class Footprint implements Section {
  private static final int CLIENTS = 3;
  private static final Duration IDLE = Duration.ofSeconds(30);
  // A session reports what it has done when it has rested for ten seconds.
  private static final Duration UNTIL_COUNTED = Duration.ofSeconds(12);

  @Override
  public void run(Stage stage, Options options, Report report) {
    Report.Case size = report.begin("size", "a hub with 3 clients", "");
    CaravanHub caravan = new CaravanHub(stage, CLIENTS).start();
    Waiting.untilInStep(caravan);
    Turns.warmUpAnew(caravan, stage.rows());
    size(stage, caravan.hub(), size);
    size.print();
    questions(stage, caravan, options, report);
    // Last, for the first start after the clients were loaded takes longer.
    Report.Case start = report.begin("start", "a hub with 3 clients that are loaded", "");
    for (int turn = 0; turn < options.turns(); turn++) {
      start(stage, caravan, start);
    }
    start.print();
    caravan.close();
  }

  private static void start(Stage stage, CaravanHub caravan, Report.Case report) {
    caravan.leave();
    long[] began = new long[1];
    List<Double> ready = new ArrayList<>();
    Delivery first =
        Delivery.of(
            stage,
            caravan,
            1,
            1,
            () -> {
              caravan.central().execute("update users set name = random()::text where id = 1");
              began[0] = ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
              HubProcess hub = caravan.launch();
              CompletableFuture<Double> healthy =
                  CompletableFuture.supplyAsync(
                      () -> {
                        awaitHealthy(caravan.healthPort());
                        return secondsSince(began[0]);
                      });
              hub.awaitStarted();
              ready.add(secondsSince(began[0]));
              ready.add(healthy.join());
            });
    report.add("caravan", "s until the routes run", ready.get(0));
    report.add("caravan", "s until it says that it is healthy", ready.get(1));
    report.add(
        "caravan", "s until the first change is applied", (first.lastInClients() - began[0]) / 1e6);
  }

  /** What it takes when it has worked for a while and rests. */
  static void size(Stage stage, HubProcess hub, Report.Case report) {
    long pid = hub.pid();
    report.add("caravan", "MiB heap in use after a collection", Processes.heapMebibytes(pid));
    report.add("caravan", "MiB resident", Processes.status(pid, "VmRSS") / 1024.0);
    report.add("caravan", "threads", (double) Processes.status(pid, "Threads"));
    report.add("caravan", "connections", (double) stage.connectionsOfTheHub());
  }

  /** How many transactions central has besides those of the writers. */
  private static void questions(Stage stage, CaravanHub caravan, Options options, Report report) {
    Report.Case asked =
        report.begin("questions", "transactions in central besides the writers', 3 clients", "");
    rest(UNTIL_COUNTED);
    Usage idle = new Usage(caravan);
    rest(IDLE);
    idle = idle.since(caravan);
    double restless = idle.transactions / idle.seconds;
    asked.add("caravan", "a second, when nothing changes", restless);
    asked.add(
        "caravan", "% of a core for the hub, when nothing changes", 100 * idle.cpu / idle.seconds);
    for (int rate : options.rates()) {
      Usage used = new Usage(caravan);
      Delivery delivery = Latency.atRate(stage, options, caravan, caravan.clients(), rate);
      rest(UNTIL_COUNTED);
      used = used.since(caravan);
      double seconds = delivery.seconds();
      double more = used.transactions - delivery.changes() - restless * (used.seconds - seconds);
      double cpu = used.cpu - idle.cpu * (used.seconds - seconds) / idle.seconds;
      asked.add("caravan", "a second, at %,d changes/s".formatted(rate), more / seconds);
      asked.add(
          "caravan",
          "%% of a core for the hub, at %,d changes/s".formatted(rate),
          100 * cpu / seconds);
    }
    asked.print();
  }

  /** What was counted until now, or between two times. */
  private record Usage(double seconds, double transactions, double cpu) {
    Usage(CaravanHub caravan) {
      this(
          System.nanoTime() / 1e9,
          Double.parseDouble(
              caravan
                  .central()
                  .value(
                      "select xact_commit from pg_stat_database where datname = current_database()")),
          Processes.cpuSeconds(caravan.hub().pid()));
    }

    Usage since(CaravanHub caravan) {
      Usage now = new Usage(caravan);
      return new Usage(now.seconds - seconds, now.transactions - transactions, now.cpu - cpu);
    }
  }

  private static void awaitHealthy(int port) {
    HttpRequest question =
        HttpRequest.newBuilder(URI.create("http://localhost:" + port + "/observe/health")).build();
    HttpClient http = HttpClient.newHttpClient();
    await()
        .ignoreExceptions()
        .atMost(Duration.ofMinutes(1))
        .pollInterval(Duration.ofMillis(50))
        .until(() -> http.send(question, HttpResponse.BodyHandlers.ofString()).statusCode() == 200);
  }

  private static double secondsSince(long micros) {
    return (ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now()) - micros) / 1e6;
  }

  /** Lets a hub alone for a while. */
  static void rest(Duration time) {
    await().pollDelay(time).atMost(time.multipliedBy(2)).until(() -> true);
  }
}
