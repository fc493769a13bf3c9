package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.sql.SQLException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever a key's and a column's types are at both sides, a comparison ends, and repairs. */
@Timeout(60)
class ReconcileKeysTest {
  private static final String MAPPING =
      """
      [{"source": "public.things", "table": "public.things", "key": {"id": "id"}, "columns": {"v": "v"}}]
      """;
  private static final String EQUAL =
      "done: 3 compared, 0 missing, 0 stale, 0 surplus, 0 local, 0 repaired, 0 skipped";
  private static final String REPAIRED =
      "done: 3 compared, 1 missing, 1 stale, 1 surplus, 0 local, 3 repaired, 0 skipped";

  private final Database central = Postgres.shared().createCentral();
  private final Database blog = Postgres.shared().createDatabase("blog");

  private String role = "postgres";

  @BeforeEach
  void twoDatabases() {
    blog.makeTables();
    central.execute("create extension citext");
  }

  @Test
  void anEnumKey() throws SQLException {
    String type = "create type mood as enum ('sad', 'glad', 'mad', 'bad')";
    central.execute(type);
    blog.execute(type);
    spoiledAndRepaired("mood", "'sad'", "'glad'", "'mad'", "'bad'", "mood", "text", "text");
  }

  @Test
  void anEnumKeyThatTheClientHasAsText() throws SQLException {
    central.execute("create type mood as enum ('sad', 'glad', 'mad', 'bad')");
    spoiledAndRepaired("mood", "'sad'", "'glad'", "'mad'", "'bad'", "text", "text", "text");
  }

  @Test
  void aTextKeyThatTheClientHasAsAnEnum() throws SQLException {
    blog.execute("create type mood as enum ('sad', 'glad', 'mad', 'bad')");
    spoiledAndRepaired("text", "'sad'", "'glad'", "'mad'", "'bad'", "mood", "text", "text");
  }

  @Test
  void aKeyOfATypeThatTheClientLacks() throws SQLException {
    spoiledAndRepaired("citext", "'Ada'", "'Bob'", "'Cy'", "'Di'", "text", "text", "text");
  }

  @Test
  void anEnumKeyInASchemaOfItsOwn() throws SQLException {
    String type = "create schema shop; create type shop.mood as enum ('sad', 'glad', 'mad', 'bad')";
    central.execute(type);
    blog.execute(type);
    spoiledAndRepaired(
        "shop.mood", "'sad'", "'glad'", "'mad'", "'bad'", "shop.mood", "text", "text");
  }

  @Test
  void aColumnWhoseTypeIsInASchemaOfItsOwn() throws SQLException {
    String type =
        "create schema shop; create type shop.colour as enum ('v', 'x'); create domain shop.shade"
            + " as shop.colour";
    central.execute(type);
    blog.execute(type);
    spoiledAndRepaired("int", "'1'", "'2'", "'3'", "'4'", "int", "shop.colour", "shop.colour");
  }

  @Test
  void aColumnOfAnExtensionsTypeInASchemaOfItsOwn() throws SQLException {
    String type =
        "create schema ext; create extension hstore schema ext; create extension ltree schema ext";
    central.execute(type);
    blog.execute(type);
    spoiledAndRepaired(
        "ext.ltree", "'a'", "'b'", "'c'", "'d'", "ext.ltree", "ext.ltree", "ext.ltree");
  }

  @Test
  void aColumnWhoseTypeTheClientHasInAnotherSchema() throws SQLException {
    central.execute("create schema shop; create type shop.colour as enum ('v', 'x')");
    blog.execute("create type colour as enum ('v', 'x')");
    spoiledAndRepaired("int", "'1'", "'2'", "'3'", "'4'", "int", "shop.colour", "colour");
  }

  @Test
  void aKeyAndAColumnThatArePaddedAndText() throws SQLException {
    spoiledAndRepaired("char(5)", "'a'", "'b'", "'c'", "'d'", "text", "char(5)", "text");
  }

  @Test
  void aKeyAndAColumnThatArePaddedOnBothSides() throws SQLException {
    spoiledAndRepaired("char(5)", "'a'", "'b'", "'c'", "'d'", "char(5)", "char(5)", "char(9)");
  }

  @Test
  void aNumericKey() throws SQLException {
    spoiledAndRepaired("numeric", "'1.0'", "'2'", "'3.10'", "'4'", "numeric", "text", "text");
  }

  @Test
  void aNumericKeyThatIsTextAtTheClient() throws SQLException {
    spoiledAndRepaired("numeric", "'1.0'", "'2'", "'3.10'", "'4'", "text", "text", "text");
  }

  /** Also where the client has to tell its local rows apart, and has noted a key without a row. */
  @ParameterizedTest
  @ValueSource(strings = {"numeric", "text"})
  void notesOfNumbersWithZerosAreThoseOfTheClientsRows(String clientType) throws SQLException {
    central.execute(
        """
        create table things (id numeric primary key, v text);
        select caravan.track('things', '{v}');
        insert into things select n + 0.50, 'v' from generate_series(1, 500) as n;
        """);
    blog.execute("create table things (id %s primary key, v text)".formatted(clientType));
    try (ByHand hub = new ByHand(central, blog, "blog", MAPPING)) {
      hub.runs().limit(100, 100);
      hub.pump();
      blog.execute(
          """
          insert into things select 1000 + n + 0.50, 'local' from generate_series(1, 600) as n;
          insert into caravan.replicated (target, canonical_key, spelled)
          select target, '[9000.5]', '[9000.50]' from caravan.replicated limit 1;
          """);

      assertThat(hub.reconcile())
          .isEqualTo(
              "done: 500 compared, 0 missing, 0 stale, 1 surplus, 600 local, 1 repaired, 0 skipped");
      assertThat(hub.reconcile())
          .isEqualTo(
              "done: 500 compared, 0 missing, 0 stale, 0 surplus, 600 local, 0 repaired, 0 skipped");
      central.execute("truncate things");
      hub.pump();
      assertThat(blog.value("select count(*) from things where v = 'v'")).isEqualTo("0");
      assertThat(blog.value("select count(*) from things")).isEqualTo("600");
    }
  }

  @Test
  void aKeyThatIsEqualAndWrittenInAnotherWay() throws SQLException {
    blog.execute("create extension citext");
    writtenInAnotherWay("citext");

    assertThat(blog.query("select id from things order by id"))
        .isEqualTo(central.query("select id from things order by id"));
  }

  /** The row of the old one can't be removed by a change, and nobody is told that all is equal. */
  @Test
  void aKeyThatIsWrittenInAnotherWayAndIsAnotherKeyForTheClient() throws SQLException {
    central.execute("create table things (id citext primary key, v text)");
    blog.execute("create table things (id text primary key, v text)");
    try (ByHand hub = respelled()) {
      assertThat(hub.reconcile())
          .startsWith("done: 2 compared, 1 missing, 0 stale, 1 surplus, 0 local, ");
    }
  }

  private void writtenInAnotherWay(String clientType) throws SQLException {
    central.execute("create table things (id citext primary key, v text)");
    blog.execute("create table things (id %s primary key, v text)".formatted(clientType));
    try (ByHand hub = respelled()) {
      assertThat(hub.reconcile())
          .isEqualTo(
              "done: 2 compared, 0 missing, 1 stale, 0 surplus, 0 local, 1 repaired, 0 skipped");
      assertThat(hub.reconcile())
          .isEqualTo(
              "done: 2 compared, 0 missing, 0 stale, 0 surplus, 0 local, 0 repaired, 0 skipped");
      assertThat(hub.reconcile(", 'public.things', '[\"Ada\"]'"))
          .startsWith("done: 0 compared, 0 missing, 0 stale, ");
    }
  }

  /** A key was written in another way, and the client has not heard of it. */
  private ByHand respelled() throws SQLException {
    central.execute(
        "insert into things values ('Ada', 'v'), ('Bob', 'v'); select caravan.track('things', '{v}')");
    ByHand hub = new ByHand(central, blog, "blog", MAPPING);
    hub.pump();
    central.execute(
        """
        alter table things disable trigger all;
        update things set id = 'ADA' where id = 'Ada';
        alter table things enable always trigger caravan_insert, enable always trigger caravan_update,
          enable always trigger caravan_delete, enable always trigger caravan_truncate;
        """);
    return hub;
  }

  /**
   * Three rows come to the client; of these one is deleted, one changed, and one no longer
   * central's.
   */
  private void spoiledAndRepaired(
      String type,
      String first,
      String second,
      String third,
      String fourth,
      String clientType,
      String column,
      String clientColumn)
      throws SQLException {
    central.execute(
        """
        create table things (id %s primary key, v %s);
        insert into things values (%s, 'v'), (%s, 'v'), (%s, 'v');
        select caravan.track('things', '{v}');
        """
            .formatted(type, column, first, second, third));
    blog.execute(
        "create table things (id %s primary key, v %s)".formatted(clientType, clientColumn));
    try (ByHand hub = new ByHand(central, blog, "blog", MAPPING)) {
      blog.execute("grant select, insert, update, delete on things to " + role);
      hub.set("role", role);
      hub.pump();
      assertThat(hub.reconcile()).isEqualTo(EQUAL);

      central.execute(
          """
          alter table things disable trigger all;
          delete from things where id::text = %s;
          insert into things values (%s, 'v');
          alter table things enable always trigger caravan_insert, enable always trigger caravan_update,
            enable always trigger caravan_delete, enable always trigger caravan_truncate;
          """
              .formatted(first, fourth));
      blog.execute("update things set v = null where rtrim(id::text) = " + second);

      assertThat(hub.reconcile()).isEqualTo(REPAIRED);
      assertThat(hub.reconcile()).isEqualTo(EQUAL);
      assertThat(central.value("select equal_as_of is not null from caravan.verified"))
          .isEqualTo("t");
      assertThat(blog.query("select rtrim(id::text), v::text from things order by 1"))
          .isEqualTo(central.query("select rtrim(id::text), v::text from things order by 1"));
    }
  }
}
