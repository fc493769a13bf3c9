package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.ArrayList;
import java.util.List;

/**
 * Where the time of a change goes, from its commit in central to that at a client: how long it
 * waits until the hub looks, how long PostgreSQL is at work in Caravan's functions and for a page
 * (by its own count), and the rest, in which the hub works and all wait for a core.
 */
final class Profile implements Section {
  // A hub that looks less often is asleep most of the time, and rung for.
  private static final int LONGEST_LOOK_MILLIS = 40;

  @Override
  public void run(Stage stage, Options options, Report report) {
    for (int clients : options.clients()) {
      CaravanHub caravan = new CaravanHub(stage, clients);
      List<Database> databases = new ArrayList<>(caravan.clients());
      databases.add(caravan.central());
      for (Database database : databases) {
        database.execute("alter database %s set track_functions = 'pl'".formatted(database.name()));
      }
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
    Function news = Function.of(caravan.central(), "news");
    double between = 1000 * delivery.secondsInCentral() / news.calls;
    double wait = between > LONGEST_LOOK_MILLIS ? 0 : between / 2;
    double read = Function.await(caravan.central(), "read").millis;
    double apply = pageMillis(caravan.clients().get(0));
    double all = delivery.millis().mean();
    profile
        .add("until the hub looks", "ms", wait)
        .add("caravan.news", "ms", news.millis)
        .add("caravan.read", "ms", read)
        .add("a page at a client", "ms", apply)
        .add("the rest", "ms", all - wait - news.millis - read - apply)
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

  /**
   * What PostgreSQL counts. It lacks what a session has done in its last second: that matters to
   * the number of calls, by less the longer it is measured.
   *
   * @param millis of a call, on average
   */
  private record Function(long calls, double millis) {
    /** A session that does nothing tells after ten seconds what it has done. */
    static Function await(Database database, String name) {
      Waiting.until(name + " is counted", () -> of(database, name).calls > 0);
      return of(database, name);
    }

    static Function of(Database database, String name) {
      List<String> row =
          database
              .query(
                  "select coalesce(sum(calls), 0), coalesce(sum(total_time) / nullif(sum(calls), 0), 0)"
                      + " from pg_stat_user_functions where schemaname = 'caravan' and funcname = '%s'"
                          .formatted(name))
              .get(0);
      return new Function(Long.parseLong(row.get(0)), Double.parseDouble(row.get(1)));
    }
  }
}
