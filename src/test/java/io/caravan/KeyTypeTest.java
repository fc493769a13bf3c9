package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.caravan.Postgres.Database;
import io.caravan.client.Cursor;
import io.caravan.client.Wanted;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** Which types a key may have, and whose code runs for their values. */
class KeyTypeTest {
  private static final List<Wanted> SOURCES = Reading.of("public.things");

  private final Database central = Postgres.shared().createCentral();
  private final String mallory = central.name() + "_mallory";
  private final String writer = central.name() + "_writer";

  @ParameterizedTest
  @ValueSource(strings = {"key", "row"})
  void theOwnerOfAnEnumRunsNoCodeWithTheRightsOfCaravan(String payload) {
    central.execute(
        """
        create role mallory; create role writer; grant create on schema public to mallory;
        create table ran (who text, what text); grant insert on ran to public;
        set role mallory;
        create type mood as enum ('sad', 'happy');
        create function tell(what text) returns void language plpgsql
          as 'begin insert into public.ran values (current_user, what); end';
        create function to_json_of(m mood) returns json language plpgsql
          as 'begin perform public.tell(''json''); return ''1''; end';
        create function to_text_of(m mood) returns text language plpgsql
          as 'begin perform public.tell(''text''); return ''x''; end';
        create function from_text(t text) returns mood language plpgsql
          as 'begin perform public.tell(''from text''); return ''sad''; end';
        create function equals(a mood, b mood) returns boolean language plpgsql
          as 'begin perform public.tell(''=''); return true; end';
        create cast (mood as json) with function to_json_of(mood);
        create cast (mood as text) with function to_text_of(mood) as assignment;
        create cast (text as mood) with function from_text(text) as implicit;
        create operator = (leftarg = mood, rightarg = mood, function = equals);
        create operator <> (leftarg = mood, rightarg = mood, function = equals);
        create operator > (leftarg = mood, rightarg = mood, function = equals);
        reset role;
        create table things (id mood primary key, other mood, n int);
        grant all on things to writer;
        select caravan.track('things', '{other, n}', payload => '*payload*');
        """
            .replace("*payload*", payload)
            .replace("mallory", mallory)
            .replace("writer", writer));

    central.execute("truncate ran; grant select on ran to " + writer);
    central.execute(
        """
        set role writer;
        insert into things values ('sad', 'happy', 1);
        update things set other = 'sad';
        update things set id = 'happy';
        """
            .replace("writer", writer));
    String filled = reading().page(null, SOURCES).page();
    Cursor cursor = reading().page(null, SOURCES).cursor();
    central.execute("set role " + writer + "; update things set n = 2");
    String page = reading().page(cursor, SOURCES).page();

    assertThat(central.query("select distinct who from ran where who <> '" + writer + "'"))
        .isEmpty();
    assertThat(central.query("select key from caravan.change order by id"))
        .containsExactly(
            List.of("[\"sad\"]"),
            List.of("[\"sad\"]"),
            List.of("[\"sad\"]"),
            List.of("[\"happy\"]"),
            List.of("[\"happy\"]"));
    assertThat(filled).contains("[[\"happy\"], \"1\",\"happy\",\"sad\"]");
    assertThat(page).contains("[[\"happy\"], \"2\",\"happy\",\"sad\"]");
  }

  @Test
  void anEnumsValueMayBeRenamed() {
    central.execute(
        """
        create type mood as enum ('sad', 'happy');
        create table things (id mood primary key, n int);
        select caravan.track('things', '{n}');
        """);
    Cursor cursor = reading().page(null, SOURCES).cursor();
    central.execute("insert into things values ('sad', 1)");
    central.execute("alter type mood rename value 'sad' to 'blue'");
    central.execute("update things set n = 2");

    assertThat(reading().page(cursor, SOURCES).page())
        .contains("[[[\"sad\"]], [[\"blue\"], \"2\",\"blue\"]]");
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          pair     | create type pair as (a int, b text)        | its values contain values of other types
          mood[]   | create type mood as enum ('a')              | its values contain values of other types
          moods    | create type mood as enum ('a'); create type moods as range (subtype = mood) | its values contain values of other types
          boxed    | create type pair as (a int, b text); create domain boxed as pair            | its values contain values of other types
          lax      | create type lax as enum ('a'); create cast (lax as text) with inout as implicit | it has an implicit cast
          hstore   | create extension hstore                     | it has no operators =, > and >= of its own
          """)
  void whatCannotBeAKeyIsRefusedWithItsReason(String type, String ddl, String reason) {
    central.execute(ddl + "; create table things (id " + type + " primary key, n int)");

    ServerErrorMessage refusal =
        catchThrowableOfType(
                PSQLException.class, () -> run("select caravan.track('things', '{n}')"))
            .getServerErrorMessage();

    assertThat(refusal.getSQLState()).isEqualTo("0A000");
    assertThat(refusal.getMessage()).contains("column \"id\" of public.things is of the type");
    assertThat(refusal.getDetail()).containsIgnoringCase(reason);
    assertThat(refusal.getHint()).contains("Make the primary key of another column");
  }

  @Test
  void whatBelongsToARoleThatIsNoSuperuserCannotBeAKeyUnlessItIsAnEnum() {
    central.execute(
        """
        create role mallory;
        create extension citext;
        alter type citext owner to mallory;
        create table things (id citext primary key, n int);
        """
            .replace("mallory", mallory));

    PSQLException refusal =
        catchThrowableOfType(
            PSQLException.class, () -> run("select caravan.track('things', '{n}')"));

    assertThat(refusal.getServerErrorMessage().getDetail()).contains("no superuser");
  }

  @Test
  void aDeferrablePrimaryKeyIsRefusedAndWhatIsToBeDoneIsTold() {
    central.execute(
        "create table things (id int constraint \"The key\" primary key deferrable, n int)");

    ServerErrorMessage refusal =
        catchThrowableOfType(
                PSQLException.class, () -> run("select caravan.track('things', '{n}')"))
            .getServerErrorMessage();
    central.execute(refusal.getHint());
    central.execute("select caravan.track('things', '{n}')");

    assertThat(refusal.getSQLState()).isEqualTo("0A000");
    assertThat(refusal.getMessage())
        .isEqualTo("public.things has a deferrable primary key and cannot be a source");
  }

  @Test
  void aKeyOfTypesOfSeveralSchemasLeadsFromPageToPage() {
    central.execute(
        """
        create extension citext;
        create type mood as enum ('sad', 'happy');
        create table things (a citext, b int, c mood, primary key (a, b, c));
        insert into things
        select a, b, c::mood
        from unnest('{X,y,Z}'::text[]) a, generate_series(1, 3) b, unnest('{sad,happy}'::text[]) c;
        select caravan.track('things', '{}');
        """);

    String rows =
        central.value(
            """
            with recursive pages (n, key) as (
              select 0, null::jsonb
              union all
              select n + 1, case when key is null then (select s.key from caravan_internal.scan_1() as s limit 1)
                else (select s.key from caravan_internal.scan_1(pages.key) as s limit 1) end
              from pages where n < 18
            )
            select string_agg(key ->> 0 || (key ->> 1) || (key ->> 2), ',' order by n) from pages
            """);

    assertThat(rows)
        .isEqualTo(
            central.value(
                "select string_agg(a::text || b || c, ',' order by a, b, c) from things"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"array_nulls = off", "quote_all_identifiers = on", "xmloption = document"})
  void theSettingsOfASessionChangeNothing(String setting) {
    central.execute("set " + setting + "; create table things (id int[] primary key, r regclass)");
    central.execute("set " + setting + "; select caravan.track('things', '{r}')");
    central.execute("insert into things values ('{1,NULL}', 'caravan.change')");

    central.execute("alter database " + central.name() + " set " + setting);
    String page = reading().page(null, SOURCES).page();
    Cursor cursor = reading().page(null, SOURCES).cursor();
    central.execute("update things set r = null");

    assertThat(central.query("select name, types::text from caravan.source"))
        .containsExactly(List.of("public.things", "{integer[],regclass}"));
    assertThat(page).contains("[\"{1,NULL}\"], \"caravan.change\",\"{1,NULL}\"");
    assertThat(reading().page(cursor, SOURCES).page())
        .contains("[\"{1,NULL}\"], null,\"{1,NULL}\"");
  }

  private Reading reading() {
    return new Reading(central.dataSource());
  }

  private void run(String sql) throws Exception {
    try (var connection = central.dataSource().getConnection();
        var statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }
}
