package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;
import org.apache.commons.io.FileUtils;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;

/**
 * {@code camel run --dev}, on the project's own folder as it is after a build, and the databases of
 * the demo.
 */
@Tag("slow")
class JBangTest {
  private static final int LAST_LINES = 60;

  /** Of what went wrong in another process, its log tells more than the assertion. */
  @RegisterExtension
  final TestExecutionExceptionHandler withLog =
      (context, error) -> {
        List<String> lines = log().lines().toList();
        String last =
            String.join("\n", lines.subList(Math.max(0, lines.size() - LAST_LINES), lines.size()));
        throw new AssertionError(error.getMessage() + "\nCamel said last:\n" + last, error);
      };

  private final Map<String, Database> databases = new LinkedHashMap<>();
  private Path project;
  private Path log;
  private Process camel;

  @BeforeEach
  void aProjectFolder() throws IOException {
    project = Files.createTempDirectory(Path.of("target").toAbsolutePath(), "jbang");
    FileUtils.copyDirectoryToDirectory(Path.of("routes").toFile(), project.toFile());
    log = Files.createFile(project.resolve("camel.log"));
    Path jar = Files.createDirectories(project.resolve("target")).resolve("caravan.jar");
    ToolProvider.findFirst("jar")
        .orElseThrow()
        .run(System.out, System.err, "cf", jar.toString(), "-C", "target/classes", ".");
    Files.copy(
        Path.of("application-dev.properties"), project.resolve("application-dev.properties"));
    StringBuilder settings = new StringBuilder(Files.readString(Path.of("application.properties")));
    for (String name : new String[] {"central", "blog", "shop", "forum"}) {
      Database database = Postgres.shared().createDatabase(name);
      if (name.equals("central")) {
        database.install(Path.of("sql/central"));
      }
      database.execute(Files.readString(Path.of("docker/demo", name + ".sql")));
      databases.put(name, database);
      settings.append(name).append(".url = ").append(database.url()).append('\n');
    }
    Files.writeString(project.resolve("application.properties"), settings);
  }

  @AfterEach
  void stop() {
    if (camel != null) {
      camel.destroy();
      await().until(() -> !camel.isAlive());
    }
  }

  @Test
  void camelRunTakesUpClientsThatAreAddedMendedAndRemoved() throws IOException {
    Path clients = project.resolve("routes/clients");
    String shop = Files.readString(clients.resolve("shop.camel.yaml"));
    Files.writeString(clients.resolve("shop.camel.yaml"), shop.replace("- route:", "- {route:"));
    Files.move(clients.resolve("forum.camel.yaml"), project.resolve("forum.camel.yaml"));

    run("--dev");

    awaitLong().untilAsserted(() -> assertThat(count("blog", "members")).isEqualTo("1001"));
    assertThat(count("shop", "customer")).isEqualTo("0");
    assertThat(log()).contains("not loaded: ", "shop.camel.yaml: ");

    Files.writeString(clients.resolve("shop.camel.yaml"), shop);
    Files.move(project.resolve("forum.camel.yaml"), clients.resolve("forum.camel.yaml"));

    awaitLong().untilAsserted(() -> assertThat(count("shop", "customer")).isEqualTo("1000"));
    awaitLong()
        .untilAsserted(
            () ->
                assertThat(databases.get("forum").value("select count(*) from profiles"))
                    .isEqualTo("1000"));

    Files.delete(clients.resolve("blog.camel.yaml"));

    awaitLong().untilAsserted(() -> assertThat(log()).contains("blog.camel.yaml: gone"));
    databases.get("central").execute("update users set email = 'new@example.org' where id = 42");
    awaitLong()
        .untilAsserted(
            () ->
                assertThat(
                        databases
                            .get("shop")
                            .value("select email from customer where account_id = 42"))
                    .isEqualTo("new@example.org"));
    assertThat(blog("mail")).isNotEqualTo("new@example.org");
  }

  @Test
  void camelRunKeepsTheClientsInStepAndTakesUpWhatIsEdited() throws IOException {
    run("--dev");
    awaitLong().untilAsserted(() -> assertThat(count("blog", "members")).isEqualTo("1001"));

    databases.get("central").execute("update users set email = 'new@example.org' where id = 42");

    awaitLong().untilAsserted(() -> assertThat(blog("mail")).isEqualTo("new@example.org"));

    edit("clients/blog.camel.yaml", "nickname: name", "nickname: upper(name)");

    awaitLong().untilAsserted(() -> assertThat(blog("nickname")).isEqualTo("ADA SMITH42"));

    edit("retry.camel.yaml", "      steps:\n", "      steps:\n        - log: edited\n");

    awaitLong().untilAsserted(() -> assertThat(log()).contains(" edited"));
    databases.get("central").execute("update users set email = 'again@example.org' where id = 42");
    awaitLong().untilAsserted(() -> assertThat(blog("mail")).isEqualTo("again@example.org"));
    // Only the edited route makes Camel load all of them again.
    assertThat(log()).containsOnlyOnce("Routes reloaded summary");
  }

  private void edit(String file, String old, String edited) throws IOException {
    Path route = project.resolve("routes").resolve(file);
    String text = Files.readString(route);
    assertThat(text).contains(old);
    // A file that is written in place changes twice: it is emptied, then filled. Camel may see
    // both.
    Path whole = Files.writeString(project.resolve("edited"), text.replace(old, edited));
    Files.move(whole, route, StandardCopyOption.ATOMIC_MOVE);
  }

  @Test
  void camelRunNeedsNoCheckout() throws IOException {
    Path folder = Files.createTempDirectory(Path.of("target").toAbsolutePath(), "jbang");
    Files.copy(project.resolve("target/caravan.jar"), folder.resolve("caravan.jar"));
    Path clients = Files.createDirectory(folder.resolve("clients"));
    Files.copy(Path.of("routes/clients/blog.camel.yaml"), clients.resolve("blog.camel.yaml"));
    Files.writeString(
        folder.resolve("application.properties"),
        Files.readString(Path.of("target/classes/caravan/application.properties"))
            + Files.readString(Path.of("target/classes/caravan/jbang.properties"))
            + "central.url = %s\n".formatted(databases.get("central").url())
            + "blog.url = %s\n".formatted(databases.get("blog").url()));
    project = folder;

    run();

    awaitLong().untilAsserted(() -> assertThat(count("blog", "members")).isEqualTo("1001"));
    databases.get("central").execute("update users set email = 'new@example.org' where id = 42");
    awaitLong().untilAsserted(() -> assertThat(blog("mail")).isEqualTo("new@example.org"));
  }

  @Test
  void theJarHasTheSqlOfCentral() throws IOException {
    Path jar = project.resolve("target/caravan.jar");
    Path extracted = Files.createDirectory(project.resolve("sql-of-the-jar"));
    try (FileSystem files = FileSystems.newFileSystem(jar)) {
      Path central = files.getPath("caravan/sql/central");
      try (Stream<Path> scripts = Files.walk(central).filter(Files::isRegularFile)) {
        for (Path script : (Iterable<Path>) scripts::iterator) {
          Path to = extracted.resolve(central.relativize(script).toString());
          Files.createDirectories(to.getParent());
          Files.copy(script, to);
        }
      }
    }

    Database central = Postgres.shared().createDatabase("central");
    central.install(extracted);

    assertThat(central.query("table caravan.problems")).isEmpty();
  }

  private void run(String... options) {
    List<String> arguments = new ArrayList<>(List.of("run", "application.properties"));
    arguments.addAll(List.of(options));
    arguments.add("--logging-color=false");
    camel = JBang.start(project, log, arguments.toArray(String[]::new));
  }

  private String log() {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String blog(String column) {
    return databases.get("blog").value("select " + column + " from members where user_id = 42");
  }

  private String count(String client, String table) {
    return databases.get(client).value("select count(*) from " + table);
  }

  /**
   * Camel JBang resolves what it needs with Maven, which takes its time where nothing is cached.
   */
  private static ConditionFactory awaitLong() {
    return await().atMost(Duration.ofMinutes(5)).pollInterval(Duration.ofMillis(200));
  }
}
