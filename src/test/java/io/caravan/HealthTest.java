package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What the hub answers over HTTP to those who watch it. */
@Tag("slow")
class HealthTest {
  private static final String MEMBERS = "create table members (id bigint primary key, name text)";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;

  private final Postgres centralServer = new Postgres(Map.of());
  private final Caravan caravan = new Caravan(centralServer);
  private final HttpClient http = HttpClient.newHttpClient();
  private int port;

  @BeforeEach
  void start() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            select caravan.track('users', '{name}');
            insert into users values (1, 'Ada'), (2, 'Bob');
            """);
    caravan
        .client("blog", MEMBERS, MAPPING)
        .client("shop", "", MAPPING)
        .set("caravan.heartbeat", "200")
        .set("camel.management.enabled", "true")
        .set("camel.metrics.enabled", "true")
        .set("camel.management.port", String.valueOf(port))
        .start();
  }

  @AfterEach
  void stop() {
    caravan.close();
    centralServer.close();
  }

  @Test
  void aHubIsUpThoughAClientIsPausedAndTellsHowEachStands() {
    await()
        .untilAsserted(
            () -> {
              assertThat(get("/observe/health").statusCode()).isEqualTo(200);
              assertThat(check("caravan-bell").at("/data/bell").asText()).isEqualTo("ringing");
              JsonNode clients = check("caravan-clients").path("data");
              assertThat(clients.at("/blog/state").asText()).isEqualTo("live");
              assertThat(clients.at("/blog/flowing").asBoolean()).isTrue();
              assertThat(clients.at("/shop/state").asText()).isEqualTo("paused");
              assertThat(clients.at("/shop/why").asText()).contains("no table public.members");
              assertThat(clients.at("/shop/connected").asBoolean()).isTrue();
              assertThat(clients.at("/shop/flowing").asBoolean()).isFalse();
            });
  }

  @Test
  void aHubIsDownWhileCentralIs() {
    await().untilAsserted(() -> assertThat(status()).isEqualTo(200));

    centralServer.stop();
    await().untilAsserted(() -> assertThat(status()).isEqualTo(503));
    centralServer.start();

    await().atMost(Duration.ofMinutes(2)).untilAsserted(() -> assertThat(status()).isEqualTo(200));
  }

  @Test
  void whatIsAppliedIsCountedForPrometheus() {
    await()
        .untilAsserted(
            () ->
                assertThat(get("/observe/metrics").body())
                    .containsPattern("caravan_pages_applied_total\\{.*client=\"blog\".*} 1.0")
                    .containsPattern("caravan_rows_written_total\\{.*client=\"blog\".*} 2.0")
                    .containsPattern("caravan_rows_removed_total\\{.*client=\"blog\".*} 0.0"));
  }

  private int status() {
    return get("/observe/health").statusCode();
  }

  private JsonNode check(String name) {
    try {
      for (JsonNode check :
          new ObjectMapper().readTree(get("/observe/health?data=true").body()).path("checks")) {
        if (check.path("name").asText().equals(name)) {
          return check;
        }
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    throw new AssertionError("no check " + name);
  }

  private HttpResponse<String> get(String path) {
    try {
      return http.send(
          HttpRequest.newBuilder(URI.create("http://localhost:" + port + path)).build(),
          BodyHandlers.ofString());
    } catch (IOException e) {
      throw new AssertionError(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }
}
