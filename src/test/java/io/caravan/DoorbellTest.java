package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import io.caravan.Postgres.Database;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** When central rings the doorbell, and what it says. */
class DoorbellTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int LONGEST = 7999;

  private final Database central = Postgres.shared().createCentral();
  private Connection listener;

  @BeforeEach
  void listen() throws SQLException {
    central.execute(
        """
        create table users (id int primary key, name text, email text, visits int default 0);
        insert into users values (1, 'Ada', 'ada@example.org'), (2, 'Bob', 'bob@example.org');
        create table orders (id text primary key, total numeric);
        """);
    listener = central.dataSource().getConnection();
    try (Statement statement = listener.createStatement()) {
      statement.execute("listen caravan");
      statement.execute("select caravan_internal.fall_asleep()"); // as a hub does
    }
  }

  @AfterEach
  void close() throws SQLException {
    listener.close();
  }

  @Nested
  class ForASourceTrackedByKey {

    @BeforeEach
    void track() {
      central.execute(
          "select caravan.track('users', '{name, email}'), caravan.track('orders', '{total}')");
    }

    @ParameterizedTest
    @CsvSource(
        delimiter = '|',
        textBlock =
            """
            insert into users values (3, 'Cy', 'cy@example.org')  | {"source": "public.users", "op": "insert", "key": [3]}
            update users set name = 'Countess Ada' where id = 1   | {"source": "public.users", "op": "update", "key": [1]}
            delete from users where id = 1                        | {"source": "public.users", "op": "delete", "key": [1]}
            update users set id = 9 where id = 2                  | {"source": "public.users", "op": "update", "key": [9]}
            truncate users                                        | {"source": "public.users", "op": "truncate"}
            """)
    void itSaysWhatHappenedToWhichKeyAndNothingElse(String write, String bell) {
      central.execute(write);

      assertThat(bells()).containsExactly(json(bell));
    }

    @Test
    void itRingsOnceATransaction() {
      central.execute(
          """
          update users set name = upper(name);
          update users set email = upper(email);
          insert into users select n, 'x' from generate_series(10, 1000) n;
          delete from users where id > 500;
          insert into orders values ('a', 1);
          truncate orders;
          """);

      assertThat(bells()).hasSize(1);
    }

    @Test
    void itRingsAgainInTheNextTransactionOfTheSameSession() throws SQLException {
      try (Connection connection = central.dataSource().getConnection();
          Statement statement = connection.createStatement()) {
        statement.execute("update users set name = 'A' where id = 1");
        statement.execute("update users set name = 'B' where id = 1");
        connection.setAutoCommit(false);
        statement.execute("update users set name = 'C' where id = 1");
        statement.execute("update users set name = 'D' where id = 1");
        connection.commit();
        statement.execute("update users set name = 'E' where id = 1");
        connection.commit();
      }

      assertThat(bells()).hasSize(4);
    }

    @Test
    void itDoesNotRingWhereNothingIsPropagated() {
      central.execute("update users set visits = 1; update users set name = name");

      assertThat(bells()).isEmpty();
    }

    @Test
    void itDoesNotRingForATransactionThatIsRolledBack() {
      central.execute("begin; update users set name = 'X'; rollback");

      assertThat(bells()).isEmpty();
    }

    @Test
    void itRingsAgainAfterASavepointTookTheBellWithIt() {
      central.execute(
          """
          begin;
          savepoint s;
          update users set name = 'X' where id = 1;
          rollback to s;
          update users set name = 'Y' where id = 2;
          commit;
          """);

      assertThat(bells())
          .containsExactly(
              json("{\"source\": \"public.users\", \"op\": \"update\", \"key\": [2]}"));
    }

    @Test
    void itRingsAgainAfterABlockThatFailedTookTheBellWithIt() {
      central.execute(
          """
          do $$
          begin
            begin
              update users set name = 'X' where id = 1;
              raise exception 'no';
            exception when raise_exception then
              delete from orders;
            end;
            update users set name = 'Y' where id = 2;
          end $$
          """);

      assertThat(bells())
          .containsExactly(
              json("{\"source\": \"public.users\", \"op\": \"update\", \"key\": [2]}"));
    }

    @Test
    void itDoesNotRingTwiceForASavepointThatIsReleased() {
      central.execute(
          """
          begin;
          savepoint s;
          update users set name = 'X' where id = 1;
          release s;
          update users set name = 'Y' where id = 2;
          commit;
          """);

      assertThat(bells()).hasSize(1);
    }

    @Test
    void aKeyThatIsTooLongIsLeftOut() {
      central.execute("insert into orders values (repeat('x', 100000))");

      assertThat(bells())
          .containsExactly(json("{\"source\": \"public.orders\", \"op\": \"insert\"}"));
    }

    @Test
    void aKeyMayBeAsLongAsANotificationCanBe() {
      int rest = bytes("{\"source\" : \"public.orders\", \"op\" : \"insert\", \"key\" : [\"\"]}");

      central.execute("insert into orders values (repeat('x', %s))".formatted(LONGEST - rest));
      central.execute("insert into orders values (repeat('y', %s))".formatted(LONGEST - rest + 1));

      assertThat(bells()).extracting(bell -> bell.has("key")).containsExactly(true, false);
    }
  }

  @Nested
  class ForASourceTrackedByRow {

    @BeforeEach
    void track() {
      central.execute("select caravan.track('public.users', '{name,email}', payload => 'row')");
    }

    @Test
    void itRingsForEachChangeWithTheRowForThoseWhoWantIt() {
      central.execute(
          """
          insert into users values (3, 'Cy', 'cy@example.org'), (4, 'Dee', null);
          update users set name = 'Countess Ada' where id = 1;
          delete from users where id = 2;
          """);

      assertThat(bells())
          .containsExactly(
              json(
                  """
                  {"source": "public.users", "op": "insert", "key": [3],
                   "row": {"id": 3, "name": "Cy", "email": "cy@example.org"}}
                  """),
              json(
                  """
                  {"source": "public.users", "op": "insert", "key": [4],
                   "row": {"id": 4, "name": "Dee", "email": null}}
                  """),
              json(
                  """
                  {"source": "public.users", "op": "update", "key": [1],
                   "row": {"id": 1, "name": "Countess Ada", "email": "ada@example.org"}}
                  """),
              json("{\"source\": \"public.users\", \"op\": \"delete\", \"key\": [2]}"));
    }

    @Test
    void itRingsForATruncateWithoutARow() {
      central.execute("truncate users");

      assertThat(bells())
          .containsExactly(json("{\"source\": \"public.users\", \"op\": \"truncate\"}"));
    }

    @Test
    void itRingsForEachChangeAlsoWhereAnotherSourceHasRungBefore() {
      central.execute("select caravan.track('orders', '{total}')");

      central.execute(
          """
          insert into orders values ('a', 1);
          update users set name = upper(name);
          insert into orders values ('b', 1);
          """);

      assertThat(bells())
          .extracting(bell -> bell.path("source").textValue())
          .containsExactly("public.orders", "public.users", "public.users");
    }

    @Test
    void ofManyChangesInATransactionItRingsForTheFirstTwoHundredAndThenOncePlainly() {
      central.execute("insert into users select n, 'x' from generate_series(1001, 1300) n");
      central.execute("insert into users select n, 'x' from generate_series(2001, 2200) n");

      List<JsonNode> bells = bells();

      assertThat(bells.subList(0, 200))
          .extracting(bell -> bell.path("row").path("id").intValue())
          .containsExactlyElementsOf(IntStream.rangeClosed(1001, 1200).boxed().toList());
      assertThat(bells.get(200))
          .isEqualTo(json("{\"source\": \"public.users\", \"op\": \"insert\"}"));
      assertThat(bells.subList(201, bells.size()))
          .extracting(bell -> bell.path("key").path(0).intValue())
          .containsExactlyElementsOf(IntStream.rangeClosed(2001, 2200).boxed().toList());
    }

    @ParameterizedTest
    @ValueSource(strings = {"x", "\"", "é", "👩", "\\", "\n"})
    void aRowThatIsTooLongIsLeftOut(String letter) {
      int rest =
          bytes(
              """
              {"source" : "public.users", "op" : "insert", "key" : [3], \
              "row" : {"id":3,"name":"","email":null}}""");
      int each = bytes(JSON.valueToTree(letter).toString()) - 2;
      int fitting = (LONGEST - rest) / each;

      central.execute("insert into users values (3, repeat('%s', %s))".formatted(letter, fitting));
      central.execute(
          "insert into users values (4, repeat('%s', %s))".formatted(letter, fitting + 1));

      List<JsonNode> bells = bells();
      assertThat(bells).hasSize(2);
      assertThat(bells.get(0).path("row").path("name").textValue())
          .isEqualTo(letter.repeat(fitting));
      assertThat(bells.get(1))
          .isEqualTo(json("{\"source\": \"public.users\", \"op\": \"insert\", \"key\": [4]}"));
    }

    @Test
    void anyTextSurvives() {
      String text = "it's \"quoted\" \\ {}[],: \t\r\n \u0001 \u2028 é e\u0301 漢字 👩‍👩‍👧 \u202e";

      central.execute("insert into users values (3, '" + text.replace("'", "''") + "', '')");

      assertThat(bells())
          .extracting(bell -> bell.path("row").path("name").textValue())
          .containsExactly(text);
    }

    @Test
    void anyValueIsJson() {
      central.execute(
          """
          create table "Odd ""things"" too" (
            "Id" uuid, day date, primary key ("Id", day),
            number numeric, ratio float8, at timestamptz, raw bytea, doc json, tags text[], yes boolean
          );
          select caravan.track('"Odd ""things"" too"', '{number, ratio, at, raw, doc, tags, yes}', 'row');
          insert into "Odd ""things"" too" values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-03',
            'NaN', '-Infinity', 'infinity', '\\x00ff', e'{"a" :\\n [1, null]}', '{a,NULL,"b c"}', true);
          """);

      assertThat(bells())
          .containsExactly(
              json(
                  """
                  {"source": "public.\\"Odd \\"\\"things\\"\\" too\\"", "op": "insert",
                   "key": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "2024-02-03"],
                   "row": {"Id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "day": "2024-02-03",
                     "number": "NaN", "ratio": "-Infinity", "at": "infinity", "raw": "\\\\x00ff",
                     "doc": {"a": [1, null]}, "tags": ["a", null, "b c"], "yes": true}}
                  """));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"key", "row"})
  void theWriteNeverFailsForTheDoorbell(String payload) {
    central.execute(
        """
        select caravan.track('users', '{name, email}', payload => '*payload*');
        select caravan.track('orders', '{total}', payload => '*payload*');
        """
            .replace("*payload*", payload));

    central.execute("update users set name = repeat('👩', 250000)");
    central.execute("insert into users select n, 'x' from generate_series(1001, 101000) n");
    central.execute("insert into orders values (repeat('\"', 100000))");
    central.execute("truncate users, orders");

    assertThat(central.value("select count(*) from caravan.change")).isEqualTo("100005");
    assertThat(bells()).allMatch(bell -> bytes(bell.toString()) <= LONGEST);
  }

  @Test
  void everyBellKeepsTheContract() throws IOException {
    JsonSchema contract =
        JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012)
            .getSchema(Files.readString(Path.of("routes/schemas/doorbell.schema.json")));
    String longest = "\"" + "L".repeat(63) + "\"";
    central.execute(
        """
        create schema *longest*;
        create table *longest*.*longest* (*longest* text primary key);
        select caravan.track('*longest*.*longest*', '{}'), caravan.track('users', '{name}', payload => 'row');
        """
            .replace("*longest*", longest));

    central.execute("insert into *l*.*l* values ('a')".replace("*l*", longest));
    central.execute("insert into *l*.*l* values (repeat('a', 9000))".replace("*l*", longest));
    central.execute("update users set name = upper(name)");
    central.execute("delete from users where id = 1");
    central.execute("truncate users");
    central.execute(
        """
        select caravan_internal.store_dead_letters('blog', '[{"source": "public.users", "key": [2], "sqlstate": "23503", "message": "no"}]', '[]', 9)
        """);

    assertThat(bells())
        .hasSize(7)
        .allSatisfy(bell -> assertThat(contract.validate(bell)).as("%s", bell).isEmpty());
  }

  /** What has been heard of all transactions that have ended: a last notification follows them. */
  private List<JsonNode> bells() {
    central.execute("select pg_notify('caravan', 'the end')");
    List<JsonNode> bells = new ArrayList<>();
    try {
      while (true) {
        for (PGNotification notification :
            listener.unwrap(PGConnection.class).getNotifications(60_000)) {
          if (notification.getParameter().equals("the end")) {
            return bells;
          }
          bells.add(json(notification.getParameter()));
        }
      }
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  private static int bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  private static JsonNode json(String text) {
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new AssertionError(text, e);
    }
  }
}
