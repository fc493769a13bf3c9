package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What the owner of a tracked table may do to it. New minor releases of PostgreSQL refuse to
 * rewrite a table whose row type a function uses.
 */
class AlterTrackedTableTest {
  private final Database central = Postgres.shared().createCentral();

  @BeforeEach
  void track() {
    central.execute(
        """
        create table users (id int primary key, name text, visits int not null default 0, age int);
        create domain positive as int check (value > 0);
        select caravan.track('users', '{name}');
        insert into users values (1, 'Ada');
        """);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "add column a int default 5",
        "add column a timestamptz default clock_timestamp()",
        "add column a int not null default random() * 9",
        "add column a int generated always as identity",
        "add column a int generated always as (visits * 2) stored",
        "add column a positive",
        "alter column visits type bigint",
        "alter column visits drop default, alter column visits type text",
        "alter column visits add generated always as identity",
        "alter column visits set default 7",
        "alter column age set not null",
        "drop column age",
        "rename column visits to looks",
        "add constraint few check (visits < 10)",
        "replica identity full",
        "set (fillfactor = 50)"
      })
  void whatIsDoneToItsOtherColumnsIsAllowed(String change) {
    String ddl = "update users set age = 1; alter table users drop constraint if exists x; ";
    central.execute(
        change.startsWith("alter column visits add")
            ? ddl + "alter table users alter visits drop default"
            : ddl);

    central.execute("alter table users " + change);
    central.execute("update users set name = 'Eve'");

    assertThat(central.query("select key from caravan.change order by id"))
        .containsExactly(List.of("[1]"), List.of("[1]"));
  }
}
