package io.caravan;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.joining;
import static java.util.stream.Collectors.mapping;
import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.TimeZone;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A value of any type arrives byte by byte as it left, whatever the settings of the databases are.
 */
@Tag("slow")
class TypesTest {
  static final String TYPES =
      """
      create extension citext; create extension hstore; create extension ltree;
      create type mood as enum ('sad', 'very ''happy''', 'Ünï,"(x)"\\');
      create domain mail as citext check (value like '%@%');
      create domain amount as numeric(20, 4);
      create type pair as (a int, b text, c timestamptz, d float8[]);
      """;

  /** Types, and values of them in SQL. */
  private static final String VALUES =
      """
      smallint          | ('-32768'), ('0'), ('32767')
      integer           | ('-2147483648'), ('2147483647')
      bigint            | ('-9223372036854775808'), ('9007199254740993'), ('9223372036854775807')
      numeric(38,10)    | ('1234567890123456789012345678.0123456789'), ('-0.0000000001'), ('NaN'), ('0')
      numeric           | ('NaN'), ('Infinity'), ('-Infinity'), ('0'), ('0.000'), ('1'), ('1.0'), ('1.00'), ('-1.10')
      numeric           | ('12345678901234567890123456789012345678901234567890.12345678901234567890123456789')
      numeric           | ('1e-1000'), ('1e1000')
      real              | ('NaN'), ('Infinity'), ('-Infinity'), ('-0'), ('0'), ('1.4e-45'), ('0.1'), ('16777217')
      real              | ('3.4028235e38'), ('1.1754944e-38')
      double precision  | ('NaN'), ('Infinity'), ('-Infinity'), ('-0'), ('0'), ('5e-324'), ('2.2250738585072014e-308')
      double precision  | ('0.1'), ('0.30000000000000004'), ('1e22'), ('9007199254740993'), ('1.7976931348623157e308')
      money             | ('-1234.56'), ('0'), ('92233720368547758.07')
      boolean           | ('true'), ('false')
      bit(8)            | ('00000000'), ('10110001')
      bit varying       | (''), ('1'), ('10110001101')
      oid               | ('0'), ('4294967295')

      text              | (''), (' '), ('NULL'), ('null'), ('it''s "quoted"'), ('\\ \\\\ \\n \\u0041 \\x41 \\0'), ('-- /* ;')
      text              | ('$1 %s :?x ${body} {{x}} ?'), ('{"a": [1]}'), ('\uFEFFBOM'), ('\u202Eright to left')
      text              | ('é'), (U&'e\\0301'), ('👩‍👩‍👧 🇩🇪'), (U&'\\+10FFFF')
      text              | (e'tab\\t cr\\r lf\\n crlf\\r\\n bs\\b ff\\f vt\\x0b del\\x7f nel\\u0085 ls\\u2028')
      text              | ((select string_agg(chr(n), '' order by n) from generate_series(1, 55295) n))
      text              | ((select string_agg(chr(n), '' order by n) from generate_series(57344, 1114111, 7) n))
      text              | (repeat('Caravan ', 250000))
      varchar(20)       | (''), ('  padded  '), ('👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧')
      character(5)      | (''), ('ab'), ('abcde'), ('é'), (' x')
      "char"            | ('a'), ('"'), ('\\')
      name              | ('a name')
      citext            | ('Ada'), ('ADA'), ('')
      mail              | ('Ada@Example.org'), ('"a\\b"@x')
      mood              | ('sad'), ('very ''happy'''), ('Ünï,"(x)"\\')
      bytea             | (''), ('\\x00'), ('\\x5c'), ('\\x5c786666'), ('\\x0a0d27')
      bytea             | ((select string_agg(set_byte('a', 0, n), '' order by n) from generate_series(0, 255) n))

      date              | ('infinity'), ('-infinity'), ('4714-11-24 BC'), ('0044-03-15 BC'), ('0001-01-01'), ('2024-02-29')
      date              | ('5874897-12-31')
      time              | ('00:00'), ('23:59:59.999999'), ('24:00:00')
      timetz            | ('00:00+00'), ('12:34:56.000001+05:30'), ('24:00:00-15:59:59')
      timestamp         | ('infinity'), ('-infinity'), ('4714-11-24 00:00:00 BC'), ('0044-03-15 12:00 BC')
      timestamp         | ('2024-03-31 02:30'), ('1999-12-31 23:59:59.999999'), ('294276-12-31 23:59:59.999999')
      timestamp(0)      | ('2024-03-31 02:30:01')
      timestamptz       | ('infinity'), ('-infinity'), ('4714-11-25 00:00:00+00 BC'), ('0044-03-15 12:00+00 BC')
      timestamptz       | ('1880-01-01 00:00:00+00'), ('2024-10-27 02:30:00+01'), ('2024-10-27 02:30:00+02')
      timestamptz       | ('2024-11-03 00:01:00-02:30'), ('1999-12-31 23:59:59.999999 Asia/Kolkata')
      timestamptz       | ('294276-12-31 23:59:59.999999+00')
      interval          | ('0'), ('1 year -1 day'), ('-1 mons +2 days -03:00:00.5'), ('1 mon -2 days +03:04:05.000006')
      interval          | ('-00:00:00.000001'), ('178000000 years'), ('-1 days -00:00:01'), ('1000000 hours')

      json              | ('{"b" :  1,"a":[1.0, 1.00, null] , "a": 2}'), (' 1 '), ('null'), (e'{\\n\\t"a":\\r\\n1e400}')
      json              | ('"\\u00e9 \\ud83d\\ude00 \\\\ \\/ é"')
      jsonb             | ('{"b":1.00,"a":[]}'), ('123456789012345678901234567890.10'), ('null'), ('1e400')
      jsonb             | ('"\\u00e9 \\\\ \\" 😀"')
      jsonpath          | ('$.a[*] ? (@ > 1)')
      xml               | ('<a x="1">é &amp; &lt;<!-- c --><b/></a>'), ('just text &#x1F600;'), ('')
      xml               | (e'<?xml version="1.0"?>\\n<a>\\n\\t<b>x</b>\\n</a>\\n')
      tsvector          | (''), ('fat:2A cat:1,3B ''it''''s'':4 ''a\\\\b''')
      tsquery           | (''), ('''fat'' & ( ''rat'':AB | !''cat'':* ) <2> ''it''''s''')
      hstore            | (''), ('a=>1, b=>NULL, "c \\"d\\""=>"e, \\\\ => f", e=>""')
      ltree             | (''), ('Top.Science.Astronomy')

      integer[]         | ('{}'), ('{1}'), ('{NULL}'), ('{1,NULL,3}'), ('{{1,2},{3,4}}'), ('{{{1},{2}}}'), ('[2:3]={1,2}')
      integer[]         | ('[-1:0][5:6]={{1,2},{3,4}}')
      text[]            | ('{""}'), ('{NULL,"NULL",null}'), ('{"a \\"b\\"","c\\\\d","{e}","f,g"," h ",é😀}')
      text[]            | (array[e'\\n\\t', chr(1), ''''])
      numeric(10,2)[]   | ('{1,1.10,NaN}')
      float8[]          | ('{-0,0.1,NaN,Infinity,5e-324}')
      bytea[]           | ('{"\\\\x00ff","\\\\x"}')
      timestamptz[]     | ('{"2024-10-27 02:30:00+02",infinity,NULL}')
      interval[]        | ('{"-1 mons +2 days -03:00:00"}')
      jsonb[]           | ('{"{\\"a\\": 1}","null",NULL}')
      mood[]            | ('{sad,NULL,"very ''happy''","Ünï,\\"(x)\\"\\\\"}')
      pair[]            | ('{"(1,\\"x y\\",,{0.1})",NULL}')
      pair              | ('(,,,)'), ('(1,"","2024-10-27 02:30:00+02","{-0,NULL}")')
      pair              | ('(-1,"a ""b"" \\\\ (c),",infinity,{})')
      int4range         | ('empty'), ('[1,5)'), ('(,)'), ('[3,)'), ('(,7)')
      numrange          | ('[1.0,1.10)'), ('(,1.00]'), ('(NaN,)')
      daterange         | ('[2024-01-01,2024-02-29)'), ('[,infinity)'), ('(,)')
      tsrange           | ('["2024-01-01 00:00","2024-01-01 00:00:00.000001")')
      tstzrange         | ('["2024-01-01 00:00+05",infinity)'), ('(-infinity,"0044-03-15 12:00+00 BC"]')
      int4multirange    | ('{}'), ('{[1,3),[5,8)}'), ('{(,)}')
      tstzmultirange    | ('{["2024-01-01 00:00+05","2024-01-02 00:00+05"),["2024-02-01 00:00-03",)}')

      uuid              | ('00000000-0000-0000-0000-000000000000'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')
      amount            | ('1'), ('-1234567890123456.7891')
      inet              | ('192.168.0.1'), ('192.168.0.1/24'), ('192.168.0.1/32'), ('::1'), ('2001:db8::1/64')
      cidr              | ('10.0.0.0/8'), ('192.168.0.1/32'), ('2001:db8::/32'), ('::/0')
      macaddr           | ('08:00:2b:01:02:03')
      macaddr8          | ('08:00:2b:01:02:03:04:05')
      point             | ('(0.1,0.30000000000000004)'), ('(-0,5e-324)'), ('(NaN,Infinity)')
      line              | ('{0.1,-1,3}')
      lseg              | ('[(0,0),(0.1,0.2)]')
      box               | ('(1,2),(0.1,-0.2)')
      path              | ('[(0,0),(1,1)]'), ('((0,0),(1,1),(0.1,2))')
      polygon           | ('((0,0),(1,1),(0.1,2))')
      circle            | ('<(0.1,2),0.3>')
      pg_lsn            | ('16/B374D848')
      tid               | ('(1,2)')
      """;

  private static final TimeZone ZONE = TimeZone.getDefault();

  private static Caravan caravan;

  /** Every type has a table of its own in central, and all are mapped to the client blog. */
  @BeforeAll
  static void start() {
    TimeZone.setDefault(TimeZone.getTimeZone("America/St_Johns"));
    caravan = new Caravan();
    Database central = caravan.central();
    set(
        central,
        "timezone = 'Asia/Kathmandu'",
        "datestyle = 'SQL, DMY'",
        "bytea_output = 'escape'");
    set(central, "intervalstyle = 'sql_standard'", "extra_float_digits = -15");
    central.execute(TYPES + "create schema sample;");
    samples().forEach(sample -> central.execute(sample.track()));
    central.execute(
        """
        create table things (
          id int primary key, mood mood, moods mood[], big bigint, small smallint, label text, uid uuid, doc jsonb,
          at timestamptz, day date, number numeric, flag boolean, tags text[], raw bytea, span interval, mail mail
        );
        select caravan.track('things',
          '{mood, moods, big, small, label, uid, doc, at, day, number, flag, tags, raw, span, mail}');
        """);

    caravan.client(
        "blog",
        TYPES + samples().stream().map(Sample::table).collect(joining(";")),
        samples().stream().map(Sample::mapping).collect(joining(", ", "[", "]")));
    Database blog = caravan.database("blog");
    set(blog, "timezone = 'Pacific/Chatham'", "datestyle = 'German'", "bytea_output = 'hex'");
    set(blog, "intervalstyle = 'iso_8601'", "extra_float_digits = 0");
    blog.execute(
        """
        do $$
        begin
          execute format('alter database %I set lc_monetary = %L', current_database(), 'de_DE.UTF-8');
        exception
          when invalid_parameter_value then null;  -- not on this machine
        end
        $$
        """);

    caravan.client(
        "shop",
        """
        create table things (
          id bigint primary key, mood text, loud text, moods text, big numeric, small bigint, label varchar(20), uid text,
          doc json, at text, day timestamp, number text, rounded numeric(10, 2), flag text, tags text, raw text, span text,
          mail varchar
        )
        """,
        """
        [{"source": "public.things", "table": "public.things", "key": {"id": "id"}, "columns": {
          "mood": "mood", "loud": "upper(mood) || '!'", "moods": "moods", "big": "big", "small": "small",
          "label": "label", "uid": "uid", "doc": "doc", "at": "at", "day": "day", "number": "number", "rounded": "number",
          "flag": "flag", "tags": "tags", "raw": "raw", "span": "span", "mail": "mail"}}]
        """);
    caravan.start();
  }

  @AfterAll
  static void stop() {
    caravan.close();
    TimeZone.setDefault(ZONE);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("samples")
  void aValueArrivesByteByByte(Sample type) {
    String bytes = type.bytes(caravan.central());
    caravan.awaitEqual(bytes, "blog", bytes);

    caravan.central().execute(type.writes());

    caravan.awaitEqual(bytes, "blog", bytes);
    assertThat(caravan.database("blog").query(bytes)).hasSizeGreaterThanOrEqualTo(4);
    assertThat(caravan.central().query("select * from caravan.dead_letter")).isEmpty();
  }

  @Test
  void aClientMayHaveOtherTypes() {
    caravan
        .central()
        .execute(
            """
            insert into things values
              (1, 'very ''happy''', '{sad,NULL}', 9007199254740993, -1, 'é😀', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
               '{"b": 1.00}', '2024-10-27 02:30:00+02', '2024-02-29', 1.10, true, '{a,NULL,"b c"}', '\\x00ff',
               '-1 mons +2 days -03:00:00', 'Ada@Example.org');
            insert into things (id) values (2);
            """);

    caravan.awaitEqual(
        """
        select id, mood::text, upper(mood::text) || '!', moods::text, big, small, label, uid::text, doc::text,
          (at at time zone 'UTC')::text || '+00', day::timestamp, number::text, number::numeric(10, 2), flag::text,
          tags::text, '\\x' || encode(raw, 'hex'), case when id = 1 then '-1 mons +2 days -03:00:00' end, mail
        from things order by id
        """,
        "shop",
        "select * from things order by id");
  }

  static List<Sample> samples() {
    return VALUES
        .lines()
        .filter(line -> !line.isBlank())
        .map(line -> line.split(" +\\| ", 2))
        .collect(
            groupingBy(
                line -> line[0], LinkedHashMap::new, mapping(line -> line[1], joining(", "))))
        .entrySet()
        .stream()
        .map(sample -> new Sample(sample.getKey(), sample.getValue()))
        .toList();
  }

  private static void set(Database database, String... settings) {
    for (String setting : settings) {
      database.execute("alter database " + database.name() + " set " + setting);
    }
  }

  /** A type, and values of it in SQL. */
  record Sample(String type, String values) {

    String name() {
      return sql("*t*");
    }

    String table() {
      return sql("create table public.*t* (id int primary key, v *type*)");
    }

    String mapping() {
      return sql(
          """
          {"source": "public.*t*", "table": "public.*t*", "key": {"id": "id"}, "columns": {"v": "v"}}""");
    }

    /** Rows with each value are there before the client is loaded. */
    String track() {
      return sql(
          """
          create table sample.*t* (n int generated always as identity, v *type*);
          insert into sample.*t* (v) values *values*;
          create table public.*t* (id int primary key, v *type*);
          select caravan.track('*t*', '{v}');
          insert into *t* select 1000 + n, v from sample.*t* union all select 2000 + n, null from sample.*t*
            union all select 3000 + n, v from sample.*t*;
          """);
    }

    /**
     * While the hub runs, rows with each value are inserted, updated to it, and updated from it.
     */
    String writes() {
      return sql(
          """
          insert into *t* select 4000 + n, v from sample.*t*;
          update *t* set v = s.v from sample.*t* s where id = 2000 + n;
          update *t* set v = null where id between 3001 and 4000;
          """);
    }

    /**
     * A query for the bytes that PostgreSQL would send, with another form where they contain an
     * oid.
     */
    String bytes(Database database) {
      String binary =
          database.value(
              sql(
                  """
                  select case when typelem >= 16384 then 'textsend(v::text)' else typsend || '(v)' end
                  from pg_type where oid = '*type*'::regtype
                  """));
      return sql("select id, md5(*binary*), left(encode(*binary*, 'hex'), 80) from *t* order by id")
          .replace("*binary*", binary);
    }

    private String sql(String template) {
      return template
          .replace("*t*", "t_" + type.replaceAll("\\W+", "_"))
          .replace("*type*", type)
          .replace("*values*", values);
    }

    @Override
    public String toString() {
      return type;
    }
  }
}
