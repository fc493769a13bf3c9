package io.caravan;

import org.apache.camel.LoggingLevel;
import org.apache.camel.impl.DefaultCamelContext;

/**
 * Camel for very many clients. Before Camel adds a route it removes the one of the same id, and for
 * that it looks through all routes. Here it does so only if there is one: 300 clients, which have a
 * thousand routes, are loaded in a fifth of the time.
 */
final class HubContext extends DefaultCamelContext {
  HubContext() {
    super(false);
  }

  @Override
  protected boolean removeRoute(String id, LoggingLevel level) throws Exception {
    return getRouteServices().containsKey(id) && super.removeRoute(id, level);
  }
}
