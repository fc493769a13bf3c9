package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What becomes of the changes that a client refuses. */
class DeadLetterTest {
  private final Caravan caravan = new Caravan();

  @BeforeEach
  void usersAndOrders() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text, email text);
            create table orders (id int primary key, user_id int, item text);
            select caravan.track('users', '{name, email}');
            select caravan.track('orders', '{user_id, item}');
            insert into users
            select i, 'user ' || i, 'u' || i || '@example.org' from generate_series(1, 50) as i;
            """);
    caravan.client(
        "shop",
        """
        create table customer (
          id int primary key, name varchar(20) not null check (name <> 'nobody'), email text not null unique
        );
        create table purchase (id int primary key, customer_id int references customer, item text);
        """,
        """
        [{"source": "public.users", "table": "public.customer", "key": {"id": "id"},
          "columns": {"name": "name", "email": "email"}},
         {"source": "public.orders", "table": "public.purchase", "key": {"id": "id"},
          "columns": {"customer_id": "user_id", "item": "item"}
        }]
        """);
    caravan.start();
    awaitEqualUsers();
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aRefusedRowIsKeptWithItsCauseButWithoutItsData() {
    central("update users set name = 'a name that is too long for the shop' where id = 7");

    awaitLetters("shop public.users [7] 22001 open");
    assertThat(caravan.central().query("select * from caravan.dead_letter").toString())
        .doesNotContain("a name that");
  }

  @Test
  void everythingElseOfTheTransactionIsApplied() {
    central(
        """
        update users set name = null where id = 7;
        update users set name = 'nobody' where id = 8;
        update users set name = 'new' where id in (9, 10);
        delete from users where id = 11;
        """);

    awaitLetters("shop public.users [7] 23502 open", "shop public.users [8] 23514 open");
    awaitShop("select count(*) from customer where name = 'new'", "2");
    assertThat(shop("select count(*) from customer where id = 11")).isEqualTo("0");
  }

  @Test
  void aLaterStateThatFitsResolvesIt() {
    central("update users set name = null where id = 7");
    awaitLetters("shop public.users [7] 23502 open");

    central("update users set name = 'fits' where id = 7");

    awaitLetters();
    awaitEqualUsers();
    assertThat(caravan.central().value("select state from caravan.dead_letter"))
        .isEqualTo("resolved");
  }

  @Test
  void aRefusedDeletionIsResolvedByAReplayWhenTheClientLetsGo() {
    caravan
        .database("shop")
        .execute(
            "create table reviews (customer_id int references customer); insert into reviews values (7)");
    central("delete from users where id = 7");
    awaitLetters("shop public.users [7] 23503 open");

    caravan.database("shop").execute("delete from reviews");
    central("select caravan.replay('shop', 'public.users', '[7]')");

    awaitLetters();
    awaitEqualUsers();
  }

  @Test
  void aRefusedTruncateBecomesDeletionsOfItsRowsOneByOne() {
    caravan
        .database("shop")
        .execute(
            "create table reviews (customer_id int references customer); insert into reviews values (7)");

    central("truncate users; insert into users values (1, 'new', 'new@example.org')");

    awaitLetters("shop public.users [7] 23503 open");
    awaitShop("select string_agg(id::text, ',' order by id) from customer", "1,7");
  }

  @Test
  void allOfOneCauseAreReplayed() {
    caravan
        .database("shop")
        .execute("alter table customer add constraint short check (length(name) < 9)");
    central("update users set name = 'longer than that' where id <= 3");
    central("update users set name = null where id = 4");
    awaitLetters(
        "shop public.users [1] 23514 open",
        "shop public.users [2] 23514 open",
        "shop public.users [3] 23514 open",
        "shop public.users [4] 23502 open");

    caravan.database("shop").execute("alter table customer drop constraint short");
    assertThat(caravan.central().value("select caravan.replay(sqlstate => '23514')"))
        .isEqualTo("3");

    awaitLetters("shop public.users [4] 23502 open");
  }

  @Test
  void aLetterIsGivenUpWithAReasonAndOpensAgainWhenALaterStateIsRefused() {
    central("update users set name = null where id = 7");
    awaitLetters("shop public.users [7] 23502 open");
    assertThatThrownBy(() -> central("select caravan.give_up('shop', 'public.users', '[7]', '')"))
        .hasMessageContaining("reason");

    central("select caravan.give_up('shop', 'public.users', '[7]', 'left the shop')");

    awaitLetters();
    central("update users set email = 'other@example.org' where id = 7");
    awaitLetters("shop public.users [7] 23502 open");
  }

  @Test
  void aClientsOwnTriggerMayRefuse() {
    caravan
        .database("shop")
        .execute(
            """
            create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'not on my watch'; end $$;
            create trigger refuse before update on customer for each row when (old.id = 7)
            execute function refuse();
            """);

    central("update users set name = 'new' where id in (7, 8)");

    awaitLetters("shop public.users [7] P0001 open");
    awaitShop("select name from customer where id = 8", "new");
  }

  @Test
  void usersWhoSwapTheirEmailsEndRight() {
    central(
        """
        update users set email = 'free' where id = 1;
        update users set email = 'u1@example.org' where id = 2;
        update users set email = 'u2@example.org' where id = 1;
        """);

    awaitEqualUsers();
    awaitLetters();
  }

  @Test
  void aChainOfUsersWhoEachTakeTheNextOnesEmailEndsRight() {
    central(
        """
        update users set email = 'free' where id = 1;
        do $$ begin
          for i in 2 .. 50 loop
            update users set email = 'u' || i - 1 || '@example.org' where id = i;
          end loop;
        end $$;
        update users set email = 'u50@example.org' where id = 1;
        """);

    awaitEqualUsers();
    awaitLetters();
  }

  @Test
  void aRowWhoseParentIsRefusedFollowsWhenTheParentDoes() {
    central(
        """
        insert into users values (100, null, 'u100@example.org');
        insert into orders values (1, 100, 'hat');
        """);
    awaitLetters("shop public.orders [1] 23503 open", "shop public.users [100] 23502 open");

    central("update users set name = 'Cy' where id = 100");

    awaitEqualUsers();
    awaitLetters();
    assertThat(shop("select item from purchase")).isEqualTo("hat");
  }

  @Tag("slow")
  @Test
  void aStormOfRefusalsStopsTheClientAndWritesNoMillionLetters() {
    caravan
        .database("shop")
        .execute("alter table customer add constraint closed check (id < 1000)");
    central("insert into users select i, 'n', 'u' || i from generate_series(1000, 5000) as i");
    String letters = "select count(*) from caravan.dead_letter";
    await().until(() -> caravan.central().value(letters).equals("1000"));

    caravan.database("shop").execute("alter table customer drop constraint closed");
    central("select caravan.replay()");

    awaitEqualUsers();
    awaitLetters();
    assertThat(caravan.central().value(letters)).isEqualTo("1000");
  }

  private void central(String sql) {
    caravan.central().execute(sql);
  }

  private String shop(String query) {
    return caravan.database("shop").value(query);
  }

  /** Letters are stored before the page that they are of is applied: so it is awaited. */
  private void awaitShop(String query, String value) {
    await().untilAsserted(() -> assertThat(shop(query)).isEqualTo(value));
  }

  private void awaitLetters(String... letters) {
    await()
        .untilAsserted(
            () ->
                assertThat(caravan.central().query("select * from caravan.dead_letters"))
                    .extracting(
                        row ->
                            String.join(
                                " ", row.get(0), row.get(1), row.get(2), row.get(3), row.get(8)))
                    .containsExactlyInAnyOrder(letters));
  }

  private void awaitEqualUsers() {
    caravan.awaitEqual(
        "select id, name, email from users order by id",
        "shop",
        "select id, name, email from customer order by id");
  }
}
