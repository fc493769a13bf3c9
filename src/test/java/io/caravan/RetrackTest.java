package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.client.Clients;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A source is tracked otherwise, or its table is dropped, while clients have its rows. */
@Tag("slow")
class RetrackTest {
  private static final String USERS =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String POSTS = USERS.replace("users", "posts");
  private static final String MEMBERS =
      "create table members (id int primary key, name text); insert into members values (-1, 'own')";
  private static final String ROWS = "select id, name from members where id > 0 order by id";

  private final Caravan caravan = new Caravan();

  @BeforeEach
  void given() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text, email text);
            create table posts (id int primary key, name text);
            insert into users values (1, 'Ada', 'a'), (2, 'Bob', 'b'), (3, 'Cy', 'c');
            insert into posts values (1, 'Hello');
            select caravan.track('users', '{name, email}'), caravan.track('posts', '{name}');
            """);
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void whatChangedInAColumnWhileItWasNotTrackedReachesTheClients() {
    caravan.client("blog", MEMBERS, USERS).start();
    awaitUsers();

    central("select caravan.track('users', '{email}')");
    central("update users set name = 'changed while it was not tracked' where id = 2");
    central("select caravan.track('users', '{name, email}')");

    awaitUsers();
    awaitThatItGoesOn();
  }

  @ParameterizedTest
  @ValueSource(strings = {"shared", "central"})
  void whatWasDeletedWhileATableWasNotTrackedGoesAtTheClients(String rows) {
    String mapping = USERS.replace("\"columns\"", "\"rows\": \"%s\", \"columns\"".formatted(rows));
    caravan.client("blog", MEMBERS.split(";", 2)[0], mapping).start();
    awaitUsers();
    caravan.stop();

    central("select caravan.untrack('users')");
    central("delete from users where id = 2");
    central("insert into users values (4, 'Dee', 'd')");
    central("select caravan.track('users', '{name}')");
    caravan.start();

    awaitUsers();
    awaitThatItGoesOn();
  }

  @Test
  void aTableThatIsDroppedHarmsNobodyButItsOwnClients() {
    caravan.client("blog", MEMBERS, USERS).client("shop", MEMBERS, POSTS).start();
    awaitUsers();
    awaitPosts();

    central("drop table users cascade");
    central("update posts set name = 'goes on'");
    awaitPosts();
    awaitWhy("blog", "the table of the source public.users was dropped");
    assertThat(caravan.central().value("select caravan_internal.compact()")).isEqualTo("0");

    central(
        "create table users (id int primary key, name text); insert into users values (7, 'Eve')");
    central("create table tags (id int primary key); select caravan.track('tags', '{}')");
    awaitWhy("blog", "public.users is not the one that is tracked");

    central("select caravan.track('users', '{name}')");
    awaitUsers();
    awaitThatItGoesOn();
    assertThat(caravan.database("blog").value("select name from members where id = -1"))
        .isEqualTo("own");
  }

  @Test
  void aColumnThatIsDroppedWithWhatDependsOnItPausesTheClientsOfTheSource() {
    caravan.client("blog", MEMBERS, USERS).client("shop", MEMBERS, POSTS).start();
    awaitUsers();

    central("alter table users drop column email cascade");
    central("update posts set name = 'goes on'");
    awaitPosts();
    awaitWhy("blog", "columns of the source public.users were dropped");

    central("update users set name = 'Ida' where id = 1");
    central("select caravan.track('users', '{name}')");
    awaitUsers();
    awaitThatItGoesOn();
  }

  @Test
  void whatChangedWhileATriggerWasDisabledReachesTheClientsWhenTheTableIsTrackedAgain() {
    caravan.client("blog", MEMBERS, USERS).start();
    awaitUsers();

    central("alter table users disable trigger all");
    central("update users set name = 'Ida' where id = 1; delete from users where id = 2");
    central("alter table users enable trigger all; select caravan.track('users', '{name, email}')");

    awaitUsers();
    awaitThatItGoesOn();
  }

  @Test
  void anotherPrimaryKeyIsAnotherHistory() {
    caravan.client("blog", MEMBERS, USERS).start();
    awaitUsers();
    String id =
        caravan.central().value("select id from caravan.source where name = 'public.users'");

    central(
        """
        alter table users drop constraint users_pkey, add column number int;
        update users set number = 10 * id;
        alter table users rename id to former; alter table users rename number to id;
        alter table users add primary key (id);
        select caravan.track('users', '{name}');
        """);

    awaitUsers();
    assertThat(caravan.central().value("select id from caravan.source where name = 'public.users'"))
        .isNotEqualTo(id);
  }

  private void central(String sql) {
    caravan.central().execute(sql);
  }

  private void awaitThatItGoesOn() {
    central("update users set name = name || ' again'");
    awaitUsers();
  }

  private void awaitUsers() {
    caravan.awaitEqual("select id, name from users order by id", "blog", ROWS);
  }

  private void awaitPosts() {
    caravan.awaitEqual("select id, name from posts order by id", "shop", ROWS);
  }

  private void awaitWhy(String client, String why) {
    Clients clients =
        caravan.hub().getCamelContext().getRegistry().lookupByNameAndType("clients", Clients.class);
    await()
        .atMost(Duration.ofMinutes(2))
        .untilAsserted(
            () ->
                assertThat(clients.status(client).entrySet())
                    .anyMatch(e -> e.getKey().equals("state") && e.getValue().equals("paused"))
                    .anyMatch(
                        e -> e.getKey().equals("why") && e.getValue().toString().contains(why)));
  }
}
