package io.caravan;

import static java.util.stream.Collectors.joining;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.camel.main.Main;
import org.apache.camel.main.SimpleMainShutdownStrategy;

/**
 * A central, clients, and a hub between them, for a test: real databases, and the files in {@code
 * routes/} and {@code sql/}. Clients are added as a user adds them: a copy of a client's file.
 */
public final class Caravan implements AutoCloseable {
  private static final Path WORK = Path.of("target", "caravan");
  // So that a test waits for nothing but what it tests.
  private static final Map<String, String> QUICK =
      Map.of(
          "caravan.tick", "1000",
          "caravan.clients.look", "100",
          "camel.component.seda.defaultPollTimeout", "50",
          "camel.component.quartz.interruptJobsOnShutdown", "true");

  private final Database central;
  private final Map<String, Database> clients = new LinkedHashMap<>();
  private final Path routes;
  private final Properties settings = new Properties();
  private final List<HubProcess> processes = new ArrayList<>();
  private Main hub;

  /** A central without sources and without clients. */
  public Caravan() {
    this(Postgres.shared());
  }

  /** The same, with central on a server of its own. */
  public Caravan(Postgres centralServer) {
    central = centralServer.createCentral();
    set("central.url", central.url());
    QUICK.forEach(this::set);
    try {
      routes = Files.createTempDirectory(Files.createDirectories(WORK), "routes");
      copy(Path.of("routes"), routes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Takes back what the fixture has set to make tests quick: the hub runs as users get it. */
  public Caravan asShipped() {
    QUICK.keySet().forEach(settings::remove);
    return this;
  }

  /** Overrides a setting of the hub; takes effect when it is started. */
  public Caravan set(String name, String value) {
    settings.setProperty(name, value);
    return this;
  }

  /**
   * Adds a client with a database of its own.
   *
   * @param name of the client
   * @param ddl makes its tables
   * @param mapping as JSON or YAML
   */
  public Caravan client(String name, String ddl, String mapping) {
    return client(Postgres.shared(), name, ddl, mapping);
  }

  /** The same, with the client on a server of its own. */
  public Caravan client(Postgres clientServer, String name, String ddl, String mapping) {
    Database database = clientServer.createDatabase(name);
    database.makeTables();
    database.execute(ddl);
    return client(database, name, mapping);
  }

  /** The same, in a database that has all it needs, and in which there may be other clients. */
  public Caravan client(Database database, String name, String mapping) {
    set(name + ".url", database.url());
    clients.put(name, database);
    map(name, mapping);
    return this;
  }

  /** Writes a client's file with this mapping; a running hub takes it up within a second. */
  public void map(String name, String mapping) {
    String blog = read(Path.of("routes/clients/blog.camel.yaml"));
    int from = blog.indexOf("- source: ");
    int to = blog.indexOf("        - to: ");
    String indented = mapping.strip().replace("\n", "\n" + " ".repeat(18));
    String text = mapping.startsWith("[") ? mapping.replace("\n", " ") : indented;
    String file = blog.substring(0, from) + text + "\n" + blog.substring(to);
    write(routes.resolve("clients").resolve(name + ".camel.yaml"), file.replace("blog", name));
  }

  /** Deletes a client's file. */
  public void delete(String client) {
    try {
      Files.delete(routes.resolve("clients").resolve(client + ".camel.yaml"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Replaces a text in a client's file. */
  public Caravan edit(String client, String text, String by) {
    Path file = routes.resolve("clients").resolve(client + ".camel.yaml");
    write(file, read(file).replace(text, by));
    return this;
  }

  /** Starts the hub in this JVM. */
  public Caravan start() {
    hub = Hub.camel();
    // The usual one leaves a shutdown hook that keeps the hub in memory until the JVM ends.
    hub.setShutdownStrategy(new SimpleMainShutdownStrategy());
    hub.setPropertyPlaceholderLocations("file:application.properties");
    settings.forEach((name, value) -> hub.addOverrideProperty((String) name, (String) value));
    hub.addOverrideProperty(
        "camel.main.routesIncludePattern", "file:%s/*.camel.yaml".formatted(routes));
    hub.addOverrideProperty("caravan.clients", "file:%s/clients/*.camel.yaml".formatted(routes));
    hub.addOverrideProperty(
        "camel.component.kamelet.location", "file:" + routes.resolve("kamelets"));
    hub.start();
    return this;
  }

  /** Stops the hub that runs in this JVM. */
  public void stop() {
    if (hub != null) {
      hub.stop();
      hub = null;
    }
  }

  /**
   * Starts a hub as a process of its own, one more each time. It has the settings that were made
   * until now.
   *
   * @param jvmOptions for instance {@code -Xmx256m}
   */
  public HubProcess startProcess(String... jvmOptions) {
    try {
      Path directory = Files.createTempDirectory(WORK, "hub").toAbsolutePath();
      copy(routes, directory.resolve("routes"));
      String overrides =
          settings.entrySet().stream()
              .map(setting -> "\n" + setting.getKey() + " = " + setting.getValue())
              .collect(joining());
      write(
          directory.resolve("application.properties"),
          read(Path.of("application.properties")) + overrides);
      HubProcess process = new HubProcess(directory, List.of(jvmOptions));
      processes.add(process);
      return process;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The central database. */
  public Database central() {
    return central;
  }

  /** The database of a client. */
  public Database database(String client) {
    return clients.get(client);
  }

  /** The Camel of the hub that runs in this JVM. */
  public Main hub() {
    return hub;
  }

  /**
   * Waits until a query at a client returns the same rows as one in central, which means that it is
   * in step.
   */
  public void awaitEqual(String centralQuery, String client, String clientQuery) {
    await()
        .atMost(Duration.ofMinutes(2))
        .pollInterval(Duration.ofMillis(20))
        .untilAsserted(
            () ->
                org.assertj.core.api.Assertions.assertThat(database(client).query(clientQuery))
                    .isEqualTo(central.query(centralQuery)));
  }

  /** Stops all hubs. The databases are dropped when the test's class has ended. */
  @Override
  public void close() {
    stop();
    processes.forEach(HubProcess::kill);
  }

  /** Copies routes, but not the project's clients. */
  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Path target = to.resolve(from.relativize(file));
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else if (!file.startsWith("routes/clients")) {
          Files.copy(file, target);
        }
      }
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void write(Path file, String text) {
    try {
      Files.writeString(file, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
