package io.caravan.client;

import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.Endpoint;
import org.apache.camel.NamedNode;
import org.apache.camel.Route;
import org.apache.camel.model.Model;
import org.apache.camel.model.ProcessorDefinition;
import org.apache.camel.model.RouteDefinition;
import org.apache.camel.model.ToDefinition;

/**
 * The clients that there are: each has a route that goes to the pump. Nobody lists them anywhere
 * else, so that whoever has a file is woken.
 */
public final class ClientRoutes implements CamelContextAware {
  private static final Pattern PUMP = Pattern.compile("kamelet:pump\\b.*?[?&]client=([^&]*).*");

  // By route, for as long as there is one: the clients are woken some hundred times a second.
  private final Map<Route, String> clients = Collections.synchronizedMap(new WeakHashMap<>());
  private CamelContext context;
  private Clients states = new Clients();

  /** Knows whose pump runs. */
  public void setClients(Clients clients) {
    states = clients;
  }

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /** Where the clients wait to be woken. Those whose pump runs do not. */
  public List<Endpoint> queues() {
    return queues(client -> !client.isEmpty() && !states.isRunning(client));
  }

  /** Where a client waits. */
  public List<Endpoint> queueOf(String client) {
    return queuesOf(List.of(client));
  }

  /** Where the clients of these names wait. */
  public List<Endpoint> queuesOf(Collection<String> names) {
    return names.isEmpty() ? List.of() : queues(names::contains);
  }

  private List<Endpoint> queues(Predicate<String> client) {
    return context.getRoutes().stream()
        .filter(route -> client.test(clientOf(route)))
        .map(Route::getEndpoint)
        .toList();
  }

  private String clientOf(Route route) {
    return clients.computeIfAbsent(route, this::read);
  }

  /** The client that a route is for; empty: it is another route. */
  private String read(Route route) {
    if (definition(route) instanceof RouteDefinition definition) {
      for (ProcessorDefinition<?> step : definition.getOutputs()) {
        if (step instanceof ToDefinition to) {
          Matcher pump = PUMP.matcher(to.getUri());
          if (pump.matches()) {
            return pump.group(1);
          }
        }
      }
    }
    return "";
  }

  /**
   * The definition of a route. Routes that existed when Camel started no longer have theirs; the
   * model still does.
   */
  private NamedNode definition(Route route) {
    return route.getRoute() == null
        ? context
            .getCamelContextExtension()
            .getContextPlugin(Model.class)
            .getRouteDefinition(route.getRouteId())
        : route.getRoute();
  }
}
