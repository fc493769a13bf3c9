package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import io.caravan.health.Problems;
import java.util.List;
import org.apache.camel.health.HealthCheck;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What keeps a source from being captured is noticed, and a remedy is named. */
class ProblemsTest {
  private static final String PROBLEMS = "select source, problem from caravan.problems";

  private final Caravan caravan = new Caravan();
  private final Database central = caravan.central();

  @BeforeEach
  void track() {
    central.execute(
        """
        create table users (id int primary key, name text, email text);
        create table posts (id int primary key);
        select caravan.track('users', '{name, email}'), caravan.track('posts', '{}');
        """);
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void thereIsNoneWhereAllIsWell() {
    central.execute("alter table users rename name to nickname");
    central.execute("alter table users add column age int default 5");

    assertThat(central.query(PROBLEMS)).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          alter table users disable trigger caravan_update                     | the trigger caravan_update is disabled | ''
          alter table users disable trigger all, enable trigger all            | the trigger caravan_delete is not ENABLE ALWAYS; the trigger caravan_insert is not ENABLE ALWAYS; the trigger caravan_truncate is not ENABLE ALWAYS; the trigger caravan_update is not ENABLE ALWAYS | ''
          drop trigger caravan_insert on users                                 | the trigger caravan_insert is missing | ''
          drop table users cascade                                             | its table was dropped | create table users (id int primary key, name text, email text)
          alter table users rename to old                                      | its table is now public.old | ''
          alter table users rename to old; create table users (id int primary key, name text, email text) | its table is now public.old, and another table has its name | ''
          alter table users drop constraint users_pkey                         | its key is no longer the primary key | alter table users add primary key (id)
          alter table users drop column name cascade                           | columns of it were dropped; the trigger caravan_update is missing | alter table users add column name text
          """)
  void eachIsNamedAndItsRemedyHelps(String damage, String problems, String mended) {
    central.execute(damage);

    assertThat(
            central.value(
                "select string_agg(problem, '; ' order by problem) from caravan.problems where source = 'public.users'"))
        .isEqualTo(problems);
    assertThat(central.query("select from caravan.problems where source <> 'public.users'"))
        .isEmpty();

    central.execute(mended);
    central
        .query("select distinct remedy from caravan.problems")
        .forEach(row -> central.execute(row.get(0)));

    assertThat(central.query(PROBLEMS)).isEmpty();
  }

  @Test
  void theHubTellsOfItOnceInItsLogAndInItsHealth() {
    try (Log log = new Log("caravan.sources")) {
      caravan
          .client(
              "blog",
              "create table members (id int primary key, name text)",
              """
              [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
              """)
          .set("caravan.problems", "100")
          .start();
      central.execute("alter table users disable trigger caravan_update");

      await()
          .untilAsserted(
              () ->
                  assertThat(health().getDetails())
                      .containsEntry("public.users", "the trigger caravan_update is disabled"));
      central.execute("alter table users enable always trigger caravan_update");
      await()
          .untilAsserted(() -> assertThat(health().getDetails()).doesNotContainKey("public.users"));

      assertThat(log.lines())
          .isEqualTo(
              List.of(
                  "WARN public.users: the trigger caravan_update is disabled. select caravan.track('public.users', '{id,name,email}')",
                  "INFO no source has a problem any more"));
    }
  }

  private HealthCheck.Result health() {
    return caravan
        .hub()
        .getCamelContext()
        .getRegistry()
        .lookupByNameAndType("problems", Problems.class)
        .call();
  }
}
