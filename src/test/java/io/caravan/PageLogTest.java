package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.core.config.Configurator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Which pages the log tells of. */
class PageLogTest extends WithBlog {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.users", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;

  @AfterEach
  void asBefore() {
    Configurator.setLevel("caravan.blog", (Level) null);
  }

  @Test
  void theInitialLoadIsToldPageByPage() {
    try (Log log = new Log("caravan.blog")) {
      start();

      assertThat(log.lines())
          .anyMatch(
              line -> line.matches("INFO all 3 rows of public.users, .*: 3 written, 0 removed"));
    }
  }

  @Test
  void changesAreToldOnlyToThoseWhoAskForIt() {
    start();
    try (Log log = new Log("caravan.blog")) {
      rename("new");
      rename("newer"); // one page after another: the first one is told, or not
      assertThat(log.lines()).noneMatch(line -> line.contains("written"));

      Configurator.setLevel("caravan.blog", Level.DEBUG);
      rename("newest");
      awaitLong()
          .untilAsserted(
              () ->
                  assertThat(log.lines())
                      .anyMatch(line -> line.startsWith("DEBUG") && line.contains("written")));
    }
  }

  private void start() {
    central.execute(
        """
        create table users (id int primary key, name text);
        insert into users select i, 'user ' || i from generate_series(1, 3) as i;
        select caravan.track('users', '{name}');
        """);
    startWith("create table users (id int primary key, name text)", MAPPING);
    awaitSame("users");
    awaitLive();
  }

  private void rename(String name) {
    central.execute("update users set name = '%s'".formatted(name));
    awaitSame("users");
  }
}
