package io.caravan.listen;

import static io.caravan.listen.Listener.LISTEN_RING;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import io.caravan.Wire;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.camel.CamelContext;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.support.PluginHelper;
import org.apache.camel.support.ResourceHelper;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class ListenerTest {
  private static final Duration AT_ONCE = Duration.ofSeconds(3);
  private static final Duration SILENCE_IS_NOTICED = Duration.ofSeconds(15);

  private final Database central = Postgres.shared().createDatabase("central");
  private final CamelContext camel = new DefaultCamelContext();
  private final List<String> heard = new CopyOnWriteArrayList<>();

  @AfterEach
  void nothingIsLeftOpen() {
    camel.stop();
    await().untilAsserted(() -> assertThat(sessions(central)).isEmpty());
    assertThat(Thread.getAllStackTraces().keySet())
        .extracting(Thread::getName)
        .doesNotContain("caravan-listener");
  }

  @Test
  void aRouteHearsWhatIsNotifiedAndThatItListens() throws Exception {
    startRoute(central.url());
    awaitHeard(LISTEN_RING);

    ring(central, "one");
    ring(central, "two");

    awaitHeard(LISTEN_RING, "one", "two");
    assertThat(listener().isConnected()).isTrue();
  }

  @Test
  void twentyLossesInARowAreMended() throws Exception {
    startRoute(central.url());
    List<String> expected = new ArrayList<>(List.of(LISTEN_RING));
    awaitHeard(expected);

    for (int i = 1; i <= 20; i++) {
      central.execute("select pg_terminate_backend(" + sessions(central).get(0) + ")");
      expected.add(LISTEN_RING);
      awaitHeard(expected);

      ring(central, "after loss " + i);

      expected.add("after loss " + i);
      awaitHeard(expected);
      assertThat(sessions(central)).hasSize(1);
    }
  }

  @Test
  void aRestartOfTheServerIsMended() throws Exception {
    try (Postgres server = new Postgres(Map.of())) {
      Database database = server.createDatabase("central");
      startRoute(database.url());
      awaitHeard(LISTEN_RING);

      server.stop();
      await().until(() -> !listener().isConnected());
      server.start();

      awaitHeard(LISTEN_RING, LISTEN_RING);
      ring(database, "after the restart");
      awaitHeard(LISTEN_RING, LISTEN_RING, "after the restart");
      assertThat(sessions(database)).hasSize(1);
    }
  }

  @Test
  void aRouteStartsWhileTheDatabaseIsDown() throws Exception {
    try (Postgres server = new Postgres(Map.of())) {
      Database database = server.createDatabase("central");
      server.stop();

      startRoute(database.url());

      assertThat(listener().isConnected()).isFalse();
      server.start();
      awaitHeard(LISTEN_RING);
    }
  }

  @Test
  void aRouteCanBeStoppedAndStartedAgainAndAgain() throws Exception {
    startRoute(central.url());
    List<String> expected = new ArrayList<>(List.of(LISTEN_RING));
    awaitHeard(expected);

    for (int i = 1; i <= 5; i++) {
      camel.getRouteController().stopRoute("doorbell");
      assertThat(listener().isConnected()).isFalse();
      camel.getRouteController().startRoute("doorbell");
      expected.add(LISTEN_RING);
      awaitHeard(expected);

      ring(central, "start " + i);

      expected.add("start " + i);
      awaitHeard(expected);
      assertThat(sessions(central)).hasSize(1);
    }
  }

  @Test
  void stoppingDuringAnOutageDoesNotHang() throws Exception {
    startRoute("jdbc:postgresql://localhost:1/nowhere");

    await().atMost(AT_ONCE).until(this::stopsCamel);
  }

  @Test
  void stoppingWhileConnectingToASilentPeerDoesNotHang() throws Exception {
    try (Wire wire = new Wire(central.port())) {
      wire.silence();
      startRoute(over(wire));
      await().until(() -> wire.connections() > 0);

      await().atMost(AT_ONCE).until(this::stopsCamel);
    }
  }

  @Test
  void stoppingWhileListeningToASilentPeerDoesNotHang() throws Exception {
    try (Wire wire = new Wire(central.port())) {
      startRoute(over(wire));
      awaitHeard(LISTEN_RING);
      wire.silence();

      await().atMost(AT_ONCE).until(this::stopsCamel);
    }
  }

  @Test
  void aRebuildDoesNotWaitForASilentPeer() throws Exception {
    try (Wire wire = new Wire(central.port())) {
      startRoute(over(wire));
      awaitHeard(LISTEN_RING);
      wire.silence();
      ring(central, "missed");
      wire.restore();

      listener().rebuild();

      await().atMost(AT_ONCE).until(() -> heard.size() == 2);
      ring(central, "not missed");
      awaitHeard(LISTEN_RING, LISTEN_RING, "not missed");
    }
  }

  @Test
  void aSilentPeerIsNoticedWithoutARebuild() throws Exception {
    try (Wire wire = new Wire(central.port())) {
      startRoute(over(wire));
      awaitHeard(LISTEN_RING);

      wire.silence();
      wire.restore();

      await().atMost(SILENCE_IS_NOTICED).until(() -> heard.size() == 2);
    }
  }

  @Test
  void aConnectionThatHearsNothingForAWhileIsKept() throws Exception {
    startRoute(central.url());
    awaitHeard(LISTEN_RING);
    List<Integer> session = sessions(central);

    String askedAgain = "query_start > backend_start + interval '4 seconds'";
    await().atMost(SILENCE_IS_NOTICED).until(() -> !sessions(central, askedAgain).isEmpty());

    assertThat(sessions(central)).isEqualTo(session);
    awaitHeard(LISTEN_RING);
  }

  @Test
  void aNewConnectionClosesTheOneBefore() throws Exception {
    startRoute(central.url());
    awaitHeard(LISTEN_RING);

    Connection next = listener().getConnection();

    await().untilAsserted(() -> assertThat(sessions(central)).isEmpty());
    assertThat(next.isClosed()).isFalse();
    assertThatThrownBy(next::createStatement).isInstanceOf(SQLFeatureNotSupportedException.class);
  }

  /** Starts a route as a user writes it. */
  private void startRoute(String url) throws Exception {
    String yaml =
        """
        - beans:
            - name: centralListener
              type: io.caravan.listen.Listener
              destroyMethod: close
              properties:
                url: "%s"
                user: postgres
                password: secret
        - route:
            id: doorbell
            from:
              uri: pgevent:central/caravan/caravan
              parameters:
                datasource: "#centralListener"
                workerPoolMaxSize: 1
              steps:
                - bean: {ref: heard, method: "add(${body})"}
        """
            .formatted(url);
    camel.getRegistry().bind("heard", heard);
    camel.start();
    PluginHelper.getRoutesLoader(camel)
        .loadRoutes(ResourceHelper.fromString("doorbell.camel.yaml", yaml));
  }

  private boolean stopsCamel() {
    camel.stop();
    return camel.isStopped();
  }

  private Listener listener() {
    return camel.getRegistry().lookupByNameAndType("centralListener", Listener.class);
  }

  private String over(Wire wire) {
    return central.url().replace(":" + central.port(), ":" + wire.port());
  }

  private void awaitHeard(String... payloads) {
    awaitHeard(List.of(payloads));
  }

  private void awaitHeard(List<String> payloads) {
    await().untilAsserted(() -> assertThat(heard).containsExactlyElementsOf(payloads));
  }

  private static void ring(Database database, String payload) {
    database.execute("select pg_notify('caravan', '" + payload + "')");
  }

  private static List<Integer> sessions(Database database) throws SQLException {
    return sessions(database, "true");
  }

  private static List<Integer> sessions(Database database, String condition) throws SQLException {
    String sql =
        "select pid from pg_stat_activity where datname = current_database()"
            + " and application_name = 'caravan-listener' and "
            + condition;
    try (Connection connection = database.dataSource().getConnection();
        Statement statement = connection.createStatement();
        ResultSet result = statement.executeQuery(sql)) {
      List<Integer> pids = new ArrayList<>();
      while (result.next()) {
        pids.add(result.getInt(1));
      }
      return pids;
    }
  }
}
