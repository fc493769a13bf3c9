package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.caravan.contract.Sources;
import io.caravan.listen.Listener;
import java.util.stream.Stream;
import org.apache.camel.EndpointInject;
import org.apache.camel.Produce;
import org.apache.camel.ProducerTemplate;
import org.apache.camel.component.mock.MockEndpoint;
import org.apache.camel.test.main.junit5.CamelMainTest;
import org.apache.camel.test.main.junit5.ReplaceInRegistry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the hub takes for a doorbell. The notifications come from the test; no client is served. */
@CamelMainTest(
    properties = {
      "camel.main.routesIncludePattern=file:routes/*.camel.yaml",
      "caravan.routes=file:routes",
      "caravan.tick=86400000",
      "caravan.heartbeat=86400000",
      "caravan.poll=86400000",
      "caravan.report=86400000",
      "caravan.compact=86400000",
      "caravan.reconcile=86400000",
      "caravan.reconcile.percent=0",
      "caravan.reconcile.safetyThreshold=10",
      "caravan.keepDeletions=1 day",
      "caravan.lockTimeout=10s",
      "caravan.socketTimeout=60",
      "caravan.statementTimeout=55s",
      "caravan.problems=60000",
      "caravan.schemas=routes/schemas",
      "caravan.errorMessages=false",
      "caravan.largestRow=",
      "caravan.measure=86400000",
      "caravan.migrate=false",
      "caravan.clients=file:routes/clients/*.none",
      "caravan.clients.look=86400000"
    },
    replaceRouteFromWith = {
      "doorbell=direct:doorbell",
      "tick=direct:tick",
      "heartbeat=direct:heartbeat",
      "compact=direct:compact",
      "measure=direct:measure",
      "problems=direct:problems",
      "reconcile=direct:reconcile"
    },
    mockEndpointsAndSkip = "direct:wake-clients|direct:refused-notification")
class DoorbellRouteTest {
  @Produce("direct:doorbell")
  private ProducerTemplate central;

  @EndpointInject("mock:direct:wake-clients")
  private MockEndpoint wakeClients;

  @EndpointInject("mock:direct:refused-notification")
  private MockEndpoint refused;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"source\": \"public.users\", \"op\": \"update\", \"key\": [42]}",
        "{\"source\": \"public.users\", \"op\": \"truncate\"}",
        "{\"source\": \"public.users\", \"op\": \"insert\", \"key\": [\"a\", 9007199254740993]}",
        "{\"source\": \"public.users\", \"op\": \"insert\", \"key\": [1], \"row\": {\"name\": \"Zoë 🐪\"}}",
        Listener.LISTEN_RING
      })
  void aDoorbellWakesTheClients(String doorbell) throws InterruptedException {
    wakeClients.expectedMessageCount(1);

    central.sendBody(doorbell);

    wakeClients.assertIsSatisfied();
  }

  @ParameterizedTest
  @MethodSource
  void whatIsNoDoorbellIsRefusedAndWakesNobody(String reason, String notification)
      throws InterruptedException {
    refused.expectedHeaderReceived("reason", reason);

    central.sendBody(notification);

    refused.assertIsSatisfied();
    assertThat(wakeClients.getReceivedCounter()).isZero();
  }

  static Stream<Arguments> whatIsNoDoorbellIsRefusedAndWakesNobody() {
    String deep = "[".repeat(1999) + "]".repeat(1999);
    String users = "{\"source\": \"public.users\", \"op\": \"update\"";
    return Stream.of(
        arguments("not-json", "garbage"),
        arguments("not-json", "x".repeat(7999)),
        arguments("not-json", users),
        arguments("not-json", users + "} and more"),
        arguments("not-json", users + ", \"key\": " + deep + "}"),
        arguments("not-json", users + ", \"key\": [" + "9".repeat(7000) + "]}"),
        arguments("not-json", "\u0000"),
        arguments("not-json", ""),
        arguments("contract", "42"),
        arguments("contract", "null"),
        arguments("contract", "[]"),
        arguments("contract", "{}"),
        arguments("contract", "{\"source\": \"public.users\"}"),
        arguments("contract", "{\"source\": 42, \"op\": \"update\"}"),
        arguments("contract", "{\"source\": \"public.users\", \"op\": 1e999999999}"),
        arguments("contract", "{\"source\": \"public.users\", \"op\": \"drop\"}"),
        arguments("contract", users + ", \"key\": 42}"),
        arguments("contract", users + ", \"row\": \"Ada\"}"),
        arguments("contract", users + ", \"more\": true}"),
        arguments("contract", "{\"source\": \"" + "u".repeat(7000) + "\", \"op\": \"update\"}"),
        arguments("unknown-source", "{\"source\": \"public.orders\", \"op\": \"update\"}"));
  }

  @Test
  void whatFailsOtherwiseIsRefusedWithItsCause() throws InterruptedException {
    refused.expectedHeaderReceived("reason", "error");

    central.sendBody(new Object());

    refused.assertIsSatisfied();
    assertThat(refused.getExchanges().get(0).getMessage().getHeader("why", String.class))
        .contains("java.lang.Object");
  }

  @Test
  void aHeartbeatIsHeardAndWakesNobody() {
    central.sendBody("{\"source\": \"caravan\", \"op\": \"heartbeat\"}");

    assertThat(refused.getReceivedCounter()).isZero();
    assertThat(wakeClients.getReceivedCounter()).isZero();
  }

  @Test
  void theTickWakesTheClientsWithoutADoorbell() throws InterruptedException {
    wakeClients.expectedMessageCount(1);

    central.sendBody("direct:tick", "");

    wakeClients.assertIsSatisfied();
  }

  @ReplaceInRegistry
  Sources sources() {
    Postgres.Database database = Postgres.shared().createCentral();
    database.execute("create table users (id int primary key)");
    database.execute("select caravan.track('users', '{}')");
    Sources sources = new Sources();
    sources.setCentral(database.dataSource());
    return sources;
  }
}
