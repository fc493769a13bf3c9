package io.caravan;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Properties;
import org.apache.camel.CamelContext;
import org.apache.camel.main.BaseMainSupport;
import org.apache.camel.main.MainListenerSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Checks the port for health and metrics before Camel opens it. Camel itself would run without a
 * port that cannot be opened, and would serve everybody who can reach an open one. The hub ends
 * instead, with a line that says what to change. Where {@code caravan.management.required} is
 * false, it runs without a port that cannot be opened.
 */
final class ManagementPort extends MainListenerSupport {
  private static final Logger LOG = LoggerFactory.getLogger("caravan.management");

  @Override
  public void beforeConfigure(BaseMainSupport main) {
    CamelContext settings = main.getCamelContext();
    if (!is(settings, "{{camel.management.enabled:false}}")) {
      return;
    }
    String host = of(settings, "{{camel.management.host:0.0.0.0}}");
    int port = Integer.parseInt(of(settings, "{{camel.management.port:9876}}"));
    String users = of(settings, "{{caravan.management.users:}}");
    Properties found = new Properties();
    Optional<String> unsafe = whyUnsafe(host, users);
    Optional<String> closed = whyClosed(host, port);
    if (unsafe.isPresent()) {
      end(unsafe.get());
    } else if (closed.isPresent() && is(settings, "{{caravan.management.required:true}}")) {
      end(closed.get());
    } else if (closed.isPresent()) {
      LOG.warn("{}. The hub goes on without", closed.get());
      found.setProperty("camel.management.enabled", "false");
      found.setProperty("camel.metrics.enabled", "false");
    } else {
      LOG.info("Health at http://{}:{}/observe/health, metrics at /observe/metrics", host, port);
    }
    if (!users.isEmpty()) {
      found.setProperty("camel.management.authenticationEnabled", "true");
      found.setProperty("camel.management.authenticationPath", "/*");
      found.setProperty("camel.management.basicPropertiesFile", users);
    }
    settings.getPropertiesComponent().setOverrideProperties(found);
  }

  private static Optional<String> whyUnsafe(String host, String users) {
    try {
      if (!users.isEmpty()) {
        return Files.isReadable(Path.of(users))
            ? Optional.empty()
            : Optional.of(
                "The file %s, which says who may see health and metrics, cannot be read. Set CARAVAN_MANAGEMENT_USERS to one that can"
                    .formatted(users));
      }
      return InetAddress.getByName(host).isLoopbackAddress()
          ? Optional.empty()
          : Optional.of(
              "Everybody who reaches %s could see health and metrics. Name a file with users in CARAVAN_MANAGEMENT_USERS (caravan.management.users), or set CARAVAN_MANAGEMENT_HOST=localhost"
                  .formatted(host));
    } catch (IOException e) {
      return Optional.of(
          "CARAVAN_MANAGEMENT_HOST (caravan.management.host) is %s, which cannot be resolved: %s. Set it to a name or an address of this machine"
              .formatted(host, e.getMessage()));
    }
  }

  private static Optional<String> whyClosed(String host, int port) {
    try (ServerSocket socket = new ServerSocket()) {
      socket.setReuseAddress(true); // as the server does: connections that ended don't matter
      socket.bind(new InetSocketAddress(host, port));
      return Optional.empty();
    } catch (IOException e) {
      return Optional.of(
          "The port %d on %s cannot be opened for health and metrics: %s. Set CARAVAN_MANAGEMENT_PORT (caravan.management.port) to another port, or CARAVAN_MANAGEMENT=false to have none"
              .formatted(port, host, e.getMessage()));
    }
  }

  /** Nothing runs yet that would have to end in good order. */
  private static void end(String why) {
    LOG.error(why);
    Runtime.getRuntime().halt(1);
  }

  private static boolean is(CamelContext settings, String property) {
    return Boolean.parseBoolean(of(settings, property));
  }

  private static String of(CamelContext settings, String property) {
    return settings.resolvePropertyPlaceholders(property).trim();
  }
}
