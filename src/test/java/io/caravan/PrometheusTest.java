package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The rules for Prometheus and the dashboard for Grafana, with a real Prometheus and a real hub.
 */
@Tag("slow")
class PrometheusTest {
  private static final Path RULES = Path.of("docker/prometheus");
  private static final Path DASHBOARD = Path.of("docker/grafana/dashboards/caravan.json");
  private static final ObjectMapper JSON = new ObjectMapper();

  private final HttpClient http = HttpClient.newHttpClient();
  @TempDir private Path folder;
  private int port;

  @Test
  void theRulesAlertWhenTheyShouldAndNotBefore() {
    Tool promtool = Tool.needed("promtool", "prometheus");

    promtool.run("check", "rules", "--lint-fatal", RULES.resolve("caravan.rules.yaml").toString());
    promtool.run("test", "rules", RULES.resolve("caravan.rules.test.yaml").toString());
  }

  @Test
  void everyQueryOfTheDashboardAndOfTheRulesHasDataOfARealHub() throws Exception {
    Tool prometheus = Tool.needed("prometheus", "prometheus");
    int hub = freePort();
    port = freePort();
    try (Caravan caravan = new Caravan()) {
      caravan
          .central()
          .execute(
              """
              create table users (id int primary key, name text);
              select caravan.track('users', '{name}');
              insert into users values (1, 'Ada');
              """);
      caravan
          .client(
              "blog",
              "create table members (id bigint primary key, name text)",
              """
              [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
              """)
          .set("camel.management.enabled", "true")
          .set("camel.metrics.enabled", "true")
          .set("camel.management.port", "" + hub)
          .set("caravan.reconcile", "1000")
          .set("caravan.measure", "1000")
          .start();
      Process server = prometheus.start(Path.of("target/prometheus.log"), arguments(hub));
      try {
        await()
            .atMost(Duration.ofMinutes(2))
            .pollInterval(Duration.ofSeconds(1))
            .ignoreExceptions()
            .untilAsserted(
                () -> {
                  caravan.central().execute("update users set name = name || '!'");
                  for (String query : dashboard()) {
                    assertThat(answer("query?query=" + encoded(query)).at("/data/result"))
                        .as(query)
                        .isNotEmpty();
                  }
                  assertThat(answer("rules").at("/data/groups/0/rules"))
                      .isNotEmpty()
                      .allSatisfy(
                          rule ->
                              assertThat(rule.path("health").asText())
                                  .as(rule.toString())
                                  .isEqualTo("ok"));
                });
        assertThat(answer("alerts").at("/data/alerts")).isEmpty();
      } finally {
        server.destroy();
        server.onExit().join();
      }
    }
  }

  /** As docker/ has it, but of this hub, and more often. */
  private String[] arguments(int hub) throws IOException {
    String config =
        Files.readString(RULES.resolve("prometheus.yaml"))
            .replace("scrape_interval: 5s", "scrape_interval: 1s\n  evaluation_interval: 1s")
            .replaceAll("targets: .*", "targets: ['localhost:" + hub + "']")
            .replace("/run/secrets/prometheus", folder.resolve("password").toString());
    Files.writeString(folder.resolve("password"), "of nobody");
    Files.writeString(folder.resolve("prometheus.yaml"), config);
    Files.copy(RULES.resolve("caravan.rules.yaml"), folder.resolve("caravan.rules.yaml"));
    return new String[] {
      "--config.file=" + folder.resolve("prometheus.yaml"),
      "--storage.tsdb.path=" + folder.resolve("data"),
      "--web.listen-address=localhost:" + port
    };
  }

  private static List<String> dashboard() throws IOException {
    List<String> queries = new ArrayList<>();
    for (JsonNode panel : JSON.readTree(DASHBOARD.toFile()).path("panels")) {
      for (JsonNode target : panel.path("targets")) {
        queries.add(target.path("expr").asText());
      }
    }
    assertThat(queries).hasSizeGreaterThan(10).doesNotContain("");
    return queries;
  }

  private JsonNode answer(String question) throws IOException, InterruptedException {
    URI uri = URI.create("http://localhost:" + port + "/api/v1/" + question);
    return JSON.readTree(
        http.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()).body());
  }

  private static String encoded(String query) {
    return URLEncoder.encode(query, StandardCharsets.UTF_8);
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }
}
