package io.caravan;

import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.io.IOException;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.postgresql.copy.CopyManager;
import org.postgresql.core.BaseConnection;

/**
 * What reconciling costs, in ratios of one run: {@code mvn test -Dtest=ReconcileBench}, with {@code
 * -Dbench.rows=1000000} and both sides and the hub on one machine.
 */
class ReconcileBench {
  private static final int ROUNDS = 5;
  private static final String BARE =
      "select count(*), sum(hashtextextended(concat_ws('|', %s), 0)) from %s";

  private final int rows = Integer.getInteger("bench.rows", 1_000_000);
  private final Postgres centralServer = new Postgres(Map.of("shared_buffers", "512MB"));
  private final Postgres clientServer = new Postgres(Map.of("shared_buffers", "512MB"));
  private final Caravan caravan = new Caravan(centralServer);
  private final Database central = caravan.central();
  private final ExecutorService threads = Executors.newCachedThreadPool();

  @Test
  void measure() throws Exception {
    central.execute(
        """
        create table users (id bigint primary key, name text, email text);
        insert into users select i, 'user ' || i, 'u' || i || '@example.org' from generate_series(1, %d) as i;
        select caravan.track('users', '{name, email}');
        """
            .formatted(rows));
    central.execute("analyze users");
    caravan.client(
        clientServer,
        "blog",
        """
        create table members (user_id bigint primary key, nickname text, mail text, karma int default 1);
        create table copied (like members including all);
        """,
        """
        [{"source": "public.users", "table": "public.members", "key": {"user_id": "id"},
          "columns": {"nickname": "name", "mail": "email"}}]
        """);
    Database blog = caravan.database("blog");
    Wire wire = new Wire(blog.port());
    caravan.set("blog.url", blog.url().replace(":" + blog.port(), ":" + wire.port()));
    caravan.set("caravan.reconcile", "1000").set("caravan.reconcile.percent", "0");
    HubProcess hub = caravan.startProcess("-Xmx64m").awaitStarted();

    Duration fill =
        time(
            () ->
                await()
                    .atMost(Duration.ofMinutes(10))
                    .pollInterval(Duration.ofMillis(100))
                    .until(
                        () ->
                            blog.value(
                                    "select count(*) from caravan.cursor where cursor -> 'filled' ? 'public.users'")
                                .equals("1")));
    Duration copy = time(this::copy);
    say("filling takes %.1f times COPY (%d s)".formatted(ratio(fill, copy), fill.toSeconds()));
    blog.execute("drop table copied; analyze");
    vacuum(central);
    vacuum(blog);

    List<Duration> bares = new ArrayList<>();
    List<Duration> equals = new ArrayList<>();
    List<Duration> differing = new ArrayList<>();
    for (int round = 0; round < ROUNDS; round++) {
      bares.add(time(this::bare));
      equals.add(reconcile());
      spoil(blog);
      differing.add(reconcile());
      vacuum(blog);
    }
    Duration bare = median(bares);
    Duration equal = median(equals);
    say(
        "bare digests %s ms, equal %s ms, 1,000 differences %s ms"
            .formatted(millis(bares), millis(equals), millis(differing)));
    say(
        "nothing differs: %.2f times the bare digests; 1,000 differences: %.2f times that"
            .formatted(ratio(equal, bare), ratio(median(differing), equal)));

    List<Duration> quiet = live(() -> 0L);
    List<Duration> busy =
        live(
            () -> {
              long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
              while (System.nanoTime() < end) {
                reconcile();
              }
              return 0L;
            });
    say(
        "p99 of 200 changes a second: %d ms, while reconciling without a pause %d ms: %.1f times"
            .formatted(p99(quiet).toMillis(), p99(busy).toMillis(), ratio(p99(busy), p99(quiet))));

    Duration near = reconcile();
    wire.delay(Duration.ofMillis(50));
    Duration far = reconcile();
    say("100 ms away: %.1f round trips".formatted((far.toMillis() - near.toMillis()) / 100.0));
    say("the hub, with -Xmx64m, is %s".formatted(hub.isAlive() ? "alive" : "dead"));
    caravan.close();
    wire.close();
    threads.shutdownNow();
    centralServer.close();
    clientServer.close();
  }

  private Void bare() throws Exception {
    Future<?> there =
        threads.submit(
            () ->
                caravan
                    .database("blog")
                    .query(BARE.formatted("user_id, nickname, mail", "members")));
    central.query(BARE.formatted("id, name, email", "users"));
    there.get();
    return null;
  }

  /** How long a comparison takes, by central's clock. */
  private Duration reconcile() {
    String run = central.value("select caravan.reconcile('blog')");
    await()
        .atMost(Duration.ofMinutes(5))
        .pollInterval(Duration.ofMillis(20))
        .until(
            () ->
                central.value("select ended_at from caravan.reconciliation where id = " + run)
                    != null);
    return Duration.ofMillis(
        Long.parseLong(
            central.value(
                "select round(1000 * extract(epoch from ended_at - started_at)) from caravan.reconciliation where id = "
                    + run)));
  }

  /** 400 stale, 300 missing, 300 surplus rows, anywhere. */
  private void spoil(Database blog) {
    blog.execute(
        """
        update members set mail = mail || ' ' where user_id in (select distinct (random() * %1$d)::int from generate_series(1, 400));
        delete from members where user_id in (select distinct (random() * %1$d)::int from generate_series(1, 300));
        insert into members select %1$d + i, 'surplus' from generate_series(1, 300) as i;
        insert into caravan.owned select 'blog', 'public.members', 'public.users', jsonb_build_array(%1$d + i) from generate_series(1, 300) as i;
        """
            .formatted(rows));
  }

  /** The latencies of 200 changes a second for as long as something is done. */
  private List<Duration> live(Callable<Long> work) throws Exception {
    List<Duration> latencies = Collections.synchronizedList(new ArrayList<>());
    Future<Long> doing = threads.submit(work);
    long next = System.nanoTime();
    long end = next + TimeUnit.SECONDS.toNanos(10);
    try (Connection connection = central.dataSource().getConnection();
        Statement statement = connection.createStatement();
        Connection there = caravan.database("blog").dataSource().getConnection();
        Statement asking = there.createStatement()) {
      for (int i = 1; System.nanoTime() < end || !doing.isDone(); i++) {
        int key = 1 + i % rows;
        statement.execute("update users set name = 'live " + i + "' where id = " + key);
        if (i % 20 == 0) {
          long committed = System.nanoTime();
          boolean arrived = false;
          while (!arrived) {
            try (var result =
                asking.executeQuery("select nickname from members where user_id = " + key)) {
              arrived = result.next() && ("live " + i).equals(result.getString(1));
            }
          }
          latencies.add(Duration.ofNanos(System.nanoTime() - committed));
        }
        next += TimeUnit.MILLISECONDS.toNanos(5);
        LockSupport.parkNanos(next - System.nanoTime());
      }
    }
    return latencies;
  }

  private Void copy() throws SQLException, IOException, InterruptedException {
    try (Connection from = central.dataSource().getConnection();
        Connection to = DriverManager.getConnection(caravan.database("blog").url());
        PipedOutputStream out = new PipedOutputStream();
        PipedInputStream in = new PipedInputStream(out, 1 << 16)) {
      Thread reading =
          new Thread(
              () -> {
                try (out) {
                  new CopyManager((BaseConnection) from)
                      .copyOut("copy users (id, name, email) to stdout", out);
                } catch (SQLException | IOException e) {
                  throw new IllegalStateException(e);
                }
              },
              "copy");
      reading.start();
      new CopyManager((BaseConnection) to)
          .copyIn("copy copied (user_id, nickname, mail) from stdin", in);
      reading.join();
    }
    return null;
  }

  private static void vacuum(Database database) throws SQLException {
    try (Connection connection = database.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("vacuum analyze");
    }
  }

  private interface Work {
    void run() throws Exception;
  }

  private static Duration time(Work work) throws Exception {
    Instant start = Instant.now();
    work.run();
    return Duration.between(start, Instant.now());
  }

  private static double ratio(Duration one, Duration other) {
    return (double) one.toNanos() / other.toNanos();
  }

  private static Duration median(List<Duration> durations) {
    return durations.stream().sorted().toList().get(durations.size() / 2);
  }

  private static Duration p99(List<Duration> durations) {
    return durations.stream().sorted().toList().get(durations.size() * 99 / 100);
  }

  private static List<Long> millis(List<Duration> durations) {
    return durations.stream().map(Duration::toMillis).toList();
  }

  private static void say(String line) {
    System.out.println("ReconcileBench: " + line);
  }
}
