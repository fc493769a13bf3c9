package io.caravan.jdbc;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the hub tells of an error: whatever a message may quote, it never has row data. */
class CauseTest {
  private static final Database DATABASE = Postgres.shared().createCentral();

  @BeforeAll
  static void usersWhoMayBeRefused() {
    DATABASE.execute(
        """
        create table users (
          id int primary key, name text constraint named not null, mail varchar(9) constraint one_mail unique,
          age int constraint is_old check (age > 9)
        );
        insert into users values (1, 'Ada', 'secret', 10);
        create function refuse(word text) returns void language plpgsql as
        $$ begin raise exception 'not %', word using errcode = '42501', hint = word; end $$;
        create function run(word text) returns void language plpgsql as $$ begin execute word; end $$;
        """);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "insert into users values (2, 'secret', 'secret', 10)",
        "insert into users values (2, 'secret', 'secret at length', 10)",
        "insert into users values (2, 'secret', 'b', 3)",
        "select 'secret'::int",
        "select 'secret'::date",
        "do 'begin raise exception ''secret''; end'",
        "select refuse('secret')",
        "select run('secret')"
      })
  void rowDataIsInNoMessage(String sql) {
    assertThat(cause(sql, false).message()).doesNotContain("secret");
    assertThat(cause(sql, true).message())
        .matches(".*(secret|one_mail|is_old|character varying).*");
  }

  @Test
  void whatRefusesIsNamed() {
    assertThat(cause("insert into users values (2, 'b', 'secret', 10)", false).message())
        .isEqualTo("another row has the unique value: constraint one_mail, table public.users");
    assertThat(cause("insert into users values (2, null, 'b', 10)", false).message())
        .startsWith("a value is missing: ")
        .contains("column name, table public.users");
    assertThat(cause("select 'secret'::int", false).message())
        .isEqualTo("a text is not a valid value of the type (22P02)");
  }

  @Test
  void whatCaravanSaysIsToldWithItsHint() {
    DATABASE.execute("create table bare (id int)");

    assertThat(cause("select caravan.track('bare', '{id}')", false).message())
        .isEqualTo("public.bare has no primary key. alter table public.bare add primary key (…)");
  }

  @Test
  void whatPostgresqlSaysOfNamesAndRightsIsTold() {
    assertThat(cause("table nowhere", false).message())
        .isEqualTo("relation \"nowhere\" does not exist");
  }

  private static Cause cause(String sql, boolean showsMessages) {
    try {
      DATABASE.execute(sql);
    } catch (IllegalStateException e) {
      return Cause.of(e, showsMessages);
    }
    throw new AssertionError(sql + " succeeds");
  }
}
