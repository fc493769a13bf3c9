package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.nio.file.Path;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Keys of types of which a client may know less than central, and keys that may be written
 * otherwise.
 */
@Timeout(60)
class KeySpellingTest {
  private static final String MAPPING =
      """
      [{"source": "public.things", "table": "public.things", "key": {"id": "id"}, "columns": {"n": "n"}}]
      """;

  private final Database central = Postgres.shared().createDatabase("central");
  private final Database client = Postgres.shared().createDatabase("client");

  @ParameterizedTest(name = "{0} to {1}")
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          mood    | mood    | sad | happy
          mood    | text    | sad | happy
          citext  | citext  | a   | A
          citext  | text    | a   | A
          numeric(5,2) | text | 1.0 | 2
          interval | text   | 1 day | 24:00:00
          text collate "any_case" | text | a | A
          """)
  void aKeyThatChangesIsTheSameAtTheClientAndIsCompared(
      String type, String clientType, String first, String second) throws Exception {
    String types =
        """
        create type mood as enum ('sad', 'happy');
        create extension citext;
        """;
    central.install(Path.of("sql/central"));
    central.execute(types + icu(type));
    central.execute("create table things (id " + type + " primary key, n int)");
    central.execute("select caravan.track('things', '{n}')");
    client.makeTables();
    client.execute(types + "create table things (id " + clientType + " primary key, n int)");
    try (ByHand hub = new ByHand(central, client, "client", MAPPING)) {
      central.execute("insert into things values ('%s', 1)".formatted(first));
      hub.pump();
      assertSame();

      central.execute("update things set id = '%s', n = 2".formatted(second));
      hub.pump();
      assertSame();

      central.execute("delete from things; insert into things values ('%s', 3)".formatted(first));
      hub.pump();
      assertSame();

      client.execute("update things set n = 4");
      assertThat(hub.reconcile()).contains("1 compared").contains("1 repaired");
      assertSame();
      assertThat(hub.reconcile()).startsWith("done: 1 compared, 0 missing, 0 stale, 0 surplus");
    }
  }

  private static String icu(String type) {
    return type.contains("any_case")
        ? "create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        : "";
  }

  private void assertSame() {
    String rows = "select id::text, n from things";
    assertThat(client.query(rows)).isEqualTo(central.query(rows));
  }
}
