package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.caravan.Postgres.Database;
import io.caravan.client.Cursor;
import io.caravan.read.Answer;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** What can be tracked in central, and what each kind of write puts into the change log. */
class TrackTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Database central = Postgres.shared().createCentral();

  @Nested
  class ATableThatCannotBeASourceIsRefused {

    @ParameterizedTest(name = "{0}")
    @CsvSource(
        delimiter = '|',
        textBlock =
            """
            without a primary key | create table t (id int not null unique)                       | public.t has no primary key                                  | alter table public.t add primary key (…)
            a view                | create view t as select 1 as id                               | public.t is not a table and cannot be a source               | Track the table that holds the rows.
            a materialized view   | create materialized view t as select 1 as id                  | public.t is not a table and cannot be a source               | Track the table that holds the rows.
            a foreign table       | create extension file_fdw; create server f foreign data wrapper file_fdw; create foreign table t (id int) server f options (filename '/dev/null') | public.t is not a table and cannot be a source | Track the table that holds the rows.
            a sequence            | create sequence t                                             | public.t is not a table and cannot be a source               | Track the table that holds the rows.
            partitioned           | create table t (id int primary key) partition by range (id)   | public.t is partitioned and cannot be a source               | Track the partitions, each as a source of its own.
            unlogged              | create unlogged table t (id int primary key)                  | public.t is unlogged and cannot be a source                  | alter table public.t set logged
            temporary             | create temporary table t (id int primary key)                 | t is temporary and cannot be a source                        | Track a permanent table.
            """)
    void whatItIsAndWhatToDo(String what, String ddl, String message, String hint) {
      ServerErrorMessage refusal = refusalOf(ddl + "; select caravan.track('t', '{id}')");

      assertThat(refusal.getMessage()).as(what).isEqualTo(message);
      assertThat(refusal.getHint()).isEqualTo(hint);
    }

    @Test
    void anUnknownColumnIsNamedAndTheOthersAreListed() {
      central.execute("create table users (id int primary key, name text, \"E-mail\" text)");

      ServerErrorMessage refusal = refusalOf("select caravan.track('users', '{name, email}')");

      assertThat(refusal.getMessage()).isEqualTo("public.users has no column \"email\"");
      assertThat(refusal.getHint()).isEqualTo("Its columns: id, name, \"E-mail\"");
    }

    @ParameterizedTest
    @ValueSource(strings = {"ctid", "dropped", "........pg.dropped.3........"})
    void aSystemColumnOrADroppedOneIsUnknown(String column) {
      central.execute("create table users (id int primary key, name text, dropped text)");
      central.execute("alter table users drop column dropped");

      ServerErrorMessage refusal =
          refusalOf("select caravan.track('users', array['" + column + "'])");

      assertThat(refusal.getMessage()).isEqualTo("public.users has no column \"" + column + "\"");
    }

    @Test
    void aVirtualColumnIsRefusedForNoTriggerSeesIt() {
      assumeTrue(version() >= 18, "virtual generated columns are new in PostgreSQL 18");
      central.execute(
          "create table t (id int primary key, twice int generated always as (2 * id))");

      ServerErrorMessage refusal = refusalOf("select caravan.track('t', '{twice}')");

      assertThat(refusal.getMessage())
          .isEqualTo(
              "column \"twice\" of public.t is a virtual generated column and cannot be propagated");
      assertThat(refusal.getHint())
          .isEqualTo("Propagate the columns that it is computed from, or make it STORED.");
    }

    @Test
    void thePayloadIsKeyOrRow() {
      central.execute("create table users (id int primary key)");

      ServerErrorMessage refusal =
          refusalOf("select caravan.track('users', '{}', payload => 'everything')");

      assertThat(refusal.getMessage())
          .isEqualTo("payload must be 'key' or 'row', not 'everything'");
      assertThat(refusal.getHint()).contains("'key'").contains("'row'");
    }

    @Test
    void theColumnsMustBeGiven() {
      central.execute("create table users (id int primary key)");

      ServerErrorMessage refusal = refusalOf("select caravan.track('users', null)");

      assertThat(refusal.getMessage()).contains("columns");
      assertThat(refusal.getHint()).contains("{");
    }

    @Test
    void untrackNamesWhatIsTracked() {
      central.execute(
          "create table users (id int primary key); select caravan.track('users', '{}')");

      ServerErrorMessage refusal = refusalOf("select caravan.untrack('public.customers')");

      assertThat(refusal.getMessage()).isEqualTo("'public.customers' is not tracked");
      assertThat(refusal.getHint()).isEqualTo("Tracked are: public.users");
    }
  }

  @Nested
  class AWriteIsLogged {

    @BeforeEach
    void users() {
      central.execute(
          """
          create table users (
            id int primary key, name text, email text, score numeric, profile json, ratio float8, visits int default 0
          );
          insert into users (id, name, score, profile, ratio) values (1, 'Ada', 1.0, '{"a": 1}', 0.1), (2, 'Bob', 2, '{}', 0.2);
          select caravan.track('users', '{name, email, score, profile, ratio}');
          """);
    }

    @Test
    void aRowThatWasThereBeforeIsNot() {
      assertThat(central.query("select * from caravan.change")).isEmpty();
    }

    @Test
    void insertOfOneRow() {
      assertThat(keysLoggedBy("insert into users (id, name) values (3, 'Cy')"))
          .containsExactly("[3]");
    }

    @Test
    void insertOfManyRows() {
      assertThat(keysLoggedBy("insert into users (id) select generate_series(10, 13)"))
          .containsExactly("[10]", "[11]", "[12]", "[13]");
    }

    @Test
    void updateOfATrackedColumn() {
      assertThat(keysLoggedBy("update users set email = 'ada@example.org' where id = 1"))
          .containsExactly("[1]");
    }

    @Test
    void updateFromNullAndToNull() {
      assertThat(keysLoggedBy("update users set email = '' where id = 1")).containsExactly("[1]");
      assertThat(keysLoggedBy("update users set email = null where id = 1")).containsExactly("[1]");
    }

    @Test
    void anUpdateThatSetsTheSameValuesIsNot() {
      assertThat(
              keysLoggedBy(
                  """
                  update users
                  set name = name, email = email, score = score, profile = profile, ratio = ratio
                  """))
          .isEmpty();
    }

    @Test
    void anUpdateOfAnyOtherColumnIsNot() {
      assertThat(keysLoggedBy("update users set visits = visits + 1")).isEmpty();
    }

    @Test
    void updateOfANumberToAnEqualOneWithAnotherScale() {
      assertThat(keysLoggedBy("update users set score = 1.00 where id = 1")).containsExactly("[1]");
    }

    @Test
    void updateOfJsonWhichHasNoEquality() {
      assertThat(keysLoggedBy("update users set profile = '{\"a\":  1}' where id = 1"))
          .containsExactly("[1]");
    }

    @Test
    void updateOfTheLastDigitOfAFloatWhateverTheSessionPrints() {
      assertThat(
              keysLoggedBy(
                  "set extra_float_digits = 0; update users set ratio = 0.10000000000000002 where id = 1"))
          .containsExactly("[1]");
    }

    @Test
    void updateOfAFloatFromZeroToMinusZero() {
      central.execute("update users set ratio = 0 where id = 1");

      assertThat(keysLoggedBy("update users set ratio = '-0' where id = 1")).containsExactly("[1]");
    }

    @Test
    void delete() {
      assertThat(keysLoggedBy("delete from users where id = 2")).containsExactly("[2]");
    }

    @Test
    void aChangedKeyAsADeleteOfTheOldAndAnInsertOfTheNew() {
      assertThat(keysLoggedBy("update users set id = 9 where id = 2"))
          .containsExactly("[2]", "[9]");
    }

    @Test
    void aKeyOfWhichAnyPartChanges() {
      central.execute(
          """
          create table members (room int, seat numeric, primary key (room, seat));
          insert into members values (1, 2.0);
          select caravan.track('members', '{}');
          """);

      assertThat(keysLoggedBy("update members set seat = 3.0"))
          .containsExactly("[1, 2.0]", "[1, 3.0]");
      assertThat(keysLoggedBy("update members set room = 4"))
          .containsExactly("[1, 3.0]", "[4, 3.0]");
    }

    @Test
    void truncate() {
      assertThat(keysLoggedBy("truncate users")).containsExactly("truncated");
    }

    @Test
    void truncateByCascade() {
      central.execute("create table countries (id int primary key)");
      central.execute("alter table users add column country int references countries");

      assertThat(keysLoggedBy("truncate countries cascade")).containsExactly("truncated");
    }

    @Test
    void copy() throws SQLException, IOException {
      try (Connection connection = central.dataSource().getConnection()) {
        connection
            .unwrap(PGConnection.class)
            .getCopyAPI()
            .copyIn(
                "copy users (id, name) from stdin (format csv)",
                new StringReader("20,Dee\n21,\"Eve \"\"E\"\"\"\n"));
      }

      assertThat(allKeysLogged()).containsExactly("[20]", "[21]");
    }

    @Test
    void upsertOnlyWhereItChangesSomething() {
      assertThat(
              keysLoggedBy(
                  """
                  insert into users (id, name) values (1, 'Ada'), (2, 'Rob'), (3, 'Cy')
                  on conflict (id) do update set name = excluded.name
                  """))
          .containsExactlyInAnyOrder("[2]", "[3]");
    }

    @Test
    void insertThatDoesNothingOnConflictIsNot() {
      assertThat(
              keysLoggedBy("insert into users (id, name) values (1, 'Eve') on conflict do nothing"))
          .isEmpty();
    }

    @Test
    void mergeWithAllItsActions() {
      assertThat(
              keysLoggedBy(
                  """
                  merge into users u
                  using (values (1, null), (2, 'Rob'), (3, 'Cy')) as n (id, name) on n.id = u.id
                  when matched and n.name is null then delete
                  when matched then update set name = n.name
                  when not matched then insert (id, name) values (n.id, n.name)
                  """))
          .containsExactlyInAnyOrder("[1]", "[2]", "[3]");
    }

    @Test
    void aWritingWithQuery() {
      assertThat(
              keysLoggedBy(
                  """
                  with gone as (delete from users where id = 1 returning *),
                    moved as (insert into users (id, name) select 100 + id, name from gone returning id)
                  update users set name = 'Rob' where id = 2
                  """))
          .containsExactlyInAnyOrder("[1]", "[101]", "[2]");
    }

    @Test
    void deleteByCascade() {
      central.execute(
          """
          create table posts (id int primary key, author int references users on delete cascade);
          insert into posts values (7, 1), (8, 2);
          select caravan.track('posts', '{author}');
          """);

      assertThat(keysLoggedBy("delete from users where id = 1"))
          .containsExactlyInAnyOrder("[1]", "[7]");
    }

    @Test
    void aTrackedColumnThatATriggerChangesAlthoughTheStatementNamesAnother() {
      central.execute(
          """
          create function shout() returns trigger language plpgsql
            as 'begin new.name := upper(new.name); return new; end';
          create trigger shout before update on users for each row execute function shout();
          """);

      assertThat(keysLoggedBy("update users set visits = 1 where id = 1")).containsExactly("[1]");
    }

    @Test
    void aGeneratedColumnWhenItsInputChanges() {
      central.execute(
          """
          create table prices (id int primary key, net int, gross int generated always as (2 * net) stored);
          insert into prices values (1, 50);
          select caravan.track('prices', '{gross}');
          """);

      assertThat(keysLoggedBy("update prices set net = 60")).containsExactly("[1]");
    }

    @Test
    void whatLogicalReplicationWrites() {
      assertThat(
              keysLoggedBy(
                  """
                  set session_replication_role = replica;
                  insert into users (id) values (3);
                  update users set name = 'Rob' where id = 2;
                  delete from users where id = 1;
                  truncate users;
                  """))
          .containsExactly("[3]", "[2]", "[1]", "truncated");
    }

    @Test
    void whatIsRolledBackIsNot() {
      assertThat(keysLoggedBy("begin; update users set name = 'X'; truncate users; rollback"))
          .isEmpty();
    }

    @Test
    void whatIsRolledBackToASavepointIsNot() {
      assertThat(
              keysLoggedBy(
                  """
                  begin;
                  update users set name = 'X' where id = 1;
                  savepoint s;
                  update users set name = 'X' where id = 2;
                  rollback to s;
                  insert into users (id) values (3);
                  commit;
                  """))
          .containsExactly("[1]", "[3]");
    }

    @Test
    void aRowThatMovesToAnotherPartitionIsDeletedInTheOne() {
      central.execute(
          """
          create table events (id int, year int, primary key (id, year)) partition by list (year);
          create table events_1 partition of events for values in (1);
          create table events_2 partition of events for values in (2);
          insert into events values (1, 1);
          select caravan.track('events_1', '{}'), caravan.track('events_2', '{}');
          """);

      assertThat(keysLoggedBy("update events set year = 2"))
          .containsExactlyInAnyOrder("[1, 1]", "[1, 2]");
      assertThat(keysLoggedBy("truncate events")).containsExactly("truncated", "truncated");
    }

    @Test
    void byAWriterWhoHasNoRightInTheSchemaCaravan() {
      String writer = newRole("writer");
      central.execute("grant select, insert, update, delete, truncate on users to " + writer);

      List<String> keys =
          keysLoggedBy(
              "set role "
                  + writer
                  + ";"
                  + """
                  insert into users (id) values (3);
                  update users set name = 'Rob' where id = 2;
                  delete from users where id = 1;
                  truncate users;
                  """);

      assertThat(keys).containsExactly("[3]", "[2]", "[1]", "truncated");
      assertThat(refusalOf("set role " + writer + "; select * from caravan.change").getSQLState())
          .isEqualTo("42501");
    }

    @Test
    void whateverTheWritersSearchPathAndTemporaryTablesAre() {
      assertThat(
              keysLoggedBy(
                  """
                  create temporary table change (id int);
                  create function pg_temp.ring(text, text, jsonb, json, boolean) returns void
                    language plpgsql as 'begin raise exception ''hijacked''; end';
                  set search_path = pg_temp, public;
                  update public.users set name = 'Rob' where id = 2;
                  """))
          .containsExactly("[2]");
    }
  }

  @Nested
  class AKey {

    @ParameterizedTest(name = "{0}: {1}")
    @CsvSource(
        delimiter = '|',
        quoteCharacter = '`',
        textBlock =
            """
            smallint           | -32768
            integer            | 2147483647
            bigint             | 9007199254740993
            numeric(38,10)     | 1234567890123456789012345678.0123456789
            numeric            | NaN
            real               | 0.1
            double precision   | 0.30000000000000004
            boolean            | true
            uuid               | a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
            text               | it's "quoted" and \\back\\slashed\\ \\u0041 {[,]}
            text               | Ünïcödé é 漢字 👩‍👩‍👧
            text               | ``
            varchar(40)        | %s ${body} {{x}} $1 :?x
            char(5)            | ab
            date               | 2024-02-03
            date               | 0044-03-15 BC
            date               | infinity
            time               | 24:00:00
            timetz             | 12:34:56.789+05:30
            timestamp          | 2024-02-03 04:05:06.789012
            timestamptz        | 2024-02-03 04:05:06.789012+00
            timestamptz        | -infinity
            interval           | -1 mons +2 days -03:00:00.5
            bytea              | \\x00275c7fff
            inet               | 192.168.0.1/24
            cidr               | 10.0.0.0/8
            macaddr            | 08:00:2b:01:02:03
            bit(4)             | 1010
            money              | $1,234.50
            int4range          | [1,5)
            integer[]          | {1,NULL,3}
            text[]             | {"a \\"b\\"","c,d"}
            jsonb              | {"a": [1, "b"]}
            mood               | 'very ''happy'''
            mail               | Ada@Example.org
            small              | 7
            citext             | Ada
            ltree              | a.b.c
            """)
    void ofAnyTypeIsTheSameInEverySessionAndIsFound(String type, String id) throws Exception {
      central.execute(
          """
          create extension citext; create extension ltree;
          create type mood as enum ('sad', '''very ''''happy''''''');
          create domain mail as text check (value like '%@%');
          create domain small as int check (value < 10);
          """);
      central.execute("create table things (id " + type + " primary key, note text)");
      central.execute("select caravan.track('things', '{note}')");
      Reader reader = new Reader("public.things");
      reader.changes();

      List<String> inserted =
          keysLoggedBy(
              """
              set timezone = 'Asia/Kolkata'; set datestyle = 'SQL, DMY'; set intervalstyle = 'iso_8601';
              set bytea_output = 'escape'; set extra_float_digits = -15;
              """
                  + "insert into things values (%s, 'new'); reset datestyle".formatted(quoted(id)));
      List<String> updated = keysLoggedBy("update things set note = 'old'");
      List<JsonNode> changes = reader.changes();
      List<String> deleted = keysLoggedBy("delete from things");

      assertThat(inserted).hasSize(1).isEqualTo(updated).isEqualTo(deleted);
      assertThat(changes).hasSize(1);
      assertThat(changes.get(0).path("key")).isEqualTo(JSON.readTree(inserted.get(0)));
      assertThat(changes.get(0).path("row").path("id").textValue()).isEqualTo(id);
      assertThat(reader.changes()).hasSize(1).noneMatch(change -> change.has("row"));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @CsvSource(
        delimiter = '|',
        textBlock =
            """
            integer     | generate_series(1, 7)
            text        | chr(generate_series(65, 71))
            timestamptz | now() + generate_series(1, 7) * interval '1.000001 s'
            integer[]   | array[generate_series(1, 7), 2]
            float8      | generate_series(1, 7) / 3.0::float8
            bytea       | set_byte('a', 0, generate_series(1, 7))
            """)
    void leadsFromPageToPageOfAFill(String type, String seven) {
      central.execute(
          "create table things (id %s primary key); insert into things select %s; select caravan.track('things', '{}')"
              .formatted(type, seven));

      List<JsonNode> changes = new Reader("public.things", 2).changes();

      assertThat(changes.stream().map(change -> change.path("row").path("id").textValue()))
          .containsExactlyElementsOf(
              central.query("select id from things order by id").stream()
                  .map(row -> row.get(0))
                  .toList());
    }

    @Test
    void mayHaveSeveralColumnsInTheOrderOfThePrimaryKey() {
      central.execute(
          """
          create table members (since date, "Group" text, person bigint, role text, primary key (person, "Group"));
          select caravan.track('members', '{role}');
          """);
      Reader reader = new Reader("public.members");
      reader.changes();

      List<String> keys =
          keysLoggedBy(
              """
              insert into members (person, "Group", role) values (1, 'a,b', 'x'), (1, 'a', 'y');
              update members set role = 'z' where "Group" = 'a';
              update members set "Group" = 'c' where "Group" = 'a';
              delete from members where "Group" = 'a,b';
              """);

      assertThat(keys)
          .containsExactly(
              "[1, \"a,b\"]",
              "[1, \"a\"]",
              "[1, \"a\"]",
              "[1, \"a\"]",
              "[1, \"c\"]",
              "[1, \"a,b\"]");
      assertThat(reader.changes())
          .containsExactly(
              json("{\"key\": [1, \"a\"]}"),
              json(
                  """
                  {"key": [1, "c"], "row": {"person": "1", "Group": "c", "role": "z"}}
                  """),
              json("{\"key\": [1, \"a,b\"]}"));
    }
  }

  @Nested
  class ATrackedTable {

    @ParameterizedTest
    @ValueSource(strings = {"key", "row"})
    void mayHaveAnyNames(String payload) {
      central.execute(
          """
          create schema "Odd 'schema'";
          create table "Odd 'schema'"."us""er's %s" (
            "Id %" int primary key, "full name" text, "na""me" text, "it's" text, "$1" text, "ñ✓\\" text, "a.b" text
          );
          select caravan.track('"Odd ''schema''"."us""er''s %s"',
            array['full name', 'na"me', 'it''s', '$1', 'ñ✓\\', 'a.b'], payload => '*payload*');
          """
              .replace("*payload*", payload));
      Reader reader = new Reader("\"Odd 'schema'\".\"us\"\"er's %s\"");
      reader.changes();

      central.execute(
          "insert into \"Odd 'schema'\".\"us\"\"er's %s\" values (1, 'a', 'b', 'c', 'd', 'e', 'f')");

      assertThat(reader.changes())
          .containsExactly(
              json(
                  """
                  {"key": [1],
                   "row": {"Id %": "1", "full name": "a", "na\\"me": "b", "it's": "c", "$1": "d", "ñ✓\\\\": "e", "a.b": "f"}}
                  """));
    }

    @ParameterizedTest
    @ValueSource(strings = {"key", "row"})
    void mayHaveColumnsNamedLikeCaravansOwn(String payload) {
      central.execute(
          """
          create table public.r (
            after int, key int, primary key (after, key), r text, t text, most text, "row" text, source text, new text,
            old text, op text, new_key text, old_key text, tg_op text, "select" text, columns text, c text
          );
          select caravan.track('r',
            '{r, t, most, row, source, new, old, op, new_key, old_key, tg_op, select, columns, c}', payload => '*payload*');
          insert into r (after, key, most) values (1, 1, 'filled');
          """
              .replace("*payload*", payload));
      Reader reader = new Reader("public.r");

      assertThat(reader.changes()).hasSize(1);

      central.execute("update r set r = 'x', new_key = 'y', tg_op = 'z'");
      central.execute("insert into r (after, key, r) values (2, 2, 'x')");
      central.execute("delete from r where key = 1");

      assertThat(reader.changes())
          .containsExactly(
              json(
                  """
                  {"key": [2, 2],
                   "row": {"after": "2", "key": "2", "r": "x", "t": null, "most": null, "row": null, "source": null,
                     "new": null, "old": null, "op": null, "new_key": null, "old_key": null, "tg_op": null,
                     "select": null, "columns": null, "c": null}}
                  """),
              json("{\"key\": [1, 1]}"));
    }

    @Test
    void mayHaveTheLongestNames() {
      String longest = "\"" + "Ä".repeat(31) + "\"";
      central.execute(
          "create schema %1$s; create table %1$s.%1$s (%1$s int primary key)".formatted(longest));
      central.execute("select caravan.track('%1$s.%1$s', '{}')".formatted(longest));

      assertThat(keysLoggedBy("insert into %1$s.%1$s values (1)".formatted(longest)))
          .containsExactly("[1]");
    }

    @Test
    void trackedAgainWithFewerColumnsKeepsItsIdAndHistory() {
      central.execute(
          """
          create table users (id int primary key, name text, email text);
          select caravan.track('users', '{name, email}', payload => 'row');
          insert into users values (1, 'Ada', 'ada@example.org');
          """);
      Reader reader = new Reader("public.users");
      reader.changes();
      central.execute("insert into users values (2, 'Bob', 'bob@example.org')");
      String id = central.value("select id from caravan.source");

      central.execute("select caravan.track('users', '{email}')");

      assertThat(central.value("select id from caravan.source")).isEqualTo(id);
      assertThat(allKeysLogged()).containsExactly("[1]", "[2]");
      assertThat(reader.changes().toString())
          .isEqualTo("[{\"key\":[2],\"row\":{\"id\":\"2\",\"email\":\"bob@example.org\"}}]");
      assertThat(keysLoggedBy("update users set name = 'Rob' where id = 2")).isEmpty();
      assertThat(keysLoggedBy("update users set email = 'r@example.org' where id = 2"))
          .containsExactly("[2]");
    }

    @ParameterizedTest
    @ValueSource(strings = {"users", "Users 2", "public.users"})
    void isUntrackedByTheNameThatItHasInTheSearchPath(String name) {
      String table = name.contains(" ") ? '"' + name + '"' : name;
      central.execute(
          "create schema shop; set search_path = shop, public; create table %1$s (id int primary key); select caravan.track('%1$s', '{}')"
              .formatted(table));

      central.execute(
          "set search_path = shop, public; select caravan.untrack('%s')".formatted(table));

      assertThat(central.query("table caravan.source")).isEmpty();
    }

    @Test
    void thatIsUntrackedHasNoTracesOfIt() {
      central.execute("create table users (id int primary key, name text)");
      String before = objects();
      central.execute("select caravan.track('users', '{name}', payload => 'row')");
      central.execute("insert into users values (1, 'Ada')");

      central.execute("select caravan.untrack('public.users')");

      assertThat(objects()).isEqualTo(before);
      assertThat(keysLoggedBy("update users set name = 'Rob'")).isEmpty();
      assertThat(central.query("select * from caravan.change")).isEmpty();
      central.execute("drop table users");
    }

    @Test
    void thatIsUntrackedWhileItIsReadIsNotTakenForEmpty() throws Exception {
      central.execute(
          "create table users (id int primary key); select caravan.track('users', '{}')");
      Reader reader = new Reader("public.users");
      reader.changes();
      central.execute("insert into users values (1)");

      assertThat(readDuring("select caravan.untrack('public.users')", reader))
          .isInstanceOf(IllegalStateException.class)
          .asString()
          .contains("central does not track the source public.users");
    }

    @Test
    void isNotReadByTheOldColumnsOnceItIsTrackedWithOthers() throws Exception {
      central.execute(
          """
          create table users (id int primary key, name text, email text);
          select caravan.track('users', '{name}');
          """);
      Reader reader = new Reader("public.users");
      reader.changes();
      central.execute("insert into users values (1, 'Ada', 'ada@example.org')");

      assertThat(readDuring("select caravan.track('users', '{email}')", reader))
          .asString()
          .contains("\"email\"")
          .contains("ada@example.org")
          .doesNotContain("Ada");
    }

    @Test
    void isNotFilledByTheOldColumnsOnceItIsTrackedWithOthers() throws SQLException {
      central.execute(
          """
          create table users (id int primary key, name text, email text);
          select caravan.track('users', '{name}');
          insert into users values (1, 'Ada', 'ada@example.org');
          """);
      try (Connection hub = central.dataSource().getConnection();
          Statement read = hub.createStatement()) {
        read.execute("begin isolation level repeatable read; select 1");
        central.execute("select caravan.track('users', '{email}')");

        assertThat(catchThrowable(() -> new Reader("public.users").next(Reading.on(hub))))
            .hasMessageContaining("central's sources changed during each attempt to read");
      }
    }

    /** What a read returns or throws that waits for a statement. */
    private Object readDuring(String statement, Reader reader) throws Exception {
      Reading reading = new Reading(central.dataSource());
      reader.next(reading);
      try (Connection owner = central.dataSource().getConnection();
          Statement change = owner.createStatement()) {
        owner.setAutoCommit(false);
        change.execute(statement);
        CompletableFuture<Object> read =
            CompletableFuture.supplyAsync(() -> reader.next(reading))
                .handle((a, e) -> a == null ? e.getCause() : a);
        await()
            .until(
                () ->
                    central
                        .value(
                            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
                        .equals("1"));
        owner.commit();
        return read.get();
      }
    }

    @ParameterizedTest
    @ValueSource(strings = {"key", "row"})
    void mayRenameItsColumnsAndIsReadByTheOldNamesUntilItIsTrackedAgain(String payload) {
      central.execute(
          "create table users (id int primary key, name text, active boolean);"
              + "select caravan.track('users', '{name, active}', payload => '"
              + payload
              + "')");
      Reader reader = new Reader("public.users");
      reader.changes();

      central.execute(
          """
          alter table users rename column id to number;
          alter table users rename column name to nickname;
          alter table users rename column active to is_active;
          """);

      assertThat(
              keysLoggedBy(
                  """
                  insert into users values (1, 'Ada', true), (2, 'Bob', false);
                  update users set nickname = 'Rob' where number = 2;
                  delete from users where number = 1;
                  """))
          .containsExactly("[1]", "[2]", "[2]", "[1]");
      assertThat(reader.changes())
          .containsExactly(
              json(
                  "{\"key\": [2], \"row\": {\"id\": \"2\", \"name\": \"Rob\", \"active\": \"false\"}}"),
              json("{\"key\": [1]}"));
      assertThat(reader.types().toString())
          .isEqualTo("{\"id\":\"integer\",\"name\":\"text\",\"active\":\"boolean\"}");

      central.execute("select caravan.track('users', '{nickname, is_active}')");
      central.execute("update users set nickname = 'Bob' where number = 2");

      assertThat(reader.changes())
          .containsExactly(
              json(
                  """
                  {"key": [2], "row": {"number": "2", "nickname": "Bob", "is_active": "false"}}
                  """));
    }

    @Test
    void mayBeRenamedAndIsReadByItsOldNameUntilItIsTrackedAgain() {
      central.execute(
          """
          create table users (id int primary key, name text);
          select caravan.track('users', '{name}');
          """);
      Reader reader = new Reader("public.users");
      reader.changes();

      central.execute(
          "create schema crm; alter table users rename to people; alter table people set schema crm");
      central.execute("insert into crm.people values (1, 'Ada')");

      assertThat(reader.changes()).hasSize(1);

      central.execute("select caravan.track('crm.people', '{name}')");

      assertThat(central.query("select name from caravan.source"))
          .containsExactly(List.of("crm.people"));
    }

    @Test
    void mayNotLoseATrackedColumn() {
      central.execute(
          """
          create table users (id int primary key, name text, visits int);
          select caravan.track('users', '{name}');
          """);

      ServerErrorMessage refusal = refusalOf("alter table users drop column name");
      central.execute("alter table users drop column visits");

      assertThat(refusal.getSQLState()).isEqualTo("2BP01");
      assertThat(refusal.getDetail()).contains("caravan_update").contains("users");
    }

    @Test
    void thatIsDroppedAndMadeAnewIsAnotherSource() {
      central.execute(
          """
          create table users (id int primary key, name text);
          select caravan.track('users', '{name}');
          insert into users values (1, 'Ada');
          """);
      String id = central.value("select id from caravan.source");

      central.execute(
          """
          drop table users cascade;
          create table users (id int primary key, name text);
          select caravan.track('users', '{name}');
          """);

      assertThat(central.value("select id from caravan.source")).isNotEqualTo(id);
      assertThat(allKeysLogged()).isEmpty();
      assertThat(keysLoggedBy("insert into users values (1, 'Ada')")).containsExactly("[1]");
    }
  }

  @Nested
  class TheInstallation {

    @Test
    void survivesADumpWhichMakesTheTriggersAnewFromTheirText() {
      String writer = newRole("writer");
      central.execute(
          """
          create table prices (id int primary key, amount numeric, terms json, tags text[]);
          insert into prices values (1, 1.0, '{}', '{a}');
          select caravan.track('prices', '{amount, terms, tags}');
          grant update on prices to %s;
          grant select on prices to %s;
          """
              .formatted(writer, writer));
      String trigger =
          central.value(
              "select pg_get_triggerdef(oid) from pg_trigger where tgname = 'caravan_update'");

      central.execute("drop trigger caravan_update on prices; " + trigger);

      assertThat(
              keysLoggedBy(
                  "set role "
                      + writer
                      + "; update prices set amount = 1.00; update prices set id = 1"))
          .containsExactly("[1]");
    }

    @Test
    void mayBeRepeatedWithoutHarm() {
      central.execute(
          """
          create table users (id int primary key, name text);
          select caravan.track('users', '{name}');
          insert into users values (1, 'Ada');
          """);
      Reader reader = new Reader("public.users");
      reader.changes();
      central.execute("insert into users values (2, 'Bob')");
      String before = objects();

      central.install(Path.of("sql/central"));

      assertThat(objects()).isEqualTo(before);
      assertThat(reader.changes()).hasSize(1);
      assertThat(keysLoggedBy("update users set name = 'Rob' where id = 2")).containsExactly("[2]");
    }

    @Test
    void givesTheHubNoMoreThanItNeeds() throws SQLException {
      central.execute(
          """
          create table users (id int primary key, name text);
          select caravan.track('users', '{name}');
          insert into users values (1, 'Ada');
          """);
      String hub = newRole("hub");
      central.execute("grant caravan_hub to " + hub);

      String page =
          Reading.as(central.url().replace("user=postgres", "user=" + hub))
              .page(null, Reading.of("public.users"))
              .page();

      assertThat(page).contains("Ada");
      for (String forbidden :
          List.of(
              "select * from users",
              "select * from caravan.source",
              "delete from caravan.change",
              "insert into caravan.dead_letter (client) values ('x')",
              "select caravan_internal.ring('public.users', 'update')",
              "select caravan.track('users', '{}')",
              "select caravan.untrack('public.users')")) {
        assertThat(refusalOf("set role " + hub + "; " + forbidden).getSQLState())
            .as(forbidden)
            .isEqualTo("42501");
      }
    }

    @Test
    void givesOthersNothingButWhatTheirWritesMustCall() {
      central.execute(
          "create table users (id int primary key); select caravan.track('users', '{}')");
      String nobody = newRole("nobody");
      central.execute("grant usage on schema caravan, caravan_internal to " + nobody);

      assertThat(
              central.query(
                  """
                  select oid::regprocedure::text from pg_proc
                  where pronamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace)
                    and has_function_privilege('%s', oid, 'execute')
                    and proname not in ('log_insert_1', 'log_update_1', 'log_delete_1', 'found_1', 'scan_1')
                  """
                      .formatted(nobody)))
          .isEmpty();
      for (String rows : List.of("caravan_internal.found_1('[1]')", "caravan_internal.scan_1()")) {
        assertThat(refusalOf("set role " + nobody + "; select * from " + rows).getSQLState())
            .as(rows)
            .isEqualTo("42501");
      }
    }
  }

  /** Reads a source in central as the hub does for a client, and keeps the client's cursor. */
  private final class Reader {
    private final String source;
    private final int maxRows;
    private Cursor cursor;
    private JsonNode types;

    Reader(String source) {
      this(source, 1000);
    }

    Reader(String source, int maxRows) {
      this.source = source;
      this.maxRows = maxRows;
    }

    /** The changes since the last time. */
    List<JsonNode> changes() {
      List<JsonNode> changes = new ArrayList<>();
      boolean more = true;
      while (more) {
        Answer next = next(new Reading(central.dataSource()));
        cursor = next.cursor();
        JsonNode page = json(Objects.requireNonNullElse(next.page(), "{}"));
        if (page.path("sources").has(source)) {
          types = page.path("sources").path(source).path("columns");
        }
        page.path("changes").path(source).forEach(change -> changes.add(named(change)));
        more = next.hasMore();
      }
      return changes;
    }

    private JsonNode named(JsonNode change) {
      ObjectNode named = JSON.createObjectNode().set("key", change.get(0));
      if (change.size() > 1) {
        ObjectNode row = named.putObject("row");
        types.fieldNames().forEachRemaining(name -> row.set(name, change.get(1 + row.size())));
      }
      return named;
    }

    /** Reads the next page. */
    Answer next(Reading reading) {
      return reading.page(cursor, Reading.of(source), maxRows, 1_000_000, null);
    }

    /** The types of the columns, as the last page told them. */
    JsonNode types() {
      return types;
    }
  }

  private ServerErrorMessage refusalOf(String sql) {
    IllegalStateException refusal =
        catchThrowableOfType(IllegalStateException.class, () -> central.execute(sql));
    assertThat(refusal).as("refusal of %s", sql).hasCauseInstanceOf(PSQLException.class);
    return ((PSQLException) refusal.getCause()).getServerErrorMessage();
  }

  /** What the change log has after these statements that it did not have before, in order. */
  private List<String> keysLoggedBy(String statements) {
    int before = allKeysLogged().size();
    central.execute(statements);
    List<String> keys = allKeysLogged();
    return keys.subList(before, keys.size());
  }

  private List<String> allKeysLogged() {
    return central
        .query("select coalesce(key::text, 'truncated') from caravan.change order by id")
        .stream()
        .map(row -> row.get(0))
        .toList();
  }

  /** All functions of Caravan and all triggers, with what they do. */
  private String objects() {
    return central.value(
        """
        select string_agg(object, e'\\n' order by object)
        from (
          select pg_get_functiondef(oid) || coalesce(proacl::text, 'everybody') as object
          from pg_proc where pronamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace)
          union all
          select pg_get_triggerdef(oid) || tgenabled::text from pg_trigger where not tgisinternal
        ) as objects
        """);
  }

  private String newRole(String name) {
    String role = central.name() + "_" + name;
    central.execute("create role " + role + " login");
    return role;
  }

  private int version() {
    return Integer.parseInt(central.value("show server_version_num")) / 10_000;
  }

  private static String quoted(String text) {
    return "'" + text.replace("'", "''") + "'";
  }

  private static JsonNode json(String text) {
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new AssertionError(text, e);
    }
  }
}
