package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.caravan.Postgres.Database;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The image, with the databases, secrets and variables of {@code docker/compose.yaml}. */
@Tag("slow")
class ImageTest {
  private static final Path SCRIPTS = Path.of("docker/demo");

  private final Image image = new Image();
  private final Postgres server = new Postgres(Map.of());
  private final Map<String, Database> databases = new LinkedHashMap<>();
  @TempDir private Path secrets;

  @AfterEach
  void stop() {
    server.close();
    image.close();
  }

  @Test
  void aHubRunsAsNobodyOnAReadOnlyRootTellsItsHealthAndEndsQuickly() throws Exception {
    makeTheDemo();
    setAsComposeDoes();
    assertThat(image.config().path("User").asText()).isEqualTo("65532:65532");
    assertThat(image.config().at("/Healthcheck/Test").toString()).contains("healthy");
    assertThat(image.succeeds("healthy")).isFalse();

    Process hub = image.start();
    try {
      await()
          .atMost(Duration.ofMinutes(2))
          .failFast("the hub has ended, see target/image.log", () -> !hub.isAlive())
          .untilAsserted(() -> assertThat(mailOfTheFirst()).isNotNull());
      assertThat(image.succeeds("healthy", "ready")).isTrue();
      assertThat(image.succeeds("healthy", "live")).isTrue();

      databases.get("central").execute("update users set email = 'ada@new.example' where id = 1");

      await().untilAsserted(() -> assertThat(mailOfTheFirst()).isEqualTo("ada@new.example"));
    } finally {
      hub.destroy();
    }
    assertThat(hub.waitFor(20, TimeUnit.SECONDS)).as("ends on SIGTERM").isTrue();
    assertThat(Files.readString(Path.of("target/image.log")))
        .doesNotContain("Exception", "Read-only file system");
  }

  /** As the containers of compose.yaml do it, on one server. */
  private void makeTheDemo() throws Exception {
    Tool.needed("psql", "postgresql-client");
    Files.setPosixFilePermissions(secrets, PosixFilePermissions.fromString("rwxr-xr-x"));
    run("secrets.sh", Map.of());
    for (String name : new String[] {"central", "blog", "shop", "forum"}) {
      Database database = server.createDatabaseNamed(name);
      databases.put(name, database);
      run("init.sh", Map.of("POSTGRES_DB", name, "PGPORT", "" + database.port()));
    }
  }

  private void run(String script, Map<String, String> variables) throws Exception {
    ProcessBuilder process = new ProcessBuilder(SCRIPTS.resolve(script).toString());
    process.environment().putAll(variables);
    process.environment().put("SECRETS", secrets.toString());
    process.environment().put("CARAVAN", Path.of("").toAbsolutePath().toString());
    process.environment().put("POSTGRES_USER", "postgres");
    process.environment().put("PGHOST", "localhost");
    assertThat(process.inheritIO().start().waitFor()).as(script).isZero();
  }

  /** But its hosts are one, and the port for health is a free one. */
  private void setAsComposeDoes() throws IOException {
    JsonNode compose = new YAMLMapper().readTree(Path.of("docker/compose.yaml").toFile());
    int port = databases.get("central").port();
    compose
        .at("/x-hub/environment")
        .properties()
        .forEach(
            variable ->
                image.set(
                    variable.getKey(),
                    variable
                        .getValue()
                        .asText()
                        .replaceFirst("//[a-z]+:5432/", "//localhost:" + port + "/")));
    try (ServerSocket socket = new ServerSocket(0)) {
      image.set("CARAVAN_MANAGEMENT_PORT", "" + socket.getLocalPort());
    }
    image.mount(secrets, "/run/secrets");
    image.mount(Path.of("routes/clients"), "/caravan/routes/clients");
  }

  private String mailOfTheFirst() {
    return databases.get("blog").value("select max(mail) from members where user_id = 1");
  }
}
