package io.caravan.read;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.caravan.CentralFailure;
import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import io.caravan.Reading;
import io.caravan.client.Cursor;
import io.caravan.client.Wanted;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What clients share when they read central's changes. */
class ChainsTest {
  private final Database central = Postgres.shared().createCentral();
  private final Reading reading = new Reading(central.dataSource());
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final AtomicInteger reads = new AtomicInteger();
  private final Queue<String> bounds = new ConcurrentLinkedQueue<>();
  private final CountDownLatch mayRead = new CountDownLatch(1);
  private final Chains chains = new Chains(this::read, threads);
  private boolean isDown;
  private boolean isSlow;

  @BeforeEach
  void users() {
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users values (1, 'Ada'), (2, 'Bob');
        """);
  }

  @AfterEach
  void stop() {
    mayRead.countDown();
    threads.shutdownNow();
  }

  @Test
  void aPageIsReadOnceForAllWhoStandWhereItBegins() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    central.execute("update users set name = 'Countess' where id = 1");

    assertThat(blog.next(System.nanoTime())).contains("Countess");
    assertThat(shop.next(System.nanoTime())).contains("Countess");

    assertThat(reads).hasValue(1);
    assertThat(shop.cursor.withoutLoaded()).isEqualTo(blog.cursor.withoutLoaded());
  }

  @Test
  void aPageIsReadOnceForAllWhoAskAtTheSameTime() throws Exception {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    central.execute("update users set name = 'Countess' where id = 1");
    isSlow = true;
    long now = System.nanoTime();

    CompletableFuture<String> first = ask(blog, now);
    await().until(() -> reads.get() == 1);
    CompletableFuture<String> second = ask(shop, now);
    mayRead.countDown();

    assertThat(first.join()).contains("Countess").isEqualTo(second.join());
    assertThat(reads).hasValue(1);
  }

  @Test
  void whatWasReadBeforeAClientWasWokenIsNotTheLastItIsToldOf() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    central.execute("update users set name = 'Countess' where id = 1");
    blog.next(System.nanoTime());
    assertThat(blog.hasMore).isFalse();
    central.execute("update users set name = 'Rob' where id = 2");
    long woken = System.nanoTime();

    assertThat(shop.next(woken)).contains("Countess").doesNotContain("Rob");
    assertThat(shop.hasMore).isTrue();
    assertThat(shop.next(woken)).contains("Rob");
    assertThat(shop.hasMore).isFalse();
  }

  @Test
  void nothingNewIsReadOnceForAllWhoWereWokenBefore() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    isSlow = true;
    long woken = System.nanoTime();

    CompletableFuture<String> first = ask(blog, woken);
    await().until(() -> reads.get() == 1);
    CompletableFuture<String> second = ask(shop, woken);
    await().until(() -> threads.toString().contains("active threads = 2"));
    mayRead.countDown();

    assertThat(first.join()).isEqualTo(second.join()).isEqualTo("nothing");
    assertThat(blog.hasMore).isFalse();
    central.execute("update users set name = 'Rob' where id = 2");
    assertThat(shop.next(System.nanoTime())).contains("Rob");
  }

  @Test
  void aClientThatStandsElsewhereJoinsTheOthers() throws CentralFailure {
    Client late = new Client("late");
    central.execute("update users set name = 'Countess' where id = 1");
    Client blog = new Client("blog");
    blog.next(System.nanoTime());
    central.execute("update users set name = 'Rob' where id = 2");

    assertThat(late.next(System.nanoTime())).contains("Countess");
    assertThat(late.hasMore).isTrue();
    assertThat(blog.next(System.nanoTime())).contains("Rob");
    int before = reads.get();

    assertThat(late.next(System.nanoTime())).contains("Rob");
    assertThat(reads).hasValue(before);
  }

  @Test
  void othersJoinAClientThatIsAheadOfThem() throws CentralFailure {
    Client late = new Client("late");
    late.next(System.nanoTime());
    central.execute("update users set name = 'Countess' where id = 1");
    Client ahead = new Client("ahead");

    ahead.next(System.nanoTime());
    assertThat(late.next(System.nanoTime())).contains("Countess");
    central.execute("update users set name = 'Rob' where id = 2");
    assertThat(late.next(System.nanoTime())).contains("Rob");
    int before = reads.get();

    assertThat(ahead.next(System.nanoTime())).contains("Rob");
    assertThat(reads).hasValue(before);
  }

  @Test
  void theNextPageOfABacklogIsReadAhead() throws CentralFailure {
    Client blog = new Client("blog");
    central.execute("insert into users select i, 'user ' || i from generate_series(10, 34) i");

    blog.next(System.nanoTime());

    await().until(() -> reads.get() == 2);
    await().during(Duration.ofMillis(200)).until(() -> reads.get() == 2); // and not all of it
    blog.next(System.nanoTime());
    await().until(() -> reads.get() == 3);
    assertThat(blog.next(System.nanoTime())).contains("user 34");
  }

  @Test
  void whatIsFurtherBehindThanMemoryAllowsIsReadAnew() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    for (String letter : List.of("p", "q", "r", "s", "t")) {
      central.execute("update users set name = repeat('" + letter + "', 3000000) where id = 1");
      blog.next(System.nanoTime());
    }

    String page = shop.next(System.nanoTime());
    assertThat(List.of(page.contains("ppp"), page.contains("ttt"))).containsExactly(false, true);
    assertThat(shop.next(System.nanoTime())).isEqualTo("nothing");
    assertThat(shop.cursor.withoutLoaded()).isEqualTo(blog.cursor.withoutLoaded());
  }

  @Tag("slow")
  @Test
  void whatIsManySmallPagesBehindIsReadAnewInFewerPages() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    for (int i = 0; i < 150; i++) {
      central.execute("update users set name = 'user " + i + "' where id = 1");
      blog.next(System.nanoTime());
    }

    int pages = 0;
    while (!shop.next(System.nanoTime()).equals("nothing")) {
      pages++;
    }

    assertThat(pages).isLessThan(30);
    assertThat(shop.cursor.withoutLoaded()).isEqualTo(blog.cursor.withoutLoaded());
  }

  @Test
  void aFailureIsToldToAllWhoWaitAndForgotten() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    central.execute("update users set name = 'Rob' where id = 2");
    isDown = true;
    assertThatThrownBy(() -> blog.next(System.nanoTime())).hasMessageContaining("central is down");
    assertThatThrownBy(() -> shop.next(System.nanoTime())).hasMessageContaining("central is down");

    isDown = false;

    assertThat(blog.next(System.nanoTime())).contains("Rob");
  }

  @Test
  void aClientThatIsToBeLoadedReadsForItself() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    central.execute(
        """
        select caravan.untrack('public.users');
        select caravan.track('users', '{name}');
        update users set name = 'Rob' where id = 2;
        """);

    for (Client client : new Client[] {blog, shop}) {
      assertThat(client.next(System.nanoTime())).contains("Ada").contains("Rob");
    }
  }

  @Test
  void whatWasReadInAnotherHistoryOfCentralBoundsNoRead() throws CentralFailure {
    Client blog = new Client("blog");
    central.execute("update users set name = 'Countess' where id = 1");
    blog.next(System.nanoTime());
    central.execute("delete from caravan_internal.incarnation"); // as a crash does
    Client forum = new Client("forum");
    central.execute("update users set name = 'Rob' where id = 2");
    bounds.clear();

    assertThat(forum.next(System.nanoTime())).contains("Rob");
    assertThat(bounds).containsExactly("none");
  }

  @Test
  void aChainThatCentralDoesNotGoOnWithIsForgotten() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    central.execute("update users set name = 'Countess' where id = 1");
    blog.next(System.nanoTime());
    central.execute("delete from caravan_internal.incarnation");

    blog.next(System.nanoTime());
    String page = shop.next(System.nanoTime());

    assertThat(page)
        .contains("Countess")
        .contains("Bob"); // all of its rows, and not a page of the chain
  }

  @Test
  void whatALookFindsIsThePageOfWhoStandsThere() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    blog.next(System.nanoTime());
    central.execute("update users set name = 'Countess' where id = 1");
    int before = reads.get();
    long woken = System.nanoTime();

    assertThat(chains.look().found()).isEqualTo(Look.Found.PAGE);

    assertThat(blog.next(woken)).contains("Countess").isEqualTo(shop.next(woken));
    assertThat(List.of(blog.hasMore, shop.hasMore)).containsExactly(false, false);
    assertThat(reads).hasValue(before + 1);
  }

  @Test
  void aRingIsNoReasonToReadOnceMoreAfterALook() throws CentralFailure {
    Client blog = oneChangeBehind();
    chains.rung();
    chains.look();

    chains.wakeAfterRing();

    assertThat(blog.next(chains.wokenAt())).contains("Countess");
    assertThat(blog.hasMore).isFalse();
    assertThat(chains.awaitMore(blog.place(), blog.readAt, 0)).isFalse();
  }

  @Test
  void whatALookHasNotSeenIsReadAfterARing() throws CentralFailure {
    Client blog = oneChangeBehind();
    chains.rung();
    chains.look();
    central.execute("update users set name = 'Rob' where id = 2");
    chains.rung();

    chains.wakeAfterRing();

    assertThat(blog.next(chains.wokenAt())).contains("Countess").doesNotContain("Rob");
    assertThat(blog.hasMore).isTrue();
    assertThat(blog.next(chains.wokenAt())).contains("Rob");
  }

  @Test
  void whoReadsAfterARingThatNobodyLookedForSeesTheChange() throws CentralFailure {
    Client blog = oneChangeBehind();
    long readAt = blog.readAt;
    chains.rung();

    chains.wakeAfterRing();

    assertThat(chains.awaitMore(blog.place(), readAt, 0)).isTrue();
    assertThat(blog.next(chains.wokenAt())).contains("Countess");
  }

  @Test
  void aLookThatFindsNothingSaysUpToWhen() throws CentralFailure {
    Client blog = new Client("blog");
    blog.next(System.nanoTime());

    Look look = chains.look();

    assertThat(look.found()).isEqualTo(Look.Found.NOTHING);
    assertThat(look.snapshot()).isEqualTo(central.value("select pg_current_snapshot()"));
  }

  @Test
  void whileAPageWaitsNobodyKnowsWhatFollows() throws CentralFailure {
    Client blog = oneChangeBehind();
    chains.look();

    assertThat(chains.look()).isEqualTo(Look.unknown());

    blog.next(System.nanoTime());
    assertThat(chains.look().found()).isEqualTo(Look.Found.NOTHING);
  }

  @Test
  void aLookThatFailsLeavesNothingBehind() throws CentralFailure {
    Client blog = oneChangeBehind();
    isDown = true;
    assertThatThrownBy(chains::look).hasMessageContaining("central is down");
    isDown = false;

    assertThat(chains.look().found()).isEqualTo(Look.Found.PAGE);
    assertThat(blog.next(System.nanoTime())).contains("Countess");
  }

  @Test
  void whoeverWaitsGetsWhatALookFinds() throws CentralFailure {
    Client blog = new Client("blog");
    Client shop = blog.twin("shop");
    blog.next(System.nanoTime());
    shop.next(System.nanoTime());
    long woken = System.nanoTime();
    List<CompletableFuture<Boolean>> waiting = List.of(blog.awaitsMore(), shop.awaitsMore());
    central.execute("update users set name = 'Countess' where id = 1");
    int before = reads.get();

    chains.look();

    assertThat(waiting).allSatisfy(client -> assertThat(client.join()).isTrue());
    assertThat(blog.next(woken)).contains("Countess").isEqualTo(shop.next(woken));
    assertThat(reads).hasValue(before + 1);
  }

  @Test
  void aPageIsAppliedWhenMostOfThoseThatWaitedForItHaveComeBack() throws CentralFailure {
    Client blog = new Client("blog");
    List<Client> others = List.of(blog.twin("shop"), blog.twin("forum"));
    for (Client client : List.of(blog, others.get(0), others.get(1))) {
      client.next(System.nanoTime());
      assertThat(client.awaitsMore()).isNotDone();
    }
    assertThat(chains.isApplied()).isTrue();

    central.execute("update users set name = 'Countess' where id = 1");
    chains.look();

    assertThat(chains.isApplied()).isFalse();
    blog.next(System.nanoTime());
    assertThat(blog.awaitsMore()).isNotDone();
    assertThat(chains.isApplied()).isFalse();
    others.get(0).next(System.nanoTime());
    assertThat(others.get(0).awaitsMore()).isNotDone();
    assertThat(chains.isApplied()).isTrue();
  }

  @Test
  void whoeverWaitsHearsThatAllAreWoken() throws CentralFailure {
    Client blog = new Client("blog");
    blog.next(System.nanoTime());
    CompletableFuture<Boolean> waiting = blog.awaitsMore();

    chains.wake(System.nanoTime());

    assertThat(waiting.join()).isTrue();
  }

  /** Or else two that wait at the same chain would make each other read all the time. */
  @Test
  void whoeverWaitsIsNotConcernedByTheWatermarkOfAnother() throws CentralFailure {
    Client blog = new Client("blog");
    central.execute("select pg_current_xact_id()");
    Client shop = new Client("shop");
    central.execute(
        "insert into caravan_internal.watermark (newest) select max(id) from caravan.change");
    blog.next(System.nanoTime());
    while (blog.hasMore) {
      blog.next(System.nanoTime());
    }
    long since = System.nanoTime();
    assertThat(shop.next(System.nanoTime())).isEqualTo("nothing");

    assertThat(chains.awaitMore(blog.place(), since, 0)).isFalse();
  }

  @Test
  void aLookThatFindsNothingEndsNoWaiting() throws CentralFailure {
    Client blog = new Client("blog");
    blog.next(System.nanoTime());
    CompletableFuture<Boolean> waiting = blog.awaitsMore();

    chains.look();

    assertThat(waiting).isNotDone();
    chains.wake(System.nanoTime());
    waiting.join();
  }

  @Test
  void whatCameSinceTheLastReadIsNotWaitedFor() throws CentralFailure {
    Client blog = new Client("blog");
    blog.next(System.nanoTime());
    long since = System.nanoTime();
    chains.wake(System.nanoTime());

    assertThat(chains.awaitMore(blog.place(), since, 0)).isTrue();
    assertThat(chains.awaitMore(blog.place(), System.nanoTime(), 0)).isFalse();
  }

  /** A client that had everything until the Countess came. */
  private Client oneChangeBehind() throws CentralFailure {
    Client blog = new Client("blog");
    blog.next(System.nanoTime());
    central.execute("update users set name = 'Countess' where id = 1");
    return blog;
  }

  private CompletableFuture<String> ask(Client client, long woken) {
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return client.next(woken);
          } catch (CentralFailure e) {
            throw new IllegalStateException(e);
          }
        },
        threads);
  }

  private Answer read(Chains.Place place, String until) throws CentralFailure {
    reads.incrementAndGet();
    bounds.add(until == null ? "none" : until);
    if (isDown) {
      throw new CentralFailure(new IllegalStateException("central is down"));
    }
    Answer answer = query(place.cursor(), place.sources(), until);
    if (isSlow) {
      try {
        mayRead.await();
      } catch (InterruptedException e) {
        throw new CentralFailure(e);
      }
    }
    return answer;
  }

  private Answer query(Cursor cursor, List<Wanted> sources, String until) {
    return reading.page(cursor, sources, 10, 10_000_000, until);
  }

  /** A client that is loaded, and moves its cursor as it does when it applies a page. */
  private final class Client {
    private final List<Wanted> sources;
    private Cursor cursor;
    private boolean hasMore = true;
    private long readAt;

    Client(String name) {
      this(name, null);
      while (hasMore) {
        Answer answer = query(cursor, sources, null);
        cursor = answer.cursor();
        hasMore = answer.hasMore();
      }
    }

    private Client(String name, Cursor cursor) {
      sources = List.of(new Wanted("public.users", name, null, List.of()));
      this.cursor = cursor;
    }

    /** One that stands at the same point. */
    Client twin(String name) {
      return new Client(
          name, Cursor.parse(cursor.json().replaceAll("/[a-z]+\"", "/" + name + "\"")));
    }

    /** The next page. */
    String next(long woken) throws CentralFailure {
      Page page = chains.next(place(), woken);
      hasMore = page.hasMore();
      readAt = page.began();
      if (!page.isEmpty() || !page.isShared()) {
        Cursor next = page.answer().cursor();
        cursor = page.isShared() ? loadedAs(cursor, next) : next;
      }
      return page.isEmpty() ? "nothing" : page.answer().page();
    }

    /** Waits for longer than a test lasts; done when it need not wait any more. */
    CompletableFuture<Boolean> awaitsMore() {
      long since = System.nanoTime();
      Thread[] thread = new Thread[1];
      CompletableFuture<Boolean> done = new CompletableFuture<>();
      threads.execute(
          () -> {
            thread[0] = Thread.currentThread();
            done.complete(chains.awaitMore(place(), since, TimeUnit.HOURS.toNanos(1)));
          });
      await().until(() -> thread[0] != null && thread[0].getState() == Thread.State.TIMED_WAITING);
      return done;
    }

    Chains.Place place() {
      SharedPosition position = SharedPosition.of(cursor, sources).orElseThrow();
      return Chains.Place.of(cursor, sources, position, 10, 10_000_000);
    }

    private Cursor loadedAs(Cursor mine, Cursor next) {
      return new Cursor(
          next.epoch(), next.snapshot(), next.watermark(), mine.loaded(), null, next.window());
    }
  }
}
