package io.caravan;

import org.apache.camel.CamelContext;

/** The end of a hub. */
public final class Shutdown {
  private Shutdown() {}

  /**
   * Whether the hub stops or has stopped: nothing is begun any more, and failing is no news. Camel
   * says so before any connection is cut; those who wait for an event of it may hear later.
   *
   * @param context the hub's; null: it has none yet
   */
  public static boolean hasBegun(CamelContext context) {
    return context != null && (context.isStopping() || context.isStopped());
  }
}
