package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.client.Clients;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A client's database that lies gets nothing that it is not to have, and harms nobody else. */
class UntrustedClientTest {
  private static final String MEMBERS =
      "create table members (id bigint primary key, name text unique)";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private final Caravan caravan = new Caravan();

  @BeforeEach
  void usersAndSalaries() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            create table salaries (id int primary key, amount text);
            select caravan.track('users', '{name}');
            select caravan.track('salaries', '{amount}');
            insert into users values (1, 'Ada'), (2, 'Bob');
            insert into salaries values (1, 'a fortune');
            """);
    caravan.client("blog", MEMBERS, MAPPING).client("shop", MEMBERS, MAPPING);
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aCursorThatSaysThatAnotherSourceIsBeingFilledGetsNothingOfIt() {
    caravan.start();
    awaitInStep("blog");
    caravan.stop();
    blog(
        """
        update caravan.cursor set cursor = cursor
          || jsonb_build_object('filled', '{}'::jsonb, 'fill', jsonb_build_object('source', 'public.salaries',
            'mark', cursor #>> '{filled,public.users}', 'after', null, 'rows', 0, 'total', 1, 'since', now()))
        """);

    try (Log log = new Log("caravan.blog")) {
      caravan.start();

      central("update users set name = 'Countess' where id = 1");
      awaitInStep("blog");
      assertThat(log.lines()).noneMatch(line -> line.contains("salaries"));
    }
  }

  @Test
  void aCursorThatIsNoneStopsNobodyElse() {
    blog(
        """
        insert into caravan.cursor (client, cursor)
        values ('blog', '{"epoch": "", "snapshot": "9:1:x", "filled": {}}')
        """);

    caravan.start();

    awaitPaused("the client's cursor has no valid snapshot");
    central("update users set name = 'Countess' where id = 1");
    awaitInStep("shop");
  }

  @Test
  void aCursorThatIsSpoiledWhileAPageIsAppliedStopsNobodyElse() {
    blog(
        """
        create function spoil() returns trigger language plpgsql as $$
        begin
          new.cursor := new.cursor || '{"snapshot": "9:1:x"}';
          return new;
        end $$;
        create trigger spoil before update on caravan.cursor for each row execute function spoil();
        """);

    caravan.start();

    awaitPaused("the client's cursor has no valid snapshot");
    central("update users set name = 'Countess' where id = 1");
    awaitInStep("shop");
  }

  @Test
  void aKeyThatIsNoneOfTheSourceIsNotSentOnceMore() {
    caravan.start();
    awaitInStep("shop");

    for (String key : List.of("[\"x\"]", "[1, 2]", "[\"1\"]", "[]", "{}", "7")) {
      central(
          """
          select caravan_internal.store_dead_letters('blog',
            '[{"source": "public.users", "key": %s, "sqlstate": "23505", "message": ""}]', '[]', 9)
          """
              .formatted(key));
    }
    central("select caravan.replay()");
    central("update users set name = 'Countess' where id = 1");

    awaitInStep("shop");
    assertThat(
            caravan.central().query("select distinct key from caravan.change where key <> '[1]'"))
        .containsExactly(List.of("[2]"));
  }

  private void awaitPaused(String why) {
    await()
        .atMost(Duration.ofMinutes(2))
        .untilAsserted(
            () -> {
              assertThat(state()).containsEntry("state", "paused");
              assertThat((String) state().get("why")).contains(why);
            });
  }

  private void awaitInStep(String client) {
    await()
        .atMost(Duration.ofMinutes(2))
        .untilAsserted(
            () ->
                assertThat(caravan.database(client).query("table members order by id"))
                    .isEqualTo(caravan.central().query("table users order by id")));
  }

  private Map<String, Object> state() {
    return caravan
        .hub()
        .getCamelContext()
        .getRegistry()
        .lookupByNameAndType("clients", Clients.class)
        .status("blog");
  }

  private void central(String sql) {
    caravan.central().execute(sql);
  }

  private void blog(String sql) {
    caravan.database("blog").execute(sql);
  }
}
