package io.caravan.bench;

import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.Callable;

/** Waits for what is not measured: how long it took is read from the commit records afterwards. */
final class Waiting {
  private static final Duration LONGEST = Duration.ofMinutes(15);
  // Rarely enough to cost nothing: one row by its key.
  private static final Duration PAUSE = Duration.ofMillis(200);

  private static final String MARK =
      "select coalesce((select name from users where id = 0), 'missing')";
  private static final String DIGEST =
      "select sum(hashtextextended(format('%s %s %s', id, name, email), 0)) from users";

  private Waiting() {}

  /** Waits until something is so. */
  static void until(String what, Callable<Boolean> condition) {
    await(what).atMost(LONGEST).pollDelay(Duration.ZERO).pollInterval(PAUSE).until(condition);
  }

  /** Waits until the clients have everything that is committed in central now. */
  static void untilInStep(Contender contender) {
    untilInStep(contender.central(), contender.clients());
  }

  /**
   * Marks the row with the key 0, which must not be written otherwise (Caravan brings a row as it
   * is when it is read, and so a mark before the changes that came before it), waits until the mark
   * is in all clients, and makes sure that everything else is there, too.
   */
  static void untilInStep(Database central, List<Database> clients) {
    String mark = UUID.randomUUID().toString();
    central.execute("update users set name = '%s' where id = 0".formatted(mark));
    for (Database client : clients) {
      until(client.name() + " is in step", () -> client.value(MARK).equals(mark));
    }
    String expected = clients.isEmpty() ? "" : central.value(DIGEST);
    for (Database client : clients) {
      if (!client.value(DIGEST).equals(expected)) {
        throw new IllegalStateException(client.name() + " is not equal to central");
      }
    }
  }
}
