package io.caravan;

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
   * @param args what Camel's main takes, for instance {@code -duration 60}
   * @throws Exception if {@code application.properties} is not in the working directory, or a route
   *     or bean cannot start
   */
  public static void main(String[] args) throws Exception {
    Main main = new Main();
    main.setPropertyPlaceholderLocations("file:application.properties");
    System.exit(main.run(args));
  }
}
