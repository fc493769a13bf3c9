package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Central and a client compute the same of equal rows, and see the least difference, though their
 * servers are of different versions and set differently. The hub does not run.
 */
@Tag("slow")
class DigestTest {
  private static final String ROWS_READ =
      "select seq_tup_read from pg_stat_user_tables where relname = 'things'";
  private static final String OTHER_SESSIONS =
      "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

  private static Postgres olderServer;
  private static Database central;
  private static Database blog;

  @BeforeAll
  static void makeDatabases() {
    olderServer = Postgres.older();
    central = Postgres.shared().createDatabase("central");
    central.install(Path.of("sql/central"));
    blog = olderServer.createDatabase("blog");
    blog.makeTables();
    central.execute(TypesTest.TYPES);
    blog.execute(TypesTest.TYPES);
    set(
        central,
        "timezone = 'Asia/Kathmandu'",
        "datestyle = 'SQL, DMY'",
        "bytea_output = 'escape'");
    set(central, "intervalstyle = 'sql_standard'", "extra_float_digits = -15");
    set(blog, "timezone = 'Pacific/Chatham'", "datestyle = 'German'", "intervalstyle = 'iso_8601'");
  }

  @AfterAll
  static void stop() {
    olderServer.close();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("io.caravan.TypesTest#samples")
  void equalValuesOfAnyTypeAreEqual(TypesTest.Sample type) throws SQLException {
    central.execute("create schema if not exists sample;" + type.track());
    blog.execute(type.table());
    try (ByHand hub = new ByHand(central, blog, type.name(), "[" + type.mapping() + "]")) {
      hub.pump();
      String rows = central.value("select count(*) from " + type.name());

      assertThat(hub.reconcile()).isEqualTo(done(rows, 0, 0, 0, 0, 0));
      assertThat(
              central.value(
                  "select count(*) from caravan.verified where client = '"
                      + type.name()
                      + "' and equal_as_of is not null"))
          .isEqualTo("1");

      blog.execute("update " + type.name() + " set v = null where id = 1001");
      assertThat(hub.reconcile()).isEqualTo(done(rows, 0, 1, 0, 0, 1));
    }
  }

  /** What is in central, what the client is changed to, and its type. */
  @ParameterizedTest(name = "{2}: {0} is not {1}")
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      textBlock =
          """
          ''                            | null                           | text
          'null'                        | null                           | text
          'Ada'                         | 'Ada '                         | text
          'Ada'                         | 'ada'                          | text
          'Ada'                         | 'ada'                          | public.citext
          U&'\\00e9'                    | U&'e\\0301'                    | text
          U&'\\00e9'                    | U&'e\\0301'                    | text collate ignoring
          'a,b'                         | '"a,b"'                        | text
          'Infinity'                    | null                           | double precision
          'Infinity'                    | '-Infinity'                    | timestamptz
          '0'                           | '-0'                           | double precision
          '0.1'                         | '0.10000000000000002'          | double precision
          '1.0'                         | '1.00'                         | numeric
          '2024-10-27 02:30:00+02'      | '2024-10-27 02:30:00+01'       | timestamptz
          '2024-10-27 02:30:00'         | '2024-10-27 02:30:00.000001'   | timestamp
          '1 day'                       | '24 hours'                     | interval
          '{"a": 1}'                    | '{"a":1}'                      | json
          '{"a": 1.0}'                  | '{"a": 1}'                     | jsonb
          '{NULL}'                      | '{"NULL"}'                     | text[]
          '{1}'                         | '[0:0]={1}'                    | int[]
          '\\x00'                       | '\\x'                          | bytea
          'true'                        | 'false'                        | boolean
          """)
  void theLeastDifferenceShows(String here, String there, String type) throws SQLException {
    central.execute(
        """
        create collation if not exists ignoring (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
        create table things (id int primary key, v %1$s);
        insert into things select i, %2$s from generate_series(1, 20) as i;
        select caravan.track('things', '{v}');
        """
            .formatted(type, here));
    blog.execute(
        """
        create collation if not exists ignoring (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
        create table things (id int primary key, v %s)
        """
            .formatted(type));
    try (ByHand hub = new ByHand(central, blog, "things", mapping("things", "\"v\": \"v\""))) {
      hub.pump();
      assertThat(hub.reconcile()).isEqualTo(done("20", 0, 0, 0, 0, 0));

      blog.execute("update things set v = %s where id = 7".formatted(there));

      assertThat(hub.reconcile()).isEqualTo(done("20", 0, 1, 0, 0, 1));
      assertThat(hub.reconcile()).isEqualTo(done("20", 0, 0, 0, 0, 0));
    } finally {
      forget("things");
    }
  }

  @Test
  void whatANarrowerTypeOrAnExpressionMakesOfAValueIsNoDifference() throws SQLException {
    blog.execute("create type colour as enum ('red', 'green'); create domain short as varchar(10)");
    central.execute(
        """
        create table things (
          id bigint primary key, amount numeric, at timestamptz, name text, mood mood, tags text[], doc jsonb, colour text,
          flag boolean, day date
        );
        insert into things
        select i, i / 7.0, '2024-03-31 01:59:59.6+00'::timestamptz + i * interval '1 hour', 'Name ' || i, 'sad',
          array['a', null], '{"b": 1.0, "a": [2]}', (array['red', 'green'])[1 + i % 2], i % 3 = 0, '2024-01-01'
        from generate_series(1, 200) as i;
        select caravan.track('things', '{amount, at, name, mood, tags, doc, colour, flag, day}');
        """);
    blog.execute(
        """
        create table things (
          id varchar primary key, amount numeric(10, 2), cents bigint, at timestamp(0), name short, folded citext,
          label char(30), mood text, tags text, doc json, doc_text text, colour colour, flag text, day timestamp, origin text,
          loud text
        )
        """);
    String mapping =
        mapping(
            "things",
            """
            "amount": "amount", "cents": "amount * 100", "at": "at", "name": "name", "folded": "name",
            "label": "name || '!'", "mood": "mood", "tags": "tags", "doc": "doc", "doc_text": "doc ->> 'b'",
            "colour": "colour", "flag": "flag", "day": "day", "origin": "'central'", "loud": "upper(mood::text)"
            """);
    try (ByHand hub = new ByHand(central, blog, "things", mapping)) {
      hub.pump();

      assertThat(hub.reconcile()).isEqualTo(done("200", 0, 0, 0, 0, 0));

      for (String column :
          List.of(
              "amount",
              "cents",
              "at",
              "name",
              "folded",
              "label",
              "mood",
              "tags",
              "doc",
              "doc_text",
              "colour",
              "flag",
              "day",
              "origin",
              "loud")) {
        blog.execute("update things set %s = null where id = '7'".formatted(column));
        assertThat(hub.reconcile()).as(column).isEqualTo(done("200", 0, 1, 0, 0, 1));
      }
    } finally {
      forget("things");
    }
  }

  @Test
  void aColumnThatCentralCannotComputeIsNamedAndLeftOut() throws SQLException {
    blog.execute(
        """
        create function slug(text) returns text language sql immutable as 'select lower($1)';
        create type place as (x int, y int);
        """);
    central.execute(
        """
        create table things (id int primary key, name text, site text);
        insert into things values (1, 'One', '(1,2)'), (2, 'Two', '(3,4)');
        select caravan.track('things', '{name, site}');
        """);
    blog.execute("create table things (id int primary key, name text, slug text, site place)");
    try (ByHand hub =
        new ByHand(
            central,
            blog,
            "things",
            mapping(
                "things",
                "\"name\": \"name\", \"slug\": \"public.slug(name)\", \"site\": \"site\""))) {
      hub.pump();
      blog.execute("update things set name = 'other', slug = 'other', site = null where id = 1");
      blog.execute("update things set slug = 'other', site = null where id = 2");

      assertThat(hub.reconcile())
          .isEqualTo(
              done("2", 0, 1, 0, 0, 1)
                  + "; column site was not compared: central has no type public.place"
                  + "; column slug was not compared: function public.slug(text) does not exist");
      assertThat(central.value("select equal_as_of from caravan.verified where client = 'things'"))
          .isNull();
    } finally {
      forget("things");
    }
  }

  @Test
  void onlyOnceIsTheWholeTableRead() throws SQLException {
    central.execute(
        """
        create table things (id bigint primary key, v text);
        insert into things select n, 'value ' || n from generate_series(1, 50000) as n;
        select caravan.track('things', '{v}');
        """);
    blog.execute("create table things (id bigint primary key, v text)");
    try (ByHand filling = new ByHand(central, blog, "things", mapping("things", "\"v\": \"v\""))) {
      filling.pump();
    }
    blog.execute("analyze things");
    String readBefore = blog.value(ROWS_READ);
    try (ByHand hub = new ByHand(central, blog, "things", mapping("things", "\"v\": \"v\""))) {
      blog.execute("update things set v = 'other' where id in (7, 20007, 30007, 40007)");

      assertThat(hub.reconcile()).isEqualTo(done("50000", 0, 4, 0, 0, 4));
    }

    await().until(() -> blog.value(OTHER_SESSIONS).equals("0")); // which have told what they read
    assertThat(Long.parseLong(blog.value(ROWS_READ)) - Long.parseLong(readBefore))
        .isEqualTo(50_000);
    forget("things");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      textBlock =
          """
          bigint       | n                                        | int
          text         | concat('käy ', n)                            | text
          text         | concat('00', n)                              | text
          citext       | concat('Key ', n)                            | citext
          uuid         | md5(n::text)::uuid                       | text
          timestamptz  | '2024-01-01'::timestamptz + n * '1 h'::interval | timestamp
          numeric      | n / 10.0                                 | numeric(10, 1)
          mood         | (array['sad', 'very ''happy''']::mood[])[n] | mood
          jsonb        | to_jsonb(n)                              | jsonb
          int[]        | array[n]                                 | text
          date         | '2024-01-01'::date + n                   | date
          """)
  void aKeyMayBeOfAnyTypeAndOfTwoColumns(String type, String value, String clientType)
      throws SQLException {
    central.execute(
        """
        create table things (k %1$s, line int, v text, primary key (k, line));
        insert into things select %2$s, l, 'value' from generate_series(1, 2) as n, generate_series(1, 10) as l;
        select caravan.track('things', '{v}');
        """
            .formatted(type, value));
    blog.execute(
        "create table things (no smallint, v text, k %s, primary key (no, k))"
            .formatted(clientType));
    String mapping =
        """
        [{"source": "public.things", "table": "public.things", "key": {"no": "line", "k": "k"}, "columns": {"v": "v"}%s}]
        """;
    try (ByHand hub = new ByHand(central, blog, "things", mapping.formatted(""))) {
      hub.pump();
      assertThat(hub.reconcile()).isEqualTo(done("20", 0, 0, 0, 0, 0));

      blog.execute("delete from things where no = 1");
      blog.execute("update things set v = 'other' where no = 2");
      central.execute(
          "alter table things disable trigger all; delete from things where line = 3; alter table things enable always trigger caravan_delete");
      assertThat(hub.reconcile()).isEqualTo(done("18", 2, 2, 2, 0, 6));
      assertThat(hub.reconcile()).isEqualTo(done("18", 0, 0, 0, 0, 0));
    } finally {
      forget("things");
    }
  }

  static String mapping(String table, String columns) {
    return """
    [{"source": "public.%1$s", "table": "public.%1$s", "key": {"id": "id"}, "columns": {%2$s}}]
    """
        .formatted(table, columns);
  }

  static String done(
      String compared, int missing, int stale, int surplus, int local, int repaired) {
    return "done: %s compared, %d missing, %d stale, %d surplus, %d local, %d repaired, 0 skipped"
        .formatted(compared, missing, stale, surplus, local, repaired);
  }

  private static void forget(String table) {
    central.execute(
        "select caravan.untrack('public.%1$s'); drop table %1$s; truncate caravan.verification"
            .formatted(table));
    blog.execute(
        "drop table %1$s; delete from caravan.cursor where client = '%1$s'; delete from caravan.replicated"
            .formatted(table));
  }

  private static void set(Database database, String... settings) {
    for (String setting : settings) {
      database.execute("alter database " + database.name() + " set " + setting);
    }
  }
}
