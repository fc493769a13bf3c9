package io.caravan;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.SocketException;
import java.util.Properties;
import org.apache.camel.CamelContext;
import org.apache.camel.main.BaseMainSupport;
import org.apache.camel.main.Main;
import org.apache.camel.main.MainListenerSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Starts the hub: Camel with the settings of {@code application.properties} and the routes that it
 * names.
 */
public final class Hub {
  private static final Logger LOG = LoggerFactory.getLogger("caravan.management");

  private Hub() {}

  /**
   * Runs until the process is told to stop.
   *
   * @param args what Camel's main takes, for instance {@code -duration 60}
   * @throws Exception if {@code application.properties} is not in the working directory, or a route
   *     or bean cannot start
   */
  public static void main(String[] args) throws Exception {
    Main main = new Main();
    main.setPropertyPlaceholderLocations("file:application.properties");
    main.addMainListener(new ManagementPort());
    try {
      System.exit(main.run(args));
    } catch (UncheckedIOException e) {
      if (!(e.getCause() instanceof SocketException)) {
        throw e;
      }
      LOG.error(e.getMessage());
      Runtime.getRuntime().halt(1); // nothing runs yet that would have to end
    }
  }

  /** Looks whether the port is free: Camel only prints that it is not, and goes on unseen. */
  private static final class ManagementPort extends MainListenerSupport {
    @Override
    public void beforeConfigure(BaseMainSupport main) {
      CamelContext settings = main.getCamelContext();
      if (!is(settings, "{{camel.management.enabled:false}}")) {
        return;
      }
      String host = settings.resolvePropertyPlaceholders("{{camel.management.host:0.0.0.0}}");
      int port =
          Integer.parseInt(
              settings.resolvePropertyPlaceholders("{{camel.management.port:9876}}").trim());
      try (ServerSocket socket = new ServerSocket()) {
        socket.setReuseAddress(true); // as the server does: connections that ended don't matter
        socket.bind(new InetSocketAddress(host, port));
        LOG.info("Health at http://{}:{}/observe/health, metrics at /observe/metrics", host, port);
      } catch (IOException e) {
        String what =
            "The port %d on %s cannot be opened for health and metrics: %s. Choose another one by CARAVAN_MANAGEMENT_PORT"
                + " (caravan.management.port), or none by CARAVAN_MANAGEMENT=false";
        String line = what.formatted(port, host, e.getMessage());
        if (is(settings, "{{caravan.management.required:true}}")) {
          throw new UncheckedIOException(line, e);
        }
        LOG.warn("{}. The hub goes on without", line);
        Properties without = new Properties();
        without.setProperty("camel.management.enabled", "false");
        without.setProperty("camel.metrics.enabled", "false");
        settings.getPropertiesComponent().setOverrideProperties(without);
      }
    }

    private static boolean is(CamelContext settings, String property) {
      return Boolean.parseBoolean(settings.resolvePropertyPlaceholders(property).trim());
    }
  }
}
