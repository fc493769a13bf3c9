package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.io.IOException;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.postgresql.copy.CopyManager;
import org.postgresql.core.BaseConnection;

/**
 * How long an empty client takes to get all rows, beside {@code COPY} from one database into the
 * other. The hub has just been started. {@code -Dbench.rows=1000000} makes it a large table.
 */
final class InitialLoad implements Section {

  @Override
  public void run(Stage stage, Options options, Report report) {
    for (String rows : List.of("central", "shared")) {
      Report.Case load =
          report.begin(
              "load",
              "an empty client gets %,d rows, rows: %s".formatted(stage.rows(), rows),
              "COPY");
      for (int turn = 0; turn < options.turns(); turn++) {
        try (CaravanHub caravan = new CaravanHub(stage, 1, rows)) {
          Database client = caravan.clients().get(0);
          client.execute("create table copied (like users including all); truncate users");
          load.add("COPY", "s", seconds(() -> copy(caravan.central(), client)));
          caravan.start();
          load.add("caravan", "s", seconds(() -> awaitLoaded(client)));
          Waiting.untilInStep(caravan);
        }
      }
      load.print();
    }
  }

  /** Starts a hub, and waits until each client has got all rows. */
  static void start(CaravanHub caravan) {
    caravan.start();
    caravan.clients().forEach(InitialLoad::awaitLoaded);
  }

  private static void awaitLoaded(Database client) {
    String made = "select to_regclass('caravan.cursor') is not null";
    String loaded = "select count(*) from caravan.cursor where cursor -> 'filled' ? 'public.users'";
    Waiting.until("the hub has made its tables", () -> client.value(made).equals("t"));
    Waiting.until("the client is loaded", () -> client.value(loaded).equals("1"));
  }

  private static void copy(Database central, Database client) {
    try (Connection from = central.dataSource().getConnection();
        Connection to = client.dataSource().getConnection();
        PipedOutputStream out = new PipedOutputStream();
        PipedInputStream in = new PipedInputStream(out, 1 << 16)) {
      CompletableFuture<?> reading = CompletableFuture.runAsync(() -> copyOut(from, out));
      new CopyManager((BaseConnection) to).copyIn("copy copied (id, name, email) from stdin", in);
      reading.join();
    } catch (SQLException | IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void copyOut(Connection from, PipedOutputStream to) {
    try (to) {
      new CopyManager((BaseConnection) from).copyOut("copy users (id, name, email) to stdout", to);
    } catch (SQLException | IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static double seconds(Runnable work) {
    long start = System.nanoTime();
    work.run();
    return (System.nanoTime() - start) / 1e9;
  }
}
