package io.caravan;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The main job: what happens in central happens in the clients. */
class PropagationTest {
  private final Caravan caravan = new Caravan();

  @BeforeEach
  void users() {
    caravan
        .central()
        .execute(
            """
            create table users (id bigint generated always as identity primary key, name text, email text);
            select caravan.track('users', '{name, email}');
            insert into users (name, email) values ('Ada', 'ada@example.org'), ('Bob', 'bob@example.org');
            """);
    caravan.client(
        "blog",
        "create table members (user_id bigint primary key, nickname text, mail text, karma int default 1)",
        """
        [{"source": "public.users", "table": "public.members", "key": {"user_id": "id"},
          "columns": {"nickname": "name", "mail": "email"}}]
        """);
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aNewClientIsLoaded() {
    caravan.start();

    awaitEqual();
  }

  @Test
  void insertUpdateAndDeleteArrive() {
    caravan.start();
    awaitEqual();

    caravan.central().execute("insert into users (name, email) values ('Cy', 'cy@example.org')");
    caravan.central().execute("update users set email = 'countess@example.org' where name = 'Ada'");
    caravan.central().execute("delete from users where name = 'Bob'");

    awaitEqual();
  }

  @Test
  void aBacklogThatFillsItsLastPageExactlyDoesNotStopWhatFollows() {
    caravan.set("camel.kamelet.pump.pageRows", "2").start();
    awaitEqual();

    caravan.central().execute("update users set name = 'new'");
    awaitEqual();
    caravan.stop();
    caravan.central().execute("update users set name = 'newer' where id = 1");
    caravan.start();

    awaitEqual();
  }

  private void awaitEqual() {
    caravan.awaitEqual(
        "select id, name, email from users order by id",
        "blog",
        "select user_id, nickname, mail from members order by user_id");
  }
}
