package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.camel.CamelContext;
import org.apache.camel.Route;
import org.apache.camel.health.HealthCheck;
import org.apache.camel.health.HealthCheckHelper;
import org.apache.camel.spi.CamelEvent;
import org.apache.camel.spi.EventNotifier;
import org.apache.camel.support.EventNotifierSupport;
import org.apache.camel.support.service.ServiceHelper;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * A client is a file and nothing else: it can be added, changed and removed while the hub runs, and
 * a mistake in it leaves out that client, and no other.
 */
class ClientFilesTest {
  private static final String MEMBERS =
      "create table members (id bigint primary key, name text, tags text)";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;

  private final Caravan caravan = new Caravan();
  private final Log log = new Log("caravan.blog");

  @BeforeEach
  void users() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            select caravan.track('users', '{name}');
            insert into users values (1, 'Ada'), (2, 'Bob');
            """);
    caravan.client("shop", MEMBERS, MAPPING);
  }

  @AfterEach
  void stop() {
    caravan.close();
    log.close();
  }

  @Test
  void aFileThatIsNoYamlIsNamedAndTheOthersAreServed() {
    caravan.client("blog", MEMBERS, MAPPING).edit("blog", "- route:", "- {route:");

    caravan.start();

    awaitServed("shop");
    assertThat(whyNotLoaded()).contains("clients/blog.camel.yaml: ");
  }

  @Test
  void bracesThatAreNoSettingAreExplained() {
    caravan.client("blog", MEMBERS, tags("{{1,2},{3,4}}"));

    caravan.start();

    awaitServed("shop");
    assertThat(whyNotLoaded())
        .contains("clients/blog.camel.yaml: ")
        .contains("write \\u007b{ instead of {{");
    assertThat(camel().getRegistry().lookupByName("blog")).isNull();
  }

  @Test
  void bracesThatAreWrittenAsTheErrorSaysAreSql() {
    caravan.client("blog", MEMBERS, tags("\\u007b{1,2},{3,4}}"));

    caravan.start();

    await()
        .untilAsserted(
            () ->
                assertThat(caravan.database("blog").query("select distinct tags from members"))
                    .containsExactly(List.of("{{1,2},{3,4}}")));
  }

  @Test
  void aPropertyThatAPoolDoesNotHaveLeavesOutTheClient() {
    caravan.client("blog", MEMBERS, MAPPING).edit("blog", "username: ", "usernames: ");

    caravan.start();

    awaitServed("shop");
    assertThat(whyNotLoaded()).contains("clients/blog.camel.yaml: ", "usernames");
  }

  @Test
  void aMappingThatIsNoJsonPausesTheClient() {
    caravan.client("blog", MEMBERS, MAPPING.replace("}}", "}"));

    caravan.start();

    awaitServed("shop");
    await()
        .untilAsserted(
            () ->
                assertThat(String.valueOf(health().get("blog")))
                    .contains("state=paused", "line 1 of the mapping is not JSON"));
  }

  @Test
  void aFileIsAllThatANewClientTakes() {
    caravan.client("blog", MEMBERS, MAPPING).delete("blog");
    caravan.start();
    awaitServed("shop");

    caravan.map("blog", MAPPING);

    awaitServed("blog");
    caravan.central().execute("insert into users values (3, 'Cy')");
    awaitServed("blog");
    awaitServed("shop");
  }

  @Test
  void aNewClientWakesNoOther() {
    caravan.client("blog", MEMBERS, MAPPING).delete("blog");
    caravan.set("caravan.tick", "3600000").start();
    awaitServed("shop");
    await().until(() -> camel().getInflightRepository().size("shop") == 0);
    AtomicInteger wakeUps = new AtomicInteger();
    camel().getManagementStrategy().addEventNotifier(wakeUpsOf("shop", wakeUps));

    caravan.map("blog", MAPPING);

    awaitServed("blog");
    assertThat(wakeUps).hasValue(0);
    caravan.central().execute("insert into users values (3, 'Cy')");
    awaitServed("shop");
    await().untilAsserted(() -> assertThat(wakeUps).hasPositiveValue());
  }

  @Test
  void messagesCostNoMoreForEachClientThatIsAdded() {
    caravan.client("blog", MEMBERS, MAPPING).delete("blog");
    caravan.set("camel.management.enabled", "true").set("camel.management.port", "0").start();
    awaitServed("shop");
    List<EventNotifier> before = List.copyOf(camel().getManagementStrategy().getEventNotifiers());

    caravan.map("blog", MAPPING);

    awaitServed("blog");
    assertThat(before).isNotEmpty();
    assertThat(camel().getManagementStrategy().getEventNotifiers()).isEqualTo(before);
  }

  @Test
  void aClientWhoseFileIsGoneIsLeftAloneUntilItIsBack() {
    caravan.client("blog", MEMBERS, MAPPING).start();
    awaitServed("blog");

    caravan.delete("blog");

    await().untilAsserted(() -> assertThat(health()).doesNotContainKey("blog"));
    assertThat(routeIds()).doesNotContain("blog").contains("shop");
    assertThat(camel().getRegistry().lookupByName("blog")).isNull();
    caravan.central().execute("insert into users values (3, 'Cy')");
    awaitServed("shop");
    assertThat(caravan.database("blog").value("select count(*) from members")).isEqualTo("2");

    caravan.map("blog", MAPPING);

    awaitServed("blog");
  }

  @Test
  void aChangedFileIsTakenUpAndNothingOfTheOldOneStays() {
    caravan.client("blog", MEMBERS, MAPPING).start();
    awaitServed("blog");
    int routes = routeIds().size();

    caravan.edit("blog", "\"name\": \"name\"", "\"name\": \"upper(name)\"");

    await()
        .untilAsserted(
            () ->
                assertThat(caravan.database("blog").query("select name from members order by id"))
                    .containsExactly(List.of("ADA"), List.of("BOB")));
    assertThat(routeIds()).hasSize(routes);
  }

  @Test
  void aMendedFileIsTakenUp() {
    caravan.client("blog", MEMBERS, MAPPING).edit("blog", "- route:", "- {route:");
    caravan.start();
    awaitServed("shop");
    await()
        .untilAsserted(
            () -> assertThat(String.valueOf(health().get("blog"))).contains("not loaded"));

    caravan.edit("blog", "- {route:", "- route:");

    awaitServed("blog");
    await()
        .untilAsserted(
            () -> assertThat(String.valueOf(health().get("blog"))).contains("state=live"));
  }

  @Test
  void aFileThatIsBrokenWhileItsClientRunsStopsItUntilItIsMended() {
    caravan.client("blog", MEMBERS, MAPPING).start();
    awaitServed("blog");

    caravan.edit("blog", "- route:", "- {route:");

    await()
        .untilAsserted(
            () -> assertThat(String.valueOf(health().get("blog"))).contains("not loaded"));
    caravan.central().execute("insert into users values (3, 'Cy')");
    awaitServed("shop");

    caravan.edit("blog", "- {route:", "- route:");

    awaitServed("blog");
  }

  @Test
  void aMappingMayBeWrittenInYaml() {
    caravan.client(
        "blog",
        "create table members (id bigint primary key, y text, tags text)",
        """
        - source: public.users
          table: public.members
          key: {id: id}
          columns:
            y: name            # not a truth value
            tags: "'a: b'"
        """);

    caravan.start();

    caravan.awaitEqual(
        "select id, name, 'a: b' from users order by id",
        "blog",
        "select id, y, tags from members order by id");
  }

  @Test
  void aMappingThatIsNoYamlPausesTheClient() {
    caravan.client("blog", MEMBERS, "- source: [public.users");

    caravan.start();

    awaitServed("shop");
    await()
        .untilAsserted(
            () ->
                assertThat(String.valueOf(health().get("blog")))
                    .contains("state=paused", "line 1 of the mapping is neither YAML nor JSON"));
  }

  private CamelContext camel() {
    return caravan.hub().getCamelContext();
  }

  private static EventNotifier wakeUpsOf(String client, AtomicInteger count) {
    EventNotifier notifier =
        new EventNotifierSupport() {
          @Override
          public void notify(CamelEvent event) {
            if (event instanceof CamelEvent.ExchangeCompletedEvent completed
                && client.equals(completed.getExchange().getFromRouteId())) {
              count.incrementAndGet();
            }
          }
        };
    ServiceHelper.startService(notifier);
    return notifier;
  }

  private List<String> routeIds() {
    return camel().getRoutes().stream().map(Route::getRouteId).toList();
  }

  private static String tags(String array) {
    return MAPPING.replace(
        "\"name\": \"name\"", "\"name\": \"name\", \"tags\": \"'" + array + "'\"");
  }

  private void awaitServed(String client) {
    caravan.awaitEqual(
        "table users order by id", client, "select id, name from members order by id");
  }

  private String whyNotLoaded() {
    assertThat(log.lines()).hasSize(1);
    assertThat(log.lines().get(0)).startsWith("ERROR not loaded: ");
    assertThat(health().get("blog").toString()).contains("state=not loaded");
    return log.lines().get(0);
  }

  private Map<String, Object> health() {
    HealthCheck check = HealthCheckHelper.getHealthCheck(camel(), "caravan-clients");
    return check.call().getDetails();
  }
}
