package io.caravan.bench;

import io.caravan.Postgres.Database;
import io.caravan.Wire;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;

/** How long a change takes to a client to which each message takes a while, and to the others. */
final class FarClient implements Section {
  private static final int CLIENTS = 3;
  private static final Duration AWAY = Duration.ofMillis(10);

  @Override
  public void run(Stage stage, Options options, Report report) {
    CaravanHub caravan = new CaravanHub(stage, CLIENTS);
    Database far = caravan.clients().get(0);
    List<Database> near = caravan.clients().subList(1, CLIENTS);
    try (Wire wire = new Wire(far.port())) {
      wire.delay(AWAY);
      caravan.set("c1.url", CaravanHub.urlOf(new Database(wire.port(), far.name())));
      caravan.start();
      Waiting.untilInStep(caravan);
      Turns.warmUpAnew(caravan, stage.rows());
      for (int rate : options.rates()) {
        String what = "%,d changes/s to 3 clients, one of them %d ms away each way";
        Report.Case latency = report.begin("far", what.formatted(rate, AWAY.toMillis()), "near");
        for (int turn = 0; turn < options.turns(); turn++) {
          add(latency, "near", Latency.atRate(stage, options, caravan, near, rate));
          add(latency, "far", Latency.atRate(stage, options, caravan, List.of(far), rate));
        }
        latency.print();
      }
      caravan.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void add(Report.Case latency, String clients, Delivery delivery) {
    latency
        .add(clients, "p50, ms", delivery.millis().median())
        .add(clients, "p99, ms", delivery.millis().percentile(99));
  }
}
