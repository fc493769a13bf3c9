package io.caravan.listen;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Caravan;
import io.caravan.HubProcess;
import io.caravan.Postgres.Database;
import io.caravan.Wire;
import io.caravan.read.Look;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;

/**
 * The bell rings only while the hub sleeps, and no change falls between. Without the tick: what is
 * neither rung for nor seen never arrives. {@code -Dwatch.seconds=600} hunts longer, {@code
 * -Dwatch.seed=42} repeats.
 */
class WatchTest {
  private static final int WRITERS = 4;
  private static final int USERS = 100;
  // Their pages may take minutes.
  private static final int MANY_CLIENTS = 1_000_000;
  private static final Duration REST = Duration.ofMillis(200);
  private static final Duration SOON = Duration.ofSeconds(5);
  private static final String ASLEEP =
      "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'"
          + " and granted and database = (select oid from pg_database where datname = current_database())";

  private static final String SESSIONS =
      "select pid from pg_stat_activity where datname = current_database()"
          + " and application_name = 'caravan-listener'";

  private final Caravan caravan = new Caravan();
  private final Database central = caravan.central();
  private final ExecutorService writers = Executors.newFixedThreadPool(WRITERS);
  private final List<Connection> listeners = new ArrayList<>();
  private Wire wire;

  @BeforeEach
  void start() throws IOException {
    wire = new Wire(central.port());
    central.execute(
        """
        create table users (id int primary key, n bigint);
        select caravan.track('users', '{n}');
        insert into users select i, 0 from generate_series(1, 100) as i;
        """);
    caravan
        .client(
            "blog",
            "create table members (id int primary key, n bigint)",
            """
            [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"n": "n"}}]
            """)
        .set("caravan.tick", "86400000")
        .set("central.url", central.url().replace(":" + central.port(), ":" + wire.port()))
        .start();
    await().untilAsserted(this::areEqual); // the first hub of a process takes its time
    awaitAsleep();
  }

  @AfterEach
  void stop() throws SQLException {
    writers.shutdownNow();
    caravan.close();
    wire.close();
    for (Connection listener : listeners) {
      listener.close();
    }
  }

  @Test
  void aRareChangeIsRungForAndTheHubGoesOnSleeping() throws SQLException {
    PGConnection listener = listen();

    for (int i = 1; i <= 3; i++) {
      central.execute("update users set n = n + 1 where id = " + i);
      awaitEqual();
    }

    assertThat(rings(listener)).isEqualTo(3);
    awaitAsleep();
  }

  @Test
  void inARushNobodyRingsAndAfterwardsTheHubSleepsAgain() throws Exception {
    PGConnection listener = listen();
    int each = 3000;

    write(
        writer -> {
          try (Connection connection = central.dataSource().getConnection();
              PreparedStatement update =
                  connection.prepareStatement("update users set n = n + 1 where id = ?")) {
            for (int i = 0; i < each; i++) {
              update.setInt(1, 1 + i % USERS);
              update.execute();
            }
          }
        });

    awaitEqual();
    assertThat(rings(listener)).isLessThan(WRITERS * each / 4);
    awaitAsleep();
    central.execute("update users set n = n + 1 where id = 1");
    awaitEqual();
  }

  @Test
  void withoutAHubNobodyRings() throws SQLException {
    caravan.stop();
    PGConnection listener = listen();

    central.execute("update users set n = n + 1");

    assertThat(rings(listener)).isZero();
  }

  @Test
  void aHubThatSleepsTakesOverFromOneThatIsGone() throws Exception {
    HubProcess first = caravan.startProcess().awaitStarted();
    await().until(() -> central.query(SESSIONS).size() == 2);
    caravan.stop();
    awaitAsleep();
    caravan.start();
    await().until(() -> central.query(SESSIONS).size() == 2);

    first.kill();
    await().until(() -> central.query(SESSIONS).size() == 1);
    awaitAsleep();

    central.execute("update users set n = n + 1");
    awaitEqual();
  }

  @Test
  void looksAgainWhenMostClientsHaveAppliedTheLastPage() throws SQLException {
    Findings findings = new Findings(true);
    whileAwake(
        MANY_CLIENTS,
        findings,
        watch -> {
          findings.isApplied = false;
          int looks = findings.looks;

          await().during(REST).until(() -> looksNow(watch, findings) == looks);

          findings.isApplied = true;
          await().until(() -> looksNow(watch, findings) > looks);
        });
  }

  @Test
  void doesNotWaitLongForClientsThatHang() throws SQLException {
    Findings findings = new Findings(true);
    whileAwake(
        1,
        findings,
        watch -> {
          findings.isApplied = false;
          int looks = findings.looks;

          await().until(() -> looksNow(watch, findings) > looks);
        });
  }

  @Test
  void looksLessOftenTheMoreIsWritten() throws SQLException {
    Findings findings = new Findings(true);
    whileAwake(
        MANY_CLIENTS,
        findings,
        watch -> {
          int looks = findings.looks;
          await().until(() -> looksNow(watch, findings) > looks);

          findings.transactions = Integer.MAX_VALUE;
          int before = findings.looks;
          await().until(() -> looksNow(watch, findings) > before);

          await().during(REST).until(() -> looksNow(watch, findings) == before + 1);
        });
  }

  /** With a watch of its own, which a rush has woken. */
  private void whileAwake(int clients, Findings findings, Consumer<Watch> test)
      throws SQLException {
    caravan.stop();
    try (Connection session = central.dataSource().getConnection();
        Statement statement = session.createStatement()) {
      Watch watch = new Watch(statement, () -> clients, findings);
      watch.seesNews(1000);
      assertThat(watch.isAsleep()).isFalse();
      test.accept(watch);
    }
  }

  private static int looksNow(Watch watch, Findings findings) throws SQLException {
    watch.seesNews(0);
    return findings.looks;
  }

  @Test
  void aChangeBetweenTheLastLookAndSleepIsNews() throws Exception {
    caravan.stop();
    try (Connection session = central.dataSource().getConnection();
        Statement statement = session.createStatement()) {
      AtomicBoolean dawdling = new AtomicBoolean();
      Watch watch =
          new Watch(
              before(
                  "select caravan_internal.fall_asleep()",
                  () -> {
                    if (dawdling.get()) {
                      central.execute("update users set n = n + 1");
                    }
                  },
                  statement),
              () -> 1,
              new Findings(false));
      assertThat(watch.seesNews(1000)).isTrue();
      assertThat(watch.isAsleep()).isFalse();
      dawdling.set(true);

      boolean news = false;
      while (!watch.isAsleep()) {
        news = watch.seesNews(0);
      }

      assertThat(news).isTrue();
    }
  }

  /** A statement that first does something else, whenever it is to run this query. */
  private static Statement before(String query, Runnable action, Statement statement) {
    return (Statement)
        Proxy.newProxyInstance(
            WatchTest.class.getClassLoader(),
            new Class<?>[] {Statement.class},
            (proxy, method, args) -> {
              if (args != null && args[0].equals(query)) {
                action.run();
              }
              return method.invoke(statement, args);
            });
  }

  /**
   * Bursts that wake the hub, and after each a last change that dawdles between the trigger and the
   * commit, at about the time when the hub falls asleep. Nothing follows that could make up for it.
   * A slow line widens the gap between looking and sleeping.
   */
  @Tag("slow")
  @Test
  void noChangeFallsBetweenWakingAndSleeping() throws Exception {
    long seed = Long.getLong("watch.seed", System.nanoTime());
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(Long.getLong("watch.seconds", 20));
    System.out.println("WatchTest: -Dwatch.seed=" + seed);
    Random random = new Random(seed);
    PGConnection listener = listen();
    wire.delay(Duration.ofMillis(2));
    int rings = 0;
    int rounds = 0;
    int transactions = 0;
    try (Writer one = new Writer(2, 50);
        Writer other = new Writer(51, 100);
        Writer last = new Writer(1, 1);
        Connection blog = caravan.database("blog").dataSource().getConnection();
        PreparedStatement arrived = blog.prepareStatement("select n from members where id = 1")) {
      while (System.nanoTime() < end) {
        int burst = random.nextInt(8) == 0 ? 0 : 60 + random.nextInt(60);
        Future<?> otherBurst = writers.submit(() -> other.burst(burst));
        one.burst(burst);
        otherBurst.get();
        last.dawdle(random.nextInt(30_000), random.nextInt(5_000));
        rounds++;
        transactions += 2 * burst + 1;
        int expected = rounds;
        await()
            .atMost(SOON)
            .pollDelay(Duration.ZERO)
            .pollInterval(Duration.ofMillis(1))
            .until(() -> number(arrived) == expected);
        rings += rings(listener);
      }
    }
    System.out.printf(
        "WatchTest: %d rounds, %d transactions, %d rings%n", rounds, transactions, rings);
    assertThat(rings).isBetween(1, transactions - 1);
  }

  private static int number(PreparedStatement question) throws SQLException {
    try (ResultSet answer = question.executeQuery()) {
      answer.next();
      return answer.getInt(1);
    }
  }

  /** Changes some of the users, one after another. */
  private final class Writer implements AutoCloseable {
    private final Connection connection = central.dataSource().getConnection();
    private final PreparedStatement update =
        connection.prepareStatement("update users set n = n + 1 where id = ?");
    private final int first;
    private final int count;

    Writer(int first, int last) throws SQLException {
      this.first = first;
      this.count = last - first + 1;
    }

    Void burst(int transactions) throws SQLException {
      for (int i = 0; i < transactions; i++) {
        write(i);
      }
      return null;
    }

    void dawdle(int microsBefore, int microsWithin) throws SQLException {
      LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(microsBefore));
      connection.setAutoCommit(false);
      write(0);
      LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(microsWithin));
      connection.commit();
      connection.setAutoCommit(true);
    }

    private void write(int i) throws SQLException {
      update.setInt(1, first + i % count);
      update.execute();
    }

    @Override
    public void close() throws SQLException {
      connection.close();
    }
  }

  /** Runs it in every writer, and waits for all. */
  private void write(Writing writing) throws Exception {
    List<Future<?>> running = new ArrayList<>();
    for (int i = 0; i < WRITERS; i++) {
      int writer = i;
      running.add(
          writers.submit(
              () -> {
                writing.write(writer);
                return null;
              }));
    }
    for (Future<?> future : running) {
      future.get();
    }
  }

  private PGConnection listen() throws SQLException {
    Connection connection = central.dataSource().getConnection();
    listeners.add(connection);
    try (Statement statement = connection.createStatement()) {
      statement.execute("listen caravan");
    }
    return connection.unwrap(PGConnection.class);
  }

  /** How often the bell has rung for changes since last asked. */
  private int rings(PGConnection listener) throws SQLException {
    central.execute("notify caravan, 'end'");
    int rings = 0;
    while (true) {
      for (var notification : listener.getNotifications(0)) {
        if (notification.getParameter().equals("end")) {
          return rings;
        }
        if (notification.getParameter().contains("public.users")) {
          rings++;
        }
      }
    }
  }

  private void awaitEqual() {
    await().atMost(SOON).pollInterval(Duration.ofMillis(5)).untilAsserted(this::areEqual);
  }

  private void areEqual() {
    assertThat(caravan.database("blog").query("table members order by id"))
        .isEqualTo(central.query("table users order by id"));
  }

  private void awaitAsleep() {
    await().atMost(SOON).until(() -> central.value(ASLEEP).equals("1"));
  }

  @FunctionalInterface
  private interface Writing {
    void write(int writer) throws SQLException;
  }

  /** What looks find: always a page, or nothing that is known. */
  private static final class Findings implements Watch.Reading {
    private final boolean arePages;
    private boolean isApplied = true;
    private long transactions = 1;
    private int looks;

    Findings(boolean arePages) {
      this.arePages = arePages;
    }

    @Override
    public void rung(boolean toLook) {
      throw new IllegalStateException("a watch hears nothing by itself");
    }

    @Override
    public Look look() {
      looks++;
      transactions++;
      return arePages ? new Look(Look.Found.PAGE, "1:" + transactions + ":") : Look.unknown();
    }

    @Override
    public boolean isApplied() {
      return isApplied;
    }
  }
}
