package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.caravan.Postgres.Database;
import io.caravan.client.Wanted;
import io.caravan.contract.UsedColumns;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** A client gets the columns that its mapping uses, and no others. */
class ProjectionTest {
  private static final List<String> COLUMNS = List.of("id", "name", "E-Mail", "salary", "a\"b");

  @Test
  void aMappingUsesWhatItNamesHoweverItWritesIt() throws Fault {
    assertThat(used("lower(NAME)")).containsExactly("name");
    assertThat(used("\\\"E-Mail\\\" || 'x\\\"y'")).containsExactly("E-Mail");
    assertThat(used("\\\"a\\\"\\\"b\\\"")).containsExactly("a\"b");
    assertThat(used("1), (salary")).containsExactly("salary");
    assertThat(used("'nothing'")).isEmpty();
  }

  @Test
  void aWholeRowAndANameInCodePointsAreAllColumns() throws Fault {
    assertThat(used("to_json(source_row)")).isEqualTo(COLUMNS);
    assertThat(used("U&\\\"n\\\\0061me\\\"")).isEqualTo(COLUMNS);
  }

  @Test
  void aFilterUsesColumnsToo() throws Fault {
    UsedColumns mapping =
        UsedColumns.of(
            "[{\"source\": \"public.users\", \"columns\": {}, \"where\": \"salary > 3\"}]");

    assertThat(mapping.uses("public.users", COLUMNS)).containsExactly("salary");
  }

  @Test
  void aPageHasTheKeyAndTheColumnsThatAreAskedForAsTheTextThatTheyAre() throws IOException {
    Postgres.Database central = Postgres.shared().createCentral();
    central.execute(
        """
        create table users (name text, id bigint, "E-Mail" text, price numeric, part int, primary key (id, part));
        create table orders (id int primary key, item text);
        select caravan.track('users', '{name, E-Mail, price}');
        select caravan.track('orders', '{item}');
        insert into users values (e'A "d"\\n\\\\a', 9007199254740993, null, 1.500, 1), ('Bob', 2, 'b', 2, 2);
        """);

    JsonNode page =
        Json.read(
            new Reading(central.dataSource())
                .page(
                    null,
                    List.of(
                        new Wanted("public.users", "", List.of("price", "name", "gone"), List.of()),
                        new Wanted("public.orders", "", null, List.of())))
                .page());

    assertThat(page.at("/sources/public.users"))
        .isEqualTo(
            Json.read(
                """
                {"key": ["id", "part"], "columns": {"id": "bigint", "part": "integer", "name": "text", "price": "numeric"}}
                """));
    assertThat(page.at("/changes/public.users"))
        .isEqualTo(
            Json.read(
                """
                [[[2, 2], "2", "Bob", "2", "2"],
                 [[9007199254740993, 1], "9007199254740993", "A \\"d\\"\\n\\\\a", "1", "1.500"]]
                """));
  }

  @Test
  void whatNoMappingUsesDoesNotReachAClientNorBreakIt() throws Exception {
    String ofTheMapping = UUID.randomUUID() + "@example.org";
    String ofNone = UUID.randomUUID() + " a month";
    try (Caravan caravan = new Caravan()) {
      caravan
          .central()
          .execute(
              """
              create table users (id int primary key, name text, email text, salary text);
              select caravan.track('users', '{name, email, salary}');
              insert into users values (1, 'Ada', '%s', '%s');
              """
                  .formatted(ofTheMapping, ofNone));
      String members =
          """
          create table members (id bigint primary key, name text, mail text);
          """;
      caravan
          .client("blog", members, mapping("lower(email)"))
          .client("shop", members, mapping("email"))
          .client("forum", members, mapping("salary"));
      // So the server's log has what the hub sends to them.
      for (String client : List.of("blog", "shop")) {
        Database database = caravan.database(client);
        database.execute("alter database " + database.name() + " set log_statement = 'all'");
      }
      caravan.start();
      for (String change :
          List.of(
              "select 1",
              "update users set salary = 'little'",
              "update users set name = 'Countess', email = 'c@example.org'",
              "insert into users values (2, 'Bob', 'b@example.org', 'none')",
              "delete from users where id = 1",
              "select caravan.track('users', '{email, name, phone, salary}')")) {
        caravan.central().execute("alter table users add column if not exists phone text");
        caravan.central().execute(change);
        String users = "select id, name, %s from users order by id";
        String rows = "table members order by id";
        caravan.awaitEqual(users.formatted("email"), "blog", rows);
        caravan.awaitEqual(users.formatted("email"), "shop", rows);
        caravan.awaitEqual(users.formatted("salary"), "forum", rows);
      }

      assertThat(Files.readString(Path.of("target", "postgres", "server.log")))
          .contains(ofTheMapping)
          .doesNotContain(ofNone);
    }
  }

  private static String mapping(String mail) {
    return """
    [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name", "mail": "%s"}}]
    """
        .formatted(mail);
  }

  private static List<String> used(String expression) throws Fault {
    return UsedColumns.of(
            "[{\"source\": \"public.users\", \"key\": {}, \"columns\": {\"x\": \"%s\"}}]"
                .formatted(expression))
        .uses("public.users", COLUMNS);
  }
}
