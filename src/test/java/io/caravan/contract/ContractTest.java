package io.caravan.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.awaitility.Awaitility.await;

import io.caravan.Caravan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A source whose rows must look as a JSON schema says. */
class ContractTest {
  private static final String MEMBERS =
      "create table members (id bigint primary key, name text, mail text)";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name", "mail": "email"}
      }]
      """;

  @TempDir private Path schemas;
  private final Caravan caravan = new Caravan();

  @BeforeEach
  void usersWithAContract() throws IOException {
    Files.writeString(
        schemas.resolve("public.users.schema.json"),
        """
        {"properties": {"email": {"type": ["string", "null"], "format": "email"}, "name": {"maxLength": 10}}}
        """);
    caravan
        .central()
        .execute(
            """
            create table users (id bigint primary key, name text, email text);
            select caravan.track('users', '{name, email}');
            insert into users values (1, 'Ada', 'ada@example.org'), (2, 'Bob', 'bob@example.org');
            """);
    caravan.client("blog", MEMBERS, MAPPING).client("shop", MEMBERS, MAPPING);
    caravan.set("caravan.schemas", schemas.toString()).start();
    awaitMembers("Ada ada@example.org, Bob bob@example.org");
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aRowThatBreaksTheContractReachesNoClientAndIsADeadLetterOfAll() {
    central("update users set email = 'not an address', name = 'eleven char' where id = 1");
    central("update users set name = 'Rob', email = null where id = 2");

    awaitMembers("Ada ada@example.org, Rob ");
    assertThat(letters())
        .isEqualTo("* public.users [1] CV004 1 breaks the contract: email format; name maxLength");
  }

  @Test
  void aLaterStateThatKeepsTheContractResolvesIt() {
    central("update users set email = 'not an address' where id = 1");
    await().untilAsserted(() -> assertThat(letters()).startsWith("* public.users [1]"));

    central("update users set email = 'new@example.org' where id = 1");

    awaitMembers("Ada new@example.org, Bob bob@example.org");
    await().untilAsserted(() -> assertThat(letters()).isNull());
  }

  @Test
  void aRowThatIsGoneBreaksNoContract() {
    central("update users set email = 'not an address' where id = 1");
    await().untilAsserted(() -> assertThat(letters()).startsWith("* public.users [1]"));

    central("delete from users where id = 1");

    awaitMembers("Bob bob@example.org");
    await().untilAsserted(() -> assertThat(letters()).isNull());
  }

  @Test
  void aFileThatIsNoSchemaIsNamed() throws IOException {
    Path file = Files.writeString(schemas.resolve("public.orders.schema.json"), "{");

    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Contract().setFolder(schemas.toString()))
        .withMessageStartingWith(file + " is no JSON schema");
  }

  private void central(String sql) {
    caravan.central().execute(sql);
  }

  private void awaitMembers(String expected) {
    for (String client : new String[] {"blog", "shop"}) {
      await()
          .untilAsserted(
              () ->
                  assertThat(
                          caravan
                              .database(client)
                              .value(
                                  "select string_agg(concat(name, ' ', mail), ', ' order by id) from members"))
                      .isEqualTo(expected));
    }
  }

  private String letters() {
    return caravan
        .central()
        .value(
            "select string_agg(concat_ws(' ', client, source, key, sqlstate, attempts, message), '; ')"
                + " from caravan.dead_letters");
  }
}
