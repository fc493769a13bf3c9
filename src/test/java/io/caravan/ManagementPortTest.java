package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A hub whose management port is taken says so in a line, and does not go on unseen. */
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
    int port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }

    HubProcess hub = start(port).awaitStarted();

    assertThat(hub.output()).contains("http://localhost:" + port + "/observe/health");
    assertThat(hub.output()).doesNotContain("0.0.0.0");
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
