package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

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
  private static final String APPLY_THAT_LISTENS =
      """
      create table heard (page jsonb);
      drop function caravan.apply;
      create function caravan.apply(
        client text, expected_step bigint, mapping jsonb, page jsonb, settled jsonb, skipped jsonb default '[]',
        out outcome text, out step bigint, out cursor text, out written bigint, out removed bigint, out refused text
      ) language plpgsql as $$
      begin
        insert into heard values (page);
        update caravan.cursor c
        set step = c.step + 1, cursor = jsonb_build_object('filled', c.cursor -> 'filled') || (page -> 'cursor')
        returning 'applied', c.step, c.cursor, 1, 0, '[]' into outcome, step, cursor, written, removed, refused;
      end $$
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
  void theSourcesThatItIsGivenAreThoseOfItsMapping() {
    blog(APPLY_THAT_LISTENS);
    blog(
        """
        create or replace function caravan.sources(mapping jsonb) returns jsonb language sql as
        $$ select '[{"source": "public.salaries", "fingerprint": "1"}, {"source": "public.users", "fingerprint": "1"}]'::jsonb $$
        """);

    caravan.start();

    awaitHeard("Bob");
    assertThat(heard()).doesNotContain("salaries", "fortune");
  }

  @Test
  void aCursorThatSaysThatAnotherSourceIsBeingFilledGetsNothingOfIt() {
    caravan.start();
    awaitInStep("blog");
    caravan.stop();
    blog(APPLY_THAT_LISTENS);
    blog(
        """
        update caravan.cursor set cursor = cursor
          || jsonb_build_object('filled', '{}'::jsonb, 'fill', jsonb_build_object('source', 'public.salaries',
            'mark', cursor #>> '{filled,public.users}', 'after', null, 'rows', 0, 'total', 1, 'since', now()))
        """);

    caravan.start();

    central("update users set name = 'Countess' where id = 1");
    awaitHeard("Countess");
    assertThat(heard()).doesNotContain("salaries", "fortune");
  }

  @Test
  void whatItRefusesButWasNotSentIsNoDeadLetterAndStopsNobodyElse() {
    blog(answer("'refused', null, '[{\"source\": \"public.users\", \"key\": [\"x\"]}]'"));

    caravan.start();

    awaitPaused("it refuses what it was not sent");
    central("update users set name = 'Countess' where id = 1");
    awaitInStep("shop");
    assertThat(caravan.central().query("table caravan.dead_letter")).isEmpty();
  }

  @Test
  void aRefusalWithoutEndIsNoLoop() {
    blog(
        answer(
            "'refused', null, '[{\"source\": \"public.users\", \"key\": [1], \"sqlstate\": \"22001\"}]'"));

    caravan.start();

    awaitPaused("it refuses again what was settled");
  }

  @Test
  void aCursorThatIsNoneStopsNobodyElse() {
    blog(answer("'applied', '{\"epoch\": \"\", \"snapshot\": \"9:1:x\", \"filled\": {}}', '[]'"));

    caravan.start();

    awaitPaused("its cursor has no snapshot");
    central("update users set name = 'Countess' where id = 1");
    awaitInStep("shop");
  }

  @Test
  void anAnswerCannotSetWhatTheHubGoesBy() {
    blog(
        """
        drop function caravan.standing;
        create function caravan.standing(
          client text, mapping jsonb, out step bigint, out cursor text, out sources text, out recent boolean,
          out resting boolean, out "schedule" text, out "wokenAt" text
        ) language plpgsql as $$
        begin
          insert into caravan.cursor (client) values ($1) on conflict do nothing;
          select c.step, c.cursor, caravan.sources($2), false, true, 'never', 'never'
          into step, cursor, sources, recent, resting, schedule, "wokenAt"
          from caravan.cursor c;
        end $$
        """);

    caravan.start();

    awaitInStep("blog");
  }

  @Test
  void aKeyThatIsNoneOfTheSourceIsNotSentOnceMore() {
    caravan.start();
    awaitInStep("shop");

    for (String key : List.of("[\"x\"]", "[1, 2]", "[\"1\"]", "[]", "{}", "7")) {
      central(
          """
          select caravan.bury('blog',
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

  /** An apply that answers this whatever it is given. */
  private static String answer(String values) {
    return """
    drop function caravan.apply;
    create function caravan.apply(
      client text, expected_step bigint, mapping jsonb, page jsonb, settled jsonb, skipped jsonb default '[]',
      out outcome text, out cursor text, out refused text, out step bigint, out written bigint, out removed bigint
    ) language sql as $$ select %s, expected_step + 1, 1::bigint, 0::bigint $$
    """
        .formatted(values);
  }

  private void awaitPaused(String why) {
    await()
        .atMost(Duration.ofSeconds(20))
        .untilAsserted(
            () -> {
              assertThat(state()).containsEntry("state", "paused");
              assertThat((String) state().get("why")).contains(why);
            });
  }

  private void awaitInStep(String client) {
    await()
        .atMost(Duration.ofSeconds(20))
        .untilAsserted(
            () ->
                assertThat(caravan.database(client).query("table members order by id"))
                    .isEqualTo(caravan.central().query("table users order by id")));
  }

  private void awaitHeard(String name) {
    await()
        .atMost(Duration.ofSeconds(20))
        .untilAsserted(() -> assertThat(heard()).contains("public.users", name));
  }

  private String heard() {
    return caravan.database("blog").value("select string_agg(page::text, ' ') from heard");
  }

  private Map<String, Object> state() {
    return caravan
        .hub()
        .getCamelContext()
        .getRegistry()
        .lookupByNameAndType("clients", Clients.class)
        .standing("blog");
  }

  private void central(String sql) {
    caravan.central().execute(sql);
  }

  private void blog(String sql) {
    caravan.database("blog").execute(sql);
  }
}
