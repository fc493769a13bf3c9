package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.client.Clients;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A server does not go on with what the hub no longer waits for. */
class StatementTimeoutTest {
  private static final String SLEEPERS =
      """
      select count(*)
      from pg_stat_activity
      where datname = current_database() and wait_event = 'PgSleep' and now() - query_start > interval '4 s'
      """;

  private final Caravan caravan = new Caravan();

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aClientStopsAStatementThatTakesTooLong() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            select caravan.track('users', '{name}');
            insert into users values (1, 'Ada');
            """);
    caravan.client(
        "blog",
        """
        create table members (id int primary key, name text);
        create function tarry() returns trigger language plpgsql as
        $$ begin perform pg_sleep(600); return new; end $$;
        create trigger tarry before insert on members for each row execute function tarry();
        """,
        """
        [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
          "columns": {"name": "name"}}]
        """);
    caravan.set("caravan.statementTimeout", "2s").set("caravan.socketTimeout", "3").start();

    await().atMost(Duration.ofMinutes(2)).until(() -> why().contains("statement timeout"));
    assertThat(caravan.database("blog").value(SLEEPERS)).isEqualTo("0");

    caravan.database("blog").execute("drop trigger tarry on members");
    caravan.awaitEqual("select id, name from users", "blog", "select id, name from members");
  }

  private String why() {
    return (String)
        caravan
            .hub()
            .getCamelContext()
            .getRegistry()
            .lookupByNameAndType("clients", Clients.class)
            .status("blog")
            .get("why");
  }
}
