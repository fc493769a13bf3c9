package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.spi.Registry;
import org.junit.jupiter.api.Test;

/** What a hub asks of Camel beyond what Camel promises. */
class HubContextTest {
  private static final int BEANS = 20_000;

  private final DefaultCamelContext context = new HubContext();

  @Test
  void beansAreFoundWhileOthersAreBound() throws Exception {
    Registry registry = context.getRegistry();
    ExecutorService binder = Executors.newSingleThreadExecutor();
    try {
      Future<?> bound =
          binder.submit(
              () -> {
                for (int n = 0; n < BEANS; n++) {
                  registry.bind("bean" + n, new AtomicInteger());
                  registry.unbind("bean" + (n - 100));
                }
              });
      while (!bound.isDone()) {
        registry.findByType(Backoff.class);
        registry.findByTypeWithName(Backoff.class);
        registry.lookupByNameAndType("bean1", AtomicInteger.class);
      }
      bound.get();
    } finally {
      binder.shutdown();
    }
    assertThat(registry.findByType(AtomicInteger.class)).hasSize(100);
  }

  @Test
  void aRouteThatIsAddedAgainTakesThePlaceOfTheFormer() throws Exception {
    context.start();
    context.addRoutes(new Route("direct:former"));

    context.addRoutes(new Route("direct:latter"));

    assertThat(context.getRoutes()).hasSize(1);
    assertThat(context.getRoute("one").getEndpoint().getEndpointUri()).isEqualTo("direct://latter");
    context.close();
  }

  private static final class Route extends RouteBuilder {
    private final String from;

    Route(String from) {
      this.from = from;
    }

    @Override
    public void configure() {
      from(from).routeId("one").to("log:nowhere");
    }
  }
}
