package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * How long changes of distinct rows took from their commits in central to the commits that brought
 * them to the clients. Each row changes once: then its {@code xmin} names the transaction.
 */
final class Delivery {
  private final CommitRecords inCentral;
  private final CommitRecords inClients;
  private final int changes;
  private final double[] millis;
  private long firstInCentral = Long.MAX_VALUE;
  private long lastInCentral;
  private long lastInClients;

  private Delivery(
      Stage stage,
      Database central,
      List<Database> clients,
      int first,
      int count,
      Runnable writing) {
    inCentral = stage.commitsInCentral();
    inClients = stage.commitsInClients();
    writing.run();
    Waiting.untilInStep(central, clients);

    Map<Long, Long> written = times(central, first, count, inCentral.read());
    for (long time : written.values()) {
      firstInCentral = Math.min(firstInCentral, time);
      lastInCentral = Math.max(lastInCentral, time);
    }
    changes = written.size();
    millis = new double[written.size() * clients.size()];
    Map<Long, Long> commits = inClients.read();
    int n = 0;
    for (Database client : clients) {
      for (Map.Entry<Long, Long> row : times(client, first, count, commits).entrySet()) {
        lastInClients = Math.max(lastInClients, row.getValue());
        millis[n++] = (row.getValue() - written.get(row.getKey())) / 1e3;
      }
    }
  }

  /**
   * Lets somebody write, and waits until it has arrived.
   *
   * @param first key of the rows that will be written
   * @param count of them
   */
  static Delivery of(Stage stage, Contender contender, int first, int count, Runnable writing) {
    return of(stage, contender, contender.clients(), first, count, writing);
  }

  /** The same, looking at some of the clients only. */
  static Delivery of(
      Stage stage,
      Contender contender,
      List<Database> clients,
      int first,
      int count,
      Runnable writing) {
    return new Delivery(stage, contender.central(), clients, first, count, writing);
  }

  /** How many rows were written. */
  int changes() {
    return changes;
  }

  /** From commit to commit, of all rows at all clients. */
  Sample millis() {
    return Sample.of(millis);
  }

  /** From the first commit in central to the last one. */
  double secondsInCentral() {
    return (lastInCentral - firstInCentral) / 1e6;
  }

  /** From the first commit in central to the last one at the clients. */
  double seconds() {
    return (lastInClients - firstInCentral) / 1e6;
  }

  /** When the last client had the last row, in microseconds since 1970. */
  long lastInClients() {
    return lastInClients;
  }

  /** Key to commit time of the rows. */
  private static Map<Long, Long> times(
      Database database, int first, int count, Map<Long, Long> commits) {
    Map<Long, Long> times = new HashMap<>();
    String rows = "select id, xmin from users where id >= %d and id < %d";
    for (List<String> row : database.query(rows.formatted(first, first + count))) {
      Long time = commits.get(Long.valueOf(row.get(1)));
      if (time == null) {
        throw new IllegalStateException(
            "row " + row.get(0) + " of " + database.name() + " was not written in this run");
      }
      times.put(Long.valueOf(row.get(0)), time);
    }
    return times;
  }
}
