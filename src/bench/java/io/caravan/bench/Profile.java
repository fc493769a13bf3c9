package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.ArrayList;
import java.util.List;

/**
 * Where the time of a change goes, from its commit in central to that at a client: how long it
 * waits until the hub looks, how long the client's PostgreSQL is at work for a page (by its own
 * count), and the rest, in which central is read, the hub works and all wait for a core.
 */
final class Profile implements Section {
  // A hub that looks less often is rung for: 50 changes a second are 20 ms apart.
  private static final int LONGEST_LOOK_MILLIS = 15;

  @Override
  public void run(Stage stage, Options options, Report report) {
    for (int clients : options.clients()) {
      CaravanHub caravan = new CaravanHub(stage, clients);
      List<Database> databases = new ArrayList<>(caravan.clients());
      databases.add(caravan.central());
      caravan.start();
      Turns.warmUpAnew(caravan, stage.rows());
      for (int rate : options.rates()) {
        Report.Case profile =
            report.begin("profile", "%,d changes/s to %d clients".formatted(rate, clients), "");
        for (int turn = 0; turn < options.turns(); turn++) {
          databases.forEach(database -> database.execute("select pg_stat_reset()"));
          add(profile, caravan, Latency.atRate(stage, options, caravan, caravan.clients(), rate));
        }
        profile.print();
      }
      caravan.close();
    }
  }

  private static void add(Report.Case profile, CaravanHub caravan, Delivery delivery) {
    double between = 1000 * delivery.secondsInCentral() / reads(caravan.central());
    double wait = between > LONGEST_LOOK_MILLIS ? 0 : between / 2;
    double apply = pageMillis(caravan.clients().get(0));
    double all = delivery.millis().mean();
    profile
        .add("until the hub looks", "ms", wait)
        .add("a page at a client", "ms", apply)
        .add("the rest", "ms", all - wait - apply)
        .add("from commit to commit", "ms", all);
  }

  /** How long a client's sessions are at work for each page, which moves the cursor once. */
  private static double pageMillis(Database client) {
    String millis =
        """
        select coalesce(d.active_time / nullif(t.n_tup_upd, 0), 0)
        from pg_stat_database d, pg_stat_user_tables t
        where d.datname = current_database() and t.relid = 'caravan.cursor'::regclass
        """;
    Waiting.until("pages are counted", () -> Double.parseDouble(client.value(millis)) > 0);
    return Double.parseDouble(client.value(millis));
  }

  /** How often central was read: each query looks once which history it is. */
  private static double reads(Database central) {
    String scans =
        "select seq_scan + idx_scan from pg_stat_user_tables where relid = 'caravan_internal.history'::regclass";
    Waiting.until("reads are counted", () -> Double.parseDouble(central.value(scans)) > 0);
    return Double.parseDouble(central.value(scans));
  }
}
