package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import org.apache.camel.EndpointInject;
import org.apache.camel.Produce;
import org.apache.camel.ProducerTemplate;
import org.apache.camel.component.mock.MockEndpoint;
import org.apache.camel.test.main.junit5.CamelMainTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the hub takes for a doorbell. The notifications come from the test; no client is served. */
@CamelMainTest(
    properties = {
      "camel.main.routesIncludePattern=file:routes/*.camel.yaml",
      "caravan.tick=86400000",
      "caravan.clean=86400000",
      "caravan.keepDeletions=30 days"
    },
    replaceRouteFromWith = {"doorbell=direct:doorbell", "tick=direct:tick", "clean=direct:clean"},
    mockEndpointsAndSkip = "direct:wake-clients")
class DoorbellRouteTest {
  @Produce("direct:doorbell")
  private ProducerTemplate central;

  @EndpointInject("mock:direct:wake-clients")
  private MockEndpoint wakeClients;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"source\": \"public.users\", \"op\": \"update\", \"key\": [42]}",
        "{\"source\": \"public.users\", \"op\": \"truncate\"}",
        "{\"source\": \"public.orders\", \"op\": \"insert\", \"key\": [\"a\", 9007199254740993]}",
        "{\"source\": \"public.users\", \"op\": \"insert\", \"key\": [1], \"row\": {\"name\": \"Zoë 🐪\"}}",
        Listener.LISTEN_RING
      })
  void aDoorbellWakesTheClients(String doorbell) throws InterruptedException {
    wakeClients.expectedMessageCount(1);

    central.sendBody(doorbell);

    wakeClients.assertIsSatisfied();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "garbage",
        "42",
        "null",
        "[]",
        "{}",
        "{\"source\": \"public.users\"}",
        "{\"source\": 42, \"op\": \"update\"}",
        "{\"source\": \"public.users\", \"op\": \"drop\"}",
        "{\"source\": \"public.users\", \"op\": \"update\", \"key\": 42}",
        "{\"source\": \"public.users\", \"op\": \"update\", \"row\": \"Ada\"}",
        "{\"source\": \"public.users\", \"op\": \"update\", \"more\": true}"
      })
  void whatIsNoDoorbellIsRefusedAndWakesNobody(String notification) {
    central.sendBody(notification);

    assertThat(wakeClients.getReceivedCounter()).isZero();
  }

  @Test
  void theTickWakesTheClientsWithoutADoorbell() throws InterruptedException {
    wakeClients.expectedMessageCount(1);

    central.sendBody("direct:tick", "");

    wakeClients.assertIsSatisfied();
  }
}
