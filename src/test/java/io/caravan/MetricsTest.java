package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.search.MeterNotFoundException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What an operator's alerts and graphs are made of. */
class MetricsTest {
  private static final String MEMBERS =
      "create table members (id bigint primary key, name text not null)";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;

  private final Caravan caravan = new Caravan();

  @BeforeEach
  void start() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            select caravan.track('users', '{name}');
            insert into users values (1, 'Ada'), (2, 'Bob');
            """);
    caravan
        .client("blog", MEMBERS, MAPPING)
        .client("shop", MEMBERS, MAPPING)
        .set("camel.metrics.enabled", "true")
        .set("caravan.measure", "200")
        .start();
    awaitValue("caravan.client.state", "client", "blog", "state", "live", 1);
    awaitValue("caravan.client.state", "client", "shop", "state", "live", 1);
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aClientThatCannotBeWrittenToFallsBehindInSecondsAndChangesAndCatchesUp() {
    assertThat(value("caravan.client.lag", "client", "blog")).isLessThan(5);
    caravan.database("blog").execute("alter table members rename to elsewhere");

    caravan.central().execute("insert into users values (3, 'Cy')");
    caravan.central().execute("update users set name = 'Eve' where id = 1");

    awaitValue("caravan.client.state", "client", "blog", "state", "paused", 1);
    awaitValue("caravan.client.state", "client", "blog", "state", "live", 0);
    awaitValue("caravan.client.lag.changes", "client", "blog", 2);
    assertThat(value("caravan.client.lag", "client", "blog")).isPositive();
    awaitValue("caravan.client.lag.changes", "client", "shop", 0);

    caravan.database("blog").execute("alter table elsewhere rename to members");

    awaitValue("caravan.client.lag.changes", "client", "blog", 0);
    await().until(() -> value("caravan.client.lag", "client", "blog") < 1);
  }

  @Test
  void deadLettersAreToldUntilTheyAreResolved() {
    awaitValue("caravan.dead.letters", "client", "shop", 0);

    caravan.central().execute("update users set name = null where id = 1");

    awaitValue("caravan.dead.letters", "client", "shop", 1);

    caravan.central().execute("update users set name = 'Ada' where id = 1");

    awaitValue("caravan.dead.letters", "client", "shop", 0);
  }

  @Test
  void aClientThatIsRemovedLosesItsMetrics() {
    awaitValue("caravan.dead.letters", "client", "shop", 0);
    await().until(() -> has("shop"));

    caravan.delete("shop");

    await().until(() -> !has("shop"));
    assertThat(has("blog")).isTrue();
  }

  @Test
  void aClientThatIsNotLoadedIsTold() {
    caravan.client("forum", MEMBERS, MAPPING).edit("forum", "- route:", "- {route:");

    awaitValue("caravan.client.state", "client", "forum", "state", "not loaded", 1);
  }

  @Test
  void theHubTellsOfCentralTheLogAndTheBell() {
    awaitValue("caravan.central.up", 1);
    awaitValue("caravan.bell.silent", 0);
    awaitValue("caravan.awake", 0);

    caravan.central().execute("insert into users select n, 'Cy' from generate_series(3, 100) n");

    await().untilAsserted(() -> assertThat(value("caravan.log.changes")).isBetween(90.0, 110.0));
  }

  @Test
  void pagesAndDeliveriesAreTimed() {
    caravan.central().execute("insert into users values (3, 'Cy')");

    await()
        .untilAsserted(
            () ->
                assertThat(metrics().get("caravan.delivery").timer().count())
                    .isGreaterThanOrEqualTo(2));
    assertThat(metrics().get("caravan.page").timer().count()).isGreaterThanOrEqualTo(4);
    assertThat(metrics().get("caravan.page").timer().takeSnapshot().histogramCounts()).isNotEmpty();
  }

  private boolean has(String client) {
    return metrics().getMeters().stream()
        .map(Meter::getId)
        .anyMatch(id -> id.getName().startsWith("caravan.") && client.equals(id.getTag("client")));
  }

  private void awaitValue(String name, String tag, String of, String other, String is, double as) {
    await().untilAsserted(() -> assertThat(value(name, tag, of, other, is)).isEqualTo(as));
  }

  private void awaitValue(String name, String tag, String of, double as) {
    await().untilAsserted(() -> assertThat(value(name, tag, of)).isEqualTo(as));
  }

  private void awaitValue(String name, double as) {
    await().untilAsserted(() -> assertThat(value(name)).isEqualTo(as));
  }

  private double value(String name, String... tags) {
    try {
      return metrics().get(name).tags(tags).gauge().value();
    } catch (MeterNotFoundException e) {
      return Double.NaN;
    }
  }

  private MeterRegistry metrics() {
    return caravan.hub().getCamelContext().getRegistry().findSingleByType(MeterRegistry.class);
  }
}
