package io.caravan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.ExtendedStartupListener;
import org.apache.camel.Route;
import org.apache.camel.RuntimeCamelException;
import org.apache.camel.model.Model;
import org.apache.camel.model.RouteDefinition;
import org.apache.camel.spi.Resource;
import org.apache.camel.support.PluginHelper;

/**
 * Loads the file of each client on its own, when the hub has started: one that cannot be loaded
 * leaves out its client, and no other.
 */
public final class ClientFiles implements CamelContextAware, ExtendedStartupListener {
  private static final String SUFFIX = ".camel.yaml";
  private static final int LONGEST_CAUSE = 300;

  private CamelContext context;
  private String pattern = "";
  private Clients clients = new Clients();

  /** Where the files are, for instance {@code file:routes/clients/*.camel.yaml}. */
  public void setPattern(String pattern) {
    this.pattern = pattern;
  }

  /** Is told what cannot be loaded. */
  public void setClients(Clients clients) {
    this.clients = clients;
  }

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    boolean isNews = this.context != context; // Camel says it more than once
    this.context = context;
    if (!isNews || context.isStarted()) {
      return; // this is a reload of a file, which has its own way to the others
    }
    try {
      context.addStartupListener(this);
    } catch (Exception e) {
      throw RuntimeCamelException.wrapRuntimeCamelException(e);
    }
  }

  @Override
  public void onCamelContextStarted(CamelContext context, boolean alreadyStarted) {
    // Routes that are added now would not be started.
  }

  @Override
  public void onCamelContextFullyStarted(CamelContext context, boolean alreadyStarted)
      throws Exception {
    if (!context.getRegistry().findByType(ClientFiles.class).contains(this)) {
      return; // Camel makes the beans of a file twice, and keeps the second
    }
    Set<String> loaded = new HashSet<>();
    for (Route route : context.getRoutes()) {
      if (route.getSourceResource() != null) {
        loaded.add(route.getSourceResource().getLocation());
      }
    }
    List<Resource> files =
        new ArrayList<>(
            PluginHelper.getPackageScanResourceResolver(context).findResources(pattern));
    files.sort(Comparator.comparing(Resource::getLocation));
    for (Resource file : files) {
      if (!loaded.contains(file.getLocation())) {
        load(file);
      }
    }
  }

  private void load(Resource file) {
    Model model = context.getCamelContextExtension().getContextPlugin(Model.class);
    Set<RouteDefinition> others = new HashSet<>(model.getRouteDefinitions());
    Set<String> otherPools = pools();
    try {
      PluginHelper.getRoutesLoader(context).loadRoutes(file);
    } catch (Exception | LinkageError e) {
      model.getRouteDefinitions().removeIf(route -> !others.contains(route));
      for (String pool : pools()) {
        if (!otherPools.contains(pool)) {
          context.getRegistry().lookupByNameAndType(pool, Pool.class).close();
          context.getRegistry().unbind(pool);
        }
      }
      String name = file.getLocation().replaceAll(".*[/\\\\]", "").replace(SUFFIX, "");
      clients.notLoaded(name, file.getLocation().replaceFirst("^file:", "") + ": " + why(e));
    }
  }

  private Set<String> pools() {
    return context.getRegistry().findByTypeWithName(Pool.class).keySet();
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
        ? "Camel takes {{…}} for a setting; in an expression, write \\u007b{ for {{. " + line
        : line;
  }
}
