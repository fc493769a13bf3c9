package io.caravan.demo;

import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.camel.main.Main;

/**
 * Shows Caravan at work: an embedded PostgreSQL with a central and the three clients of {@code
 * routes/clients/}, and the hub between them. Each line of standard input is run as SQL in central.
 */
public final class Demo {
  private static final Path TABLES = Path.of("docker/demo");

  private final Postgres server = new Postgres(Map.of());
  private final Map<String, Database> databases = new LinkedHashMap<>();
  private final Main hub = new Main();

  private Demo() {}

  /**
   * Runs until it is interrupted.
   *
   * @param args none
   * @throws Exception if a file of the demo cannot be read
   */
  public static void main(String[] args) throws Exception {
    System.setProperty("log4j2.configurationFile", "src/test/resources/demo/log4j2.properties");
    Demo demo = new Demo();
    Runtime.getRuntime().addShutdownHook(new Thread(demo::stop, "demo-stop"));
    demo.start();
    demo.explain();
    demo.runWhatIsTyped();
    new CountDownLatch(1).await();
  }

  private void start() throws IOException {
    makeDatabase("central").install(Path.of("sql/central"));
    makeDatabase("blog");
    makeDatabase("shop");
    makeDatabase("forum");
    for (String name : databases.keySet()) {
      databases.get(name).execute(Files.readString(TABLES.resolve(name + ".sql")));
    }
    hub.setPropertyPlaceholderLocations("file:application.properties");
    databases.forEach((name, database) -> hub.addOverrideProperty(name + ".url", database.url()));
    hub.start();
  }

  private Database makeDatabase(String name) {
    Database database = server.createDatabaseNamed(name);
    databases.put(name, database);
    return database;
  }

  private void explain() {
    System.out.println();
    databases.forEach(
        (name, database) ->
            System.out.printf(
                "%-8s psql postgresql://postgres@localhost:%d/%s%n",
                name, database.port(), database.name()));
    System.out.print(
        """

        A line that you type here runs in central. Try
          update users set email = 'ada@example.org' where id = 1;
          delete from users where id = 2;
          update users set last_login = now();
        and see in which clients it arrives. The last one changes nothing that they have. End with Ctrl-C.

        """);
  }

  private void runWhatIsTyped() throws IOException {
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, Charset.defaultCharset()));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (!line.isBlank()) {
        run(line);
      }
    }
  }

  private void run(String sql) {
    try {
      databases.get("central").execute(sql);
    } catch (IllegalStateException e) {
      System.out.println(e.getMessage());
    }
  }

  private void stop() {
    hub.stop();
    server.close();
  }
}
