package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The keys that a client shows to central are written as central writes them. */
class SweepTest {

  @Test
  void aKeyThatIsAnArrayIsItsText() {
    Database central = Postgres.shared().createDatabase("central");
    central.install(Path.of("sql/central"));
    central.execute(
        """
        create table tags (tag text[], n int, primary key (tag, n));
        select caravan.track('tags', '{}');
        insert into tags values ('{a,"b c"}', 7);
        """);
    Database client = Postgres.shared().createDatabase("client");
    client.install(Path.of("sql/client"));
    client.execute(
        """
        create table tags (tag text[], n int, primary key (tag, n));
        insert into tags values ('{a,"b c"}', 7);
        """);

    String keys =
        client.value(
            """
            select caravan.keys('client',
                '[{"source": "public.tags", "table": "public.tags", "rows": "central",
                   "key": {"tag": "tag", "n": "n"}, "columns": {}}]',
                '{"sweep": {"source": "public.tags", "key": ["tag", "n"], "target": 0, "after": null}}', 10
              )::jsonb -> 'keys'
            """);

    assertThat(keys)
        .isEqualTo(central.value("select jsonb_agg(key) from caravan.change"))
        .isEqualTo("[[\"{a,\\\"b c\\\"}\", 7]]");
  }
}
