package io.caravan.client;

import io.caravan.jdbc.Pool;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.Route;
import org.apache.camel.model.Model;
import org.apache.camel.model.RouteDefinition;
import org.apache.camel.spi.EventNotifier;
import org.apache.camel.spi.Resource;
import org.apache.camel.support.PluginHelper;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the clients that run in step with their files. Each file is loaded on its own: one that
 * can't be loaded leaves out its client, and no other, until it is mended.
 */
public final class ClientFiles implements CamelContextAware {
  private static final Logger LOG = LoggerFactory.getLogger("caravan.clients");
  private static final String SUFFIX = ".camel.yaml";
  private static final int LONGEST_CAUSE = 300;
  private static final long LONGEST_LOOK_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final Map<String, Loaded> loaded = new TreeMap<>();
  private final Map<String, String> broken = new ConcurrentSkipListMap<>();
  private CamelContext context;
  private String pattern = "";

  /** Where the files are, for instance {@code file:routes/clients/*.camel.yaml}. Empty: nowhere. */
  public void setPattern(String pattern) {
    this.pattern = pattern;
  }

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /**
   * Takes up the files that are new or were changed, and lets go of those that are gone. Of very
   * many it takes up what it can in a second; the others are for the next look.
   *
   * @return the clients whose files were new, changed or gone; those that have a route are to be
   *     woken
   */
  public synchronized Set<String> takeUp() throws Exception {
    if (!context.isStarted()) {
      return Set.of(); // Camel would add their routes and not start them
    }
    Map<String, Resource> files = new TreeMap<>();
    if (!pattern.isEmpty()) {
      for (Resource file :
          PluginHelper.getPackageScanResourceResolver(context).findResources(pattern)) {
        files.put(file.getLocation(), file);
      }
    }
    Set<String> changed = new HashSet<>();
    for (String location : List.copyOf(loaded.keySet())) {
      if (!files.containsKey(location)) {
        unload(location);
        changed.add(name(location));
        LOG.info("{}: gone, and so is its client", shown(location));
      }
    }
    long began = System.nanoTime();
    for (Resource file : files.values()) {
      String stamp = stamp(file);
      Loaded before = loaded.get(file.getLocation());
      if (!context.isStopping() && (before == null || !before.stamp.equals(stamp))) {
        if (before != null) {
          LOG.info("{}: changed", shown(file.getLocation()));
          unload(file.getLocation());
        }
        changed.add(name(file.getLocation()));
        changed.addAll(load(file, stamp).pools);
        if (System.nanoTime() - began > LONGEST_LOOK_NANOS) {
          break; // those that are loaded shall not wait for the others
        }
      }
    }
    return changed;
  }

  /** Why which clients are not loaded, by the names of their files. */
  public Map<String, String> broken() {
    return Map.copyOf(broken);
  }

  /** The clients that have files, those that can't be loaded included. */
  public synchronized Set<String> names() {
    Set<String> names = new HashSet<>(broken.keySet());
    loaded.values().forEach(client -> names.addAll(client.pools));
    return names;
  }

  /** Whether the client of a file's name is not loaded. */
  public boolean isBroken(String client) {
    return broken.containsKey(client);
  }

  private Loaded load(Resource file, String stamp) {
    String location = file.getLocation();
    Set<String> pools = pools();
    Set<String> routes = routes();
    Set<EventNotifier> notifiers = notifiers();
    try {
      PluginHelper.getRoutesLoader(context).loadRoutes(file);
    } catch (Exception | LinkageError e) {
      String why = shown(location) + ": " + why(e);
      broken.put(name(location), why);
      LoggerFactory.getLogger("caravan." + name(location)).error("not loaded: {}", why);
    }
    // The management port of Camel 4.17 registers one more for each route that starts, and removes
    // none. Camel asks all of them several times at each step of each message.
    added(notifiers, notifiers()).forEach(context.getManagementStrategy()::removeEventNotifier);
    Loaded now = new Loaded(stamp, added(routes, routes()), added(pools, pools()));
    loaded.put(location, now);
    if (broken.containsKey(name(location))) {
      stop(now);
    }
    return now;
  }

  private void unload(String location) throws Exception {
    Loaded gone = loaded.remove(location);
    broken.remove(name(location));
    stop(gone);
  }

  /** Its routes first, so that a page that is being applied gets the time to end. */
  private void stop(Loaded client) {
    for (String route : routesOf(client)) {
      try {
        context.getRouteController().stopRoute(route);
        context.removeRoute(route);
      } catch (Exception e) {
        LOG.warn("{} can't be stopped: {}", route, e.toString());
      }
    }
    Model model = context.getCamelContextExtension().getContextPlugin(Model.class);
    model.getRouteDefinitions().removeIf(route -> client.routes.contains(route.getRouteId()));
    for (String pool : client.pools) {
      Pool open = context.getRegistry().lookupByNameAndType(pool, Pool.class);
      if (open != null) {
        open.close();
        context.getRegistry().unbind(pool);
      }
      for (KeptByClient kept : context.getRegistry().findByType(KeptByClient.class)) {
        kept.forget(pool);
      }
    }
  }

  /** Its own, and those that Camel has made of the Kamelets for this client. */
  private List<String> routesOf(Loaded client) {
    List<String> routes = new ArrayList<>();
    for (Route route : context.getRoutes()) {
      boolean isMadeForIt =
          route.getRoute() instanceof RouteDefinition definition
              && definition.getTemplateParameters() != null
              && client.pools.contains(definition.getTemplateParameters().get("client"));
      if (isMadeForIt || client.routes.contains(route.getRouteId())) {
        routes.add(route.getRouteId());
      }
    }
    return routes;
  }

  private Set<String> pools() {
    return context.getRegistry().findByTypeWithName(Pool.class).keySet();
  }

  private Set<String> routes() {
    Set<String> ids = new HashSet<>();
    Model model = context.getCamelContextExtension().getContextPlugin(Model.class);
    model.getRouteDefinitions().forEach(route -> ids.add(route.getRouteId()));
    return ids;
  }

  private Set<EventNotifier> notifiers() {
    return Set.copyOf(context.getManagementStrategy().getEventNotifiers());
  }

  private static <T> Set<T> added(Set<T> before, Set<T> now) {
    Set<T> added = new HashSet<>(now);
    added.removeAll(before);
    return added;
  }

  /** What is another one when the file has changed. */
  private static String stamp(Resource file) throws IOException {
    Optional<Path> path = path(file);
    if (path.isEmpty() || !Files.exists(path.get())) {
      return "";
    }
    BasicFileAttributes now = Files.readAttributes(path.get(), BasicFileAttributes.class);
    return now.lastModifiedTime() + " " + now.size() + " " + now.fileKey();
  }

  private static Optional<Path> path(Resource file) {
    return file.getScheme().equals("file")
        ? Optional.of(Path.of(file.getLocation().substring("file:".length())))
        : Optional.empty();
  }

  private static String name(String location) {
    return location.replaceAll(".*[/\\\\]", "").replace(SUFFIX, "");
  }

  private static String shown(String location) {
    return location.replaceFirst("^file:", "");
  }

  /** The innermost cause in one line, and what to do about it where Camel's words do not say. */
  private static String why(Throwable error) {
    Throwable cause = error;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    String text = String.valueOf(cause.getMessage()).replaceAll("\\s+", " ");
    String line = text.length() > LONGEST_CAUSE ? text.substring(0, LONGEST_CAUSE) + " …" : text;
    return text.startsWith("Property with key [")
        ? "Camel reads {{…}} as a setting; in an expression, write \\u007b{ instead of {{. " + line
        : line;
  }

  /**
   * What came of a file.
   *
   * @param stamp of the file when it was loaded
   * @param routes their ids
   * @param pools their names, which are those of the clients
   */
  private record Loaded(String stamp, Set<String> routes, Set<String> pools) {}
}
