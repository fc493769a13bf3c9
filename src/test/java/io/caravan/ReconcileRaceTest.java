package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import io.caravan.client.TargetNumber;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Comparisons, one after another, of a small table that several writers change as fast as they can,
 * while other rows of it are spoiled at the client: what is found is what was spoiled, and no row
 * ever goes back to an older state. {@code -Drace.seconds=600} runs hundreds.
 */
@Tag("slow")
class ReconcileRaceTest {
  private static final int WRITERS = 3;
  private static final int BUSY_KEYS = 60;
  private static final int KINDS = 9;

  private final Duration time = Duration.ofSeconds(Long.getLong("race.seconds", 30));
  private final long seed = Long.getLong("race.seed", System.nanoTime());
  private final Caravan caravan = new Caravan();
  private final Database central = caravan.central();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final AtomicBoolean writing = new AtomicBoolean(true);
  private final AtomicInteger written = new AtomicInteger();

  @AfterEach
  void stop() {
    threads.shutdownNow();
    caravan.close();
  }

  @Test
  void onlyWhatWasSpoiledIsFoundAndNothingGoesBack() throws Exception {
    central.execute(
        """
        create table users (
          id int primary key, name text, version bigint, note text, amount numeric, at timestamptz, ratio float8
        );
        create sequence versions;
        insert into users
        select i, U&'qui\\00e9t', 0, null, 1.0, '2024-10-27 02:30+02', 'Infinity' from generate_series(1001, 1500) as i;
        select caravan.track('users', '{name, version, note, amount, at, ratio}');
        """);
    caravan.client(
        "blog",
        """
        create table members (
          id int primary key, name text, version bigint, note text, amount numeric, at timestamptz, ratio float8
        );
        create table newest (id int primary key, version bigint);
        create table went_back (id int, version bigint, newest bigint);
        create function watch() returns trigger language plpgsql set search_path = public as $$
        declare
          before bigint := (select n.version from newest n where n.id = new.id);
        begin
          if new.version < before then
            insert into went_back values (new.id, new.version, before);
          end if;
          insert into newest values (new.id, new.version) on conflict (id) do update set version = excluded.version;
          return new;
        end
        $$;
        create trigger watch after insert or update on members for each row execute function watch();
        """,
        """
        [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
          "columns": {"name": "name", "version": "version", "note": "note", "amount": "amount", "at": "at",
            "ratio": "ratio"}}]
        """);
    caravan.set("caravan.reconcile", "200").set("caravan.reconcile.percent", "0").start();
    await().until(() -> !central.query("table caravan.verification").isEmpty());
    awaitEqual();

    List<Future<?>> writers = new ArrayList<>();
    for (int writer = 0; writer < WRITERS; writer++) {
      writers.add(threads.submit(writer(new Random(seed + writer))));
    }
    Random random = new Random(seed - 1);
    int runs = 0;
    int spoiled = 0;
    for (long end = System.nanoTime() + time.toNanos(); System.nanoTime() < end; runs++) {
      List<Integer> keys =
          random.ints(random.nextInt(4), 1001, 1501).distinct().sorted().boxed().toList();
      List<Integer> differing =
          keys.stream().map(key -> spoil(key, random.nextInt(KINDS))).sorted().toList();
      spoiled += keys.size();
      assertThat(reconcile())
          .as("run %d of -Drace.seed=%d", runs, seed)
          .isEqualTo(differing + " " + keys.size() + " repaired");
    }
    writing.set(false);
    for (Future<?> writer : writers) {
      writer.get();
    }

    awaitEqual();
    assertThat(caravan.database("blog").query("table went_back")).isEmpty();
    System.out.printf(
        "ReconcileRaceTest: %d comparisons during %d changes, %d rows spoiled and repaired%n",
        runs, written.get(), spoiled);
    assertThat(runs).isGreaterThan((int) time.toSeconds() / 10);
  }

  private Callable<Void> writer(Random random) {
    return () -> {
      try (Connection connection = central.dataSource().getConnection();
          Statement statement = connection.createStatement()) {
        while (writing.get()) {
          int key = 1 + random.nextInt(BUSY_KEYS);
          // In turn, for a version that was drawn before another one may be written after it.
          String inTurn = "select pg_advisory_xact_lock(" + key + ");";
          statement.execute(
              inTurn
                  + switch (random.nextInt(4)) {
                    case 0 -> "delete from users where id = " + key;
                    case 1 ->
                        """
                        insert into users values (%d, 'new', nextval('versions'))
                        on conflict (id) do update set version = excluded.version
                        """
                            .formatted(key);
                    default ->
                        "update users set version = nextval('versions'), name = name || '.' where id = "
                            + key;
                  });
          written.incrementAndGet();
        }
      }
      return null;
    };
  }

  /** Spoils a row, or adds one that central does not have; returns its key. */
  private int spoil(int key, int kind) {
    String surplus =
        """
        insert into members values (%1$d, 'surplus', 0);
        insert into caravan.replicated values (%2$d, '[%1$d]')
        """;
    String update = "update members set %s where id = %d";
    caravan
        .database("blog")
        .execute(
            switch (kind) {
              case 0 -> "delete from members where id = " + key;
              case 1 ->
                  surplus.formatted(
                      key + 1000, TargetNumber.of("blog", "public.users", "public.members", 1));
              case 2 -> update.formatted("name = name || ' '", key);
              case 3 -> update.formatted("name = normalize(name, NFD)", key);
              case 4 -> update.formatted("name = null", key);
              case 5 -> update.formatted("note = ''", key);
              case 6 -> update.formatted("amount = 1.00", key);
              case 7 -> update.formatted("at = at + interval '1 hour'", key);
              default -> update.formatted("ratio = null", key);
            });
    return kind == 1 ? key + 1000 : key;
  }

  /** The keys that a comparison finds, and how many of them it has repaired. */
  private String reconcile() {
    String run = central.value("select caravan.reconcile('blog')");
    String ended =
        "select state from caravan.reconciliation where state not in ('requested', 'running') and id = ";
    await()
        .atMost(Duration.ofMinutes(1))
        .pollInterval(Duration.ofMillis(5))
        .until(() -> !central.query(ended + run).isEmpty());
    return central.value(
        """
        select concat('[', string_agg(f.key #>> '{}', ', ' order by f.key), '] ', min(repaired), ' repaired',
          min(case when state <> 'done' or notes <> '{}' then concat(' ', state, ' ', notes) end))
        from caravan.reconciliation
        left join lateral (select f #> '{key,0}' from jsonb_array_elements(found) as f) as f (key) on true
        where id = %s
        """
            .formatted(run));
  }

  private void awaitEqual() throws SQLException {
    caravan.awaitEqual(
        "select * from users order by id", "blog", "select * from members order by id");
  }
}
