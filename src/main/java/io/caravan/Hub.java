package io.caravan;

import java.util.List;
import java.util.Objects;
import org.apache.camel.CamelContext;
import org.apache.camel.main.Main;

/**
 * Starts the hub: Camel with the settings of {@code application.properties} and the routes that it
 * names.
 */
public final class Hub {
  private Hub() {}

  /**
   * Runs until the process is told to stop.
   *
   * @param args {@code --version}, which is all that is done then, or what Camel's main takes, for
   *     instance {@code -duration 60}
   * @throws Exception if {@code application.properties} is not in the working directory, or a route
   *     or bean cannot start
   */
  public static void main(String[] args) throws Exception {
    if (List.of(args).contains("--version")) {
      System.out.println("Caravan " + version());
      return;
    }
    Main main = camel();
    main.setPropertyPlaceholderLocations("file:application.properties");
    main.addMainListener(new ManagementPort());
    System.exit(main.run(args));
  }

  /** Camel as a hub needs it, without settings. */
  static Main camel() {
    return new Main() {
      @Override
      protected CamelContext createCamelContext() {
        return new HubContext();
      }
    };
  }

  /** As the jar has it; classes that are in none are nobody's release. */
  private static String version() {
    return Objects.requireNonNullElse(
        Hub.class.getPackage().getImplementationVersion(), "of a checkout");
  }
}
