package io.caravan.read;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.CentralFailure;
import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import io.caravan.Reading;
import io.caravan.read.InitialLoads.Place;
import java.sql.SQLException;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.Queue;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** How the pages of an initial load are read. */
class InitialLoadsTest {
  private static final Place START = new Place(null, Reading.of("public.users"), 2, 1_000_000);

  private final Database central = Postgres.shared().createCentral();
  private final Queue<Runnable> ahead = new ArrayDeque<>();
  private final InitialLoads loads = new InitialLoads(this::read, ahead::add);
  private int reads;
  private boolean isDown;

  @BeforeEach
  void users() {
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users select n, 'user' || n from generate_series(1, 5) as n;
        """);
  }

  @Test
  void whileAPageIsAppliedTheNextOneIsRead() throws CentralFailure {
    Page first = loads.next("blog", START);
    readAhead();
    central.execute("update users set name = 'too late'");

    Page second = loads.next("blog", after(first));

    assertThat(pageOf(first)).contains("user1", "user2").doesNotContain("user3");
    assertThat(pageOf(second)).contains("user3", "user4").doesNotContain("user5");
  }

  @Test
  void nothingIsReadBeyondTheLastPage() throws CentralFailure {
    Page page = loads.next("blog", START);
    readAhead();
    page = loads.next("blog", after(page));
    readAhead();
    page = loads.next("blog", after(page));

    assertThat(pageOf(page)).contains("user5");
    assertThat(page.answer().cursor().load()).isNull();
    assertThat(ahead).isEmpty();
    assertThat(reads).isEqualTo(3);
  }

  @Test
  void aClientThatCouldNotApplyAPageGetsItAnew() throws CentralFailure {
    Page first = loads.next("blog", START);
    readAhead();
    loads.next("blog", after(first));
    readAhead();
    central.execute("update users set name = 'newer' where id = 3");

    Page again = loads.next("blog", after(first));

    assertThat(pageOf(again)).contains("newer", "user4");
  }

  @Test
  void aClientDoesNotGetThePageOfAnother() throws CentralFailure {
    Page first = loads.next("blog", START);
    readAhead();
    central.execute("delete from users where id = 3");

    Page second = loads.next("shop", after(first));

    assertThat(pageOf(second)).contains("user4", "user5");
  }

  @Test
  void whatFailsAheadIsToldToTheClientAndReadAgainWhenItAsksAgain() throws CentralFailure {
    Page first = loads.next("blog", START);
    isDown = true;
    readAhead();
    isDown = false;

    assertThatThrownBy(() -> loads.next("blog", after(first)))
        .isInstanceOf(CentralFailure.class)
        .hasMessageContaining("central is down");
    assertThat(pageOf(loads.next("blog", after(first)))).contains("user3", "user4");
  }

  @Test
  void notForAllOfManyClientsIsReadAhead() throws CentralFailure {
    for (int n = 1; n <= 10; n++) {
      loads.next("client" + n, START);
    }

    assertThat(ahead).hasSize(4);
  }

  private void readAhead() {
    ahead.remove().run();
  }

  private static String pageOf(Page page) {
    return page.answer().page();
  }

  private static Place after(Page page) {
    return START.at(page.answer().cursor());
  }

  private Page read(Place place) throws CentralFailure {
    if (isDown) {
      throw new CentralFailure(new SQLException("central is down"));
    }
    reads++;
    Answer answer =
        new Reading(central.dataSource())
            .page(place.cursor(), place.sources(), place.pageRows(), place.pageBytes(), null);
    return new Page(answer, System.nanoTime(), Optional.empty());
  }
}
