package io.caravan;

import static java.util.stream.Collectors.joining;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import io.caravan.client.Clients;
import java.time.Duration;
import java.util.Map;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.AfterEach;

/**
 * A central and one client, the blog, for tests of what a page does to a client's tables. Nothing
 * is compared unless a test asks for it, because that would mend what a page did wrong.
 */
abstract class WithBlog {
  final Caravan caravan;
  final Database central;

  WithBlog() {
    this(Postgres.shared());
  }

  /** With central on a server of its own, which the test closes. */
  WithBlog(Postgres centralServer) {
    caravan = new Caravan(centralServer);
    central = caravan.central();
    caravan.set("caravan.reconcile", "500").set("caravan.reconcile.percent", "0");
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  void startWith(String ddl, String mapping) {
    caravan.client("blog", ddl, mapping).start();
  }

  Database blog() {
    return caravan.database("blog");
  }

  /** Waits until a query at the blog returns the same rows as one in central. */
  void awaitEqual(String centralQuery, String blogQuery) {
    awaitLong()
        .untilAsserted(
            () -> assertThat(blog().query(blogQuery)).isEqualTo(central.query(centralQuery)));
  }

  /** Waits until a table has the same rows on both sides. */
  void awaitSame(String table) {
    awaitEqual(
        "select * from " + table + " order by id", "select * from " + table + " order by id");
  }

  /** Waits until nothing is a dead letter, nor on its way to become one. */
  void awaitNoLetters() {
    awaitLetters();
  }

  /** Waits until these are the dead letters: source, key, SQLSTATE, state. */
  void awaitLetters(String... letters) {
    awaitLong()
        .untilAsserted(
            () ->
                assertThat(
                        central.query(
                            """
                            select concat_ws(' ', source, key, sqlstate, state) from caravan.dead_letters
                            """))
                    .extracting(row -> row.get(0))
                    .containsExactlyInAnyOrder(letters));
  }

  /** Waits until the blog is paused, and its state says why. */
  void awaitPaused(String... why) {
    awaitLong()
        .untilAsserted(
            () -> {
              assertThat(state()).containsEntry("state", "paused");
              assertThat((String) state().get("why")).contains(why);
            });
  }

  void awaitLive() {
    awaitLong().untilAsserted(() -> assertThat(state()).containsEntry("state", "live"));
  }

  Map<String, Object> state() {
    return state(caravan, "blog");
  }

  static Map<String, Object> state(Caravan caravan, String client) {
    return caravan
        .hub()
        .getCamelContext()
        .getRegistry()
        .lookupByNameAndType("clients", Clients.class)
        .status(client);
  }

  /** Compares the blog with central, as an operator asks for it, and returns what was found. */
  String reconcile() {
    awaitLong().until(() -> !central.query("table caravan.verification").isEmpty());
    String runs =
        "from caravan.reconciliations where id in (%s)"
            .formatted(
                central.query("select caravan.reconcile('blog')").stream()
                    .map(row -> row.get(0))
                    .collect(joining(",")));
    awaitLong()
        .until(
            () ->
                central
                    .value("select count(*) " + runs + " and state in ('requested', 'running')")
                    .equals("0"));
    return central.value(
        """
        select format('%s: %s missing, %s stale, %s surplus',
          string_agg(distinct state, ', '), sum(missing), sum(stale), sum(surplus))
        """
            + runs);
  }

  static ConditionFactory awaitLong() {
    return await().atMost(Duration.ofMinutes(2)).pollInterval(Duration.ofMillis(20));
  }
}
