package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import io.caravan.client.StoredPosition;
import io.caravan.client.Wanted;
import io.caravan.install.Installation;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.slf4j.LoggerFactory;

/** A central of an older release is brought up to date while it is used. */
class UpgradeTest extends WithBlog {
  private static final String TABLES =
      """
      create table members (id int primary key, name text check (name <> 'bad'));
      create table orders (shop text, day date, note text, primary key (shop, day));
      """;
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}},
       {"source": "public.\\"Orders\\"", "table": "public.orders", "rows": "central",
        "key": {"shop": "shop", "day": "day"}, "columns": {"note": "note"}}]
      """;
  // But for the row that the clients refuse.
  private static final String USERS = "select id, name from users where id <> 5 order by id";
  private static final String MEMBERS = "select id, name from members where id <> 5 order by id";

  @ParameterizedTest
  @EnumSource
  void nothingIsLostAndNobodyIsFilledAgainWhenAHubUpgradesCentralUnderWriters(Older older)
      throws Exception {
    givenAnOlderCentral(older);
    givenAFilledClient("blog", older);
    central.execute("update users set name = 'changed while the shop was away' where id <= 100");
    givenAFilledClient("shop", older);
    central.execute("update users set name = 'bad' where id = 5; delete from users where id = 7");
    central.execute(
        """
        select caravan.bury('blog', '[{"source": "public.users", "key": [5], "sqlstate": "23514", "message": "bad"}]', '[]', 1000);
        select caravan.bury('shop', '[{"source": "public.users", "key": [6], "sqlstate": "23514", "message": "bad"}]', '[]', 1000);
        select caravan.give_up('shop', 'public.users', '[6]', 'never mind');
        """);
    String run = givenARunUnderWay();

    try (Log log = new Log("caravan.");
        Load load = new Load()) {
      load.awaitMore(500);
      caravan.set("caravan.migrate", "true").start();
      awaitLong().until(() -> isUpToDate());
      load.awaitMore(500);
      load.stop();

      for (String client : List.of("blog", "shop")) {
        awaitEqual(USERS, MEMBERS, client);
        awaitEqual(
            "select * from \"Orders\" order by 1, 2", "select * from orders order by 1, 2", client);
      }
      assertThat(log.lines())
          .contains(
              "INFO central is of an older release%s: the hub has installed version %d"
                  .formatted(older.said, Installation.VERSION))
          .noneMatch(line -> line.contains("rows of public."));
      LoggerFactory.getLogger(UpgradeTest.class)
          .info("the longest write during the upgrade of {} took {} ms", older, load.longest());
    }
    awaitLetters("public.users [5] 23514 open", "public.users [5] 23514 open"); // one a client
    assertThat(
            central.query(
                "select client, key, reason from caravan.dead_letter where state = 'given up'"))
        .containsExactly(List.of("shop", "[6]", "never mind"));
    awaitLong()
        .until(
            () ->
                central
                    .value("select state from caravan.reconciliation where id = " + run)
                    .equals("done"));
    assertThat(central.query("table caravan.problems")).isEmpty();
  }

  @Test
  void aTransactionThatStaysOpenKeepsAnInstallationWaitingAndNobodyElse() throws Exception {
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        update caravan.source set made_by = 'an older release';
        """);
    ExecutorService installer = Executors.newSingleThreadExecutor();
    try (Connection open = central.dataSource().getConnection();
        Statement statement = open.createStatement()) {
      open.setAutoCommit(false);
      statement.execute("insert into users values (1, 'uncommitted')");

      Future<?> installation = installer.submit(() -> central.install(Path.of("sql/central")));
      awaitLong().until(() -> !central.query(WAITING).isEmpty());
      for (int id = 100; id < 120; id++) {
        central.execute(
            "set statement_timeout = '2s'; insert into users values (%d, 'quick')".formatted(id));
      }
      assertThat(installation.isDone()).isFalse();
      open.commit();

      installation.get(30, TimeUnit.SECONDS);
    } finally {
      installer.shutdownNow();
    }
    assertThat(central.value("select made_by = caravan_internal.making() from caravan.source"))
        .isEqualTo("t");
  }

  private static final String WAITING =
      "select from pg_locks where locktype = 'relation' and relation = 'users'::regclass and not granted";

  private void givenAnOlderCentral(Older older) throws Exception {
    central.execute("drop schema caravan, caravan_internal cascade");
    central.execute(Files.readString(Path.of("src/test/resources/older", older.file)));
    central.execute(
        """
        create table users (id int primary key, name text, visits int not null default 0);
        create table "Orders" (shop text, day date, note text, primary key (shop, day));
        select caravan.track('users', '{name}');
        select caravan.track('"Orders"', '{note}', payload => 'row');
        insert into users select i, 'user ' || i from generate_series(1, 2000) as i;
        insert into "Orders" select 'shop ' || i, '2026-01-01', 'ordered' from generate_series(1, 200) as i;
        """);
  }

  /** As a hub of the older release leaves it. */
  private void givenAFilledClient(String name, Older older) throws Exception {
    caravan.client(name, TABLES, MAPPING);
    Database client = caravan.database(name);
    String sources = quoted(sources(client, name));
    String cursor =
        older == Older.WITHOUT_VERSION ? filledByCentral(sources) : filledByTheHub(sources);
    client.execute(
        """
        insert into members select * from json_populate_recordset(null::members, %s);
        insert into orders select * from json_populate_recordset(null::orders, %s);
        insert into caravan.replicated
        select ('x' || left(md5(concat_ws(E'\\n', '%s', 'public.users', 'public.members', 1)), 16))::bit(64)::bigint,
          jsonb_build_array(id)::text
        from members;
        update caravan.cursor set cursor = %s::jsonb, step = 1;
        """
            .formatted(
                quoted(central.value("select json_agg(u) from users as u")),
                quoted(central.value("select json_agg(o) from \"Orders\" as o")),
                name,
                quoted(cursor)));
  }

  /** A cursor after the pages of an initial load, which central made then. */
  private String filledByCentral(String sources) {
    String cursor = null;
    for (boolean more = true; more; ) {
      List<String> page =
          central
              .query(
                  "select cursor, progress is not null from caravan.read(%s::jsonb, %s::jsonb, 1000, 1000000)"
                      .formatted(quoted(cursor), sources))
              .get(0);
      cursor = page.get(0);
      more = page.get(1).equals("t");
    }
    return cursor;
  }

  /** The same, when the hub made them. */
  private String filledByTheHub(String sources) {
    return central.value(
        """
        select cursor - 'fill' || jsonb_build_object('filled', (
          select jsonb_object_agg(s.name, s.id || '/' || w.fingerprint)
          from jsonb_to_recordset(%1$s) as w (source text, fingerprint text)
          join caravan.source s on s.name = w.source
        ))
        from caravan.read(null, %1$s)
        """
            .formatted(sources));
  }

  private static String sources(Database client, String name) throws Exception {
    try (Connection connection = client.dataSource().getConnection()) {
      return StoredPosition.of(connection, name, MAPPING).sources().stream()
          .map(UpgradeTest::wanted)
          .collect(Collectors.joining(", ", "[", "]"));
    }
  }

  private static String wanted(Wanted source) {
    return "{\"source\": \"%s\", \"fingerprint\": \"%s\"}"
        .formatted(source.source().replace("\"", "\\\""), source.fingerprint());
  }

  private static String quoted(String text) {
    return text == null ? "null" : "'" + text.replace("'", "''") + "'";
  }

  /** Its hub has died. */
  private String givenARunUnderWay() {
    String run =
        central.value(
            "select run from caravan.claim_run('blog', %s::jsonb, 'the hub of before', null, 1)"
                .formatted(quoted(MAPPING)));
    central.execute("update caravan.reconciliation set alive_at = now() - interval '5 minutes'");
    return run;
  }

  private boolean isUpToDate() {
    return central.value("select to_regprocedure('caravan.version()') is not null").equals("t");
  }

  private void awaitEqual(String centralQuery, String clientQuery, String client) {
    caravan.awaitEqual(centralQuery, client, clientQuery);
  }

  /** Releases whose SQL is kept here. */
  private enum Older {
    WITHOUT_VERSION("central.sql", ""),
    VERSION_2(
        "version-2.sql",
        " (its SQL has version 2, this hub works with %d)".formatted(Installation.VERSION));

    private final String file;
    private final String said;

    Older(String file, String said) {
      this.file = file;
      this.said = said;
    }
  }

  /** Some who write to the sources all the time, and are never refused. */
  private final class Load implements AutoCloseable {
    private final ExecutorService threads = Executors.newFixedThreadPool(3);
    private final List<Future<?>> writers = new ArrayList<>();
    private final AtomicLong writes = new AtomicLong();
    private final AtomicLong longest = new AtomicLong();
    private volatile boolean stopping;

    Load() {
      for (int writer = 0; writer < 3; writer++) {
        int first = 10_000 * (writer + 1);
        writers.add(threads.submit(() -> write(first)));
      }
    }

    private Void write(int first) throws Exception {
      try (Connection connection = central.dataSource().getConnection();
          Statement statement = connection.createStatement()) {
        for (int i = 0; !stopping; i++) {
          long began = System.nanoTime();
          statement.execute(
              switch (i % 4) {
                case 0 -> "insert into users values (%d, 'new')".formatted(first + i);
                case 1 -> "update users set name = 'again' where id = %d".formatted(first + i - 1);
                case 2 ->
                    "update \"Orders\" set note = 'of %d' where shop = 'shop %d'"
                        .formatted(first + i, 1 + i % 200);
                default ->
                    "delete from users where id = %d and id %% 8 = 0".formatted(first + i - 3);
              });
          longest.accumulateAndGet((System.nanoTime() - began) / 1_000_000, Math::max);
          writes.incrementAndGet();
        }
      }
      return null;
    }

    void awaitMore(int count) {
      long enough = writes.get() + count;
      awaitLong().failFast(this::hasFailed).until(() -> writes.get() >= enough);
    }

    private boolean hasFailed() {
      return writers.stream().anyMatch(Future::isDone);
    }

    long longest() {
      return longest.get();
    }

    void stop() throws Exception {
      stopping = true;
      for (Future<?> writer : writers) {
        writer.get();
      }
    }

    @Override
    public void close() {
      stopping = true;
      threads.shutdown();
    }
  }
}
