package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A hub whose management port is taken says so in a line, and does not go on unseen. */
@Tag("slow")
class ManagementPortTest {
  private final Caravan caravan = new Caravan();

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aPortThatIsInUseEndsTheHubWithALineThatNamesTheSetting() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      HubProcess hub = start(taken.getLocalPort());

      await().atMost(Duration.ofMinutes(1)).until(() -> !hub.isAlive());

      assertThat(hub.output().lines().filter(line -> line.contains("ERROR")))
          .singleElement()
          .asString()
          .contains("port " + taken.getLocalPort() + " on localhost", "CARAVAN_MANAGEMENT_PORT");
      assertThat(hub.output()).doesNotContain("\tat ", "started in");
    }
  }

  @Test
  void aHubThatMayGoOnWithoutGoesOn() throws IOException {
    caravan.set("caravan.management.required", "false");
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      HubProcess hub = start(taken.getLocalPort()).awaitStarted();

      assertThat(hub.output().lines().filter(line -> line.contains("WARN")))
          .anyMatch(line -> line.contains("port " + taken.getLocalPort() + " on localhost"));
      assertThat(hub.output()).doesNotContain("\tat ");
    }
  }

  @Test
  void whereItListensIsToldAsItIs() throws IOException {
    int port = freePort();

    HubProcess hub = start(port).awaitStarted();

    assertThat(hub.output()).contains("http://localhost:" + port + "/observe/health");
    assertThat(hub.output()).doesNotContain("0.0.0.0");
  }

  @Test
  void aHubThatOthersCanReachWantsToKnowWhoMayAsk() throws IOException {
    caravan.set("camel.management.host", "0.0.0.0");

    HubProcess hub = start(freePort());

    await().atMost(Duration.ofMinutes(1)).until(() -> !hub.isAlive());
    assertThat(hub.output().lines().filter(line -> line.contains("ERROR")))
        .singleElement()
        .asString()
        .contains("CARAVAN_MANAGEMENT_USERS");
  }

  @Test
  void onlyThoseInTheFileOfUsersAreAnswered(@TempDir Path folder) throws Exception {
    Path users = Files.writeString(folder.resolve("users"), "user.prometheus = secret\n");
    int port = freePort();
    caravan
        .set("camel.management.host", "0.0.0.0")
        .set("caravan.management.users", users.toString());

    start(port).awaitStarted();

    for (String path : List.of("/observe/health", "/observe/health/live", "/observe/metrics")) {
      assertThat(status(port, path, null)).isEqualTo(401);
      assertThat(status(port, path, "prometheus:wrong")).isEqualTo(401);
      assertThat(status(port, path, "prometheus:secret")).isEqualTo(200);
    }
  }

  @Test
  void aFileOfUsersThatIsNotThereEndsTheHub() throws IOException {
    caravan.set("caravan.management.users", "no/such/file");

    HubProcess hub = start(freePort());

    await().atMost(Duration.ofMinutes(1)).until(() -> !hub.isAlive());
    assertThat(hub.output()).contains("The file no/such/file", "CARAVAN_MANAGEMENT_USERS");
  }

  private static int status(int port, String path, String user)
      throws IOException, InterruptedException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create("http://localhost:" + port + path));
    if (user != null) {
      request.header(
          "Authorization",
          "Basic " + Base64.getEncoder().encodeToString(user.getBytes(StandardCharsets.UTF_8)));
    }
    return HttpClient.newHttpClient()
        .send(request.build(), HttpResponse.BodyHandlers.discarding())
        .statusCode();
  }

  private static int freePort() throws IOException {
    try (ServerSocket free = new ServerSocket(0)) {
      return free.getLocalPort();
    }
  }

  private HubProcess start(int port) {
    caravan
        .client("blog", "", "[]")
        .set("caravan.management", "true")
        .set("camel.management.enabled", "true")
        .set("camel.metrics.enabled", "true")
        .set("camel.management.port", String.valueOf(port));
    return caravan.startProcess();
  }
}
