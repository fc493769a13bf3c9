package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A client that is empty is loaded in bulk; one that is not gets the same rows. */
class BulkLoadTest {
  private static final String MAPPING =
      """
      [{"source": "public.things", "table": "public.copies", "key": {"code": "code", "id": "id"},
        "columns": {"note": "note", "data": "data", "price": "price"}}]
      """;
  private static final String COPIES =
      """
      create table copies (id bigint, code character(4), note text, data bytea, price numeric(38, 10), mine text,
        primary key (id, code));
      create table statements (text text);
      create function note_statement() returns trigger language plpgsql as
        'begin insert into statements values (current_query()); return null; end';
      create trigger note_statement after insert on copies for each statement execute function note_statement();
      """;
  private static final String ALL = "select code, id, note, data, price from %s order by code, id";

  private final Caravan caravan = new Caravan();
  private final Database central = caravan.central();

  /** 2,500 of them are three pages. */
  @BeforeEach
  void things() {
    caravan.set("camel.kamelet.pump.pageRows", "100");
    central.execute(
        """
        create table things (code character(4), id bigint, note text, data bytea, price numeric(38, 10),
          primary key (code, id));
        select caravan.track('things', '{note, data, price}');
        insert into things
        select 'a', i, (array[null, e'\\\\N', e'\\\\.', e'tab\\tnew\\nline\\rback\\\\slash', 'ä€😀 "quoted"', ''])[1 + i % 6],
          decode(md5(i::text), 'hex'), 12345678901234567890.0123456789 + i
        from generate_series(1, 2500) as i;
        """);
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void anEmptyClientIsFilledInBulkAndThenServedAsUsual() {
    caravan.client("blog", COPIES, MAPPING).start();
    awaitEqual();

    assertThat(blog().query("select distinct split_part(text, ' ', 1) from statements"))
        .containsExactly(List.of("copy"));
    assertThat(blog().value("select count(*) from caravan.replicated")).isEqualTo("2500");

    central.execute("delete from things where id = 7; update things set note = 'new' where id = 8");
    awaitEqual();
    assertThat(blog().value("select count(*) from caravan.replicated")).isEqualTo("2499");
  }

  /** A key is noted in the same form by a bulk load and by the statement that removes it. */
  @Test
  void anyRowThatWasLoadedInBulkIsDeletedWithItsNote() {
    central.execute(
        """
        create table prices (name text, price numeric, weight real, primary key (name, price, weight));
        select caravan.track('prices', '{}');
        insert into prices values ('ä€😀 "quoted" \\ /', 1.500, 0.1), (e'tab\\tnew\\nline\\x7f', 100, 1e20),
          ('', 'NaN', 'Infinity'), ('null', -0.0, '-0'), ('zeros', 2.000, 1e-10), ('large', 12345678901234567890.00, 5);
        """);
    caravan.client(
        "blog",
        "create table prices (name text, price numeric, weight real, primary key (name, price, weight));",
        """
        [{"source": "public.prices", "table": "public.prices", "columns": {},
          "key": {"name": "name", "price": "price", "weight": "weight"}}]
        """);
    caravan.start();
    caravan.awaitEqual("table prices order by 1", "blog", "table prices order by 1");
    assertThat(
            blog()
                .query(
                    "select canonical_key, spelled from caravan.replicated where spelled is not null order by 1"))
        .contains(List.of("[\"zeros\", 2, 0.0000000001]", "[\"zeros\", 2.000, 0.0000000001]"))
        .hasSize(4);

    central.execute("delete from prices");

    caravan.awaitEqual("table prices", "blog", "table prices");
    assertThat(blog().query("table caravan.replicated")).isEmpty();
  }

  @Test
  void aClientThatHasSomeOfTheRowsGetsThemAllAndKeepsItsOwnColumns() {
    caravan.client(
        "blog", COPIES + "insert into copies values (1500, 'a', 'old', null, 0, 'mine');", MAPPING);
    caravan.start();
    awaitEqual();

    assertThat(blog().value("select mine from copies where id = 1500")).isEqualTo("mine");
    assertThat(blog().value("select count(*) from caravan.replicated")).isEqualTo("2500");
  }

  @Test
  void aRowThatIsRefusedStopsNoOther() {
    caravan.client("blog", COPIES + "alter table copies add check (id <> 1700);", MAPPING).start();

    await()
        .untilAsserted(
            () ->
                assertThat(central.query("select key::text from caravan.dead_letters"))
                    .containsExactly(List.of("[\"a   \", 1700]")));
    await()
        .untilAsserted(
            () -> assertThat(blog().value("select count(*) from copies")).isEqualTo("2499"));
  }

  private Database blog() {
    return caravan.database("blog");
  }

  private void awaitEqual() {
    caravan.awaitEqual(ALL.formatted("things"), "blog", ALL.formatted("copies"));
  }
}
