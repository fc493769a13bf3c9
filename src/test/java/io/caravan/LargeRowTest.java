package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Postgres.Database;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A row that is larger than the hub lets through is a dead letter, and holds up no other. */
@Tag("slow")
class LargeRowTest extends WithBlog {
  private static final String MEMBERS =
      "create table members (id int primary key, name text, photo bytea, likes jsonb)";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name", "photo": "photo", "likes": "likes"}}]
      """;
  private static final String OTHERS = " where id <> 7 order by id";

  @BeforeEach
  void users() {
    caravan.set("caravan.largestRow", "1000");
    central.execute(
        """
        create table users (id int primary key, name text, photo bytea, likes jsonb);
        select caravan.track('users', '{name, photo, likes}');
        insert into users (id, name) select i, 'user ' || i from generate_series(1, 20) as i;
        """);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          1001 | name = repeat('x', 1001)
          1200 | name = repeat('€', 400)
          1002 | photo = repeat('x', 500)::bytea
          1009 | likes = jsonb_build_array(repeat('x', 999), 1, 2)
          1100 | name = repeat('x', 500), likes = jsonb_build_array(repeat('x', 596))
          """)
  void isADeadLetterThatSaysItsSizeAndTheSetting(int size, String values) {
    startWith(MEMBERS, MAPPING);
    awaitSame();

    central.execute(
        "update users set name = 'new' where id <> 7; update users set name = '', %s where id = 7"
            .formatted(values)
            .replace("name = '', name", "name"));

    awaitLetters("public.users [7] 54000 open");
    awaitEqual("select * from users" + OTHERS, "select * from members" + OTHERS);
    assertThat(central.value("select message from caravan.dead_letters"))
        .contains("%,d bytes".formatted(size), "caravan.largestRow", "1,000");
    assertThat(blog().value("select name from members where id = 7")).isEqualTo("user 7");
  }

  @Test
  void isOneOfAFirstLoad() {
    central.execute("update users set name = repeat('x', 5000) where id = 7");

    startWith(MEMBERS, MAPPING);

    awaitLetters("public.users [7] 54000 open");
    awaitEqual("select * from users" + OTHERS, "table members order by id");
    assertThat(reconcile()).isEqualTo("done: 0 missing, 0 stale, 0 surplus");
  }

  @Test
  void maySilentlyGrowWhereTheClientDoesNotMapIt() {
    central.execute("update users set name = repeat('x', 5000) where id = 7");

    startWith(
        MEMBERS,
        """
        [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"photo": "photo"}}]
        """);

    awaitEqual(
        "select id, photo from users order by id", "select id, photo from members order by id");
    central.execute("update users set photo = 'small', name = repeat('x', 5001) where id = 7");
    awaitEqual(
        "select id, photo from users order by id", "select id, photo from members order by id");
    awaitNoLetters();
  }

  @Test
  void isResolvedWhenItIsSmallAgainOrGone() {
    startWith(MEMBERS, MAPPING);
    central.execute("update users set name = repeat('x', 5000) where id in (7, 8)");
    awaitLetters("public.users [7] 54000 open", "public.users [8] 54000 open");

    central.execute("update users set name = 'small' where id = 7; delete from users where id = 8");

    awaitSame();
    awaitNoLetters();
  }

  @Test
  void keepsThatASourceWithOnlySmallColumnsHasNoLimit() {
    central.execute(
        """
        create table points (id int primary key, x numeric);
        select caravan.track('points', '{x}');
        insert into points select i, i from generate_series(1, 2000) as i;
        """);
    startWith(
        "create table points (id int primary key, x numeric)",
        """
        [{"source": "public.points", "table": "public.points", "key": {"id": "id"}, "columns": {"x": "x"}}]
        """);

    awaitSame("points");
  }

  @Test
  void mayBeLargerThanTheHeapOfTheHub() {
    caravan.set("caravan.largestRow", "");
    caravan.client("blog", MEMBERS, MAPPING);
    caravan.client("shop", MEMBERS, MAPPING);
    central.execute("update users set name = repeat('x', 269000000) where id = 3");
    caravan.startProcess("-Xmx256m", "-XX:+ExitOnOutOfMemoryError").awaitStarted();
    awaitLetters("public.users [3] 54000 open", "public.users [3] 54000 open");

    central.execute(
        """
        update users set name = 'new' where id < 7 and id <> 3;
        update users set name = repeat('x', 269000000) where id = 7;
        update users set name = repeat('x', 8388605) || '€' where id = 8;
        update users set name = 'new' where id > 8;
        """);

    for (String client : new String[] {"blog", "shop"}) {
      Database database = caravan.database(client);
      awaitLong()
          .atMost(Duration.ofMinutes(2))
          .untilAsserted(
              () ->
                  assertThat(database.query("select id, md5(name) from members order by id"))
                      .containsAll(
                          central.query(
                              "select id, md5(name) from users where id not in (3, 7) order by id")));
    }
    awaitLetters(
        "public.users [3] 54000 open",
        "public.users [3] 54000 open",
        "public.users [7] 54000 open",
        "public.users [7] 54000 open");
  }

  @Test
  void mayHaveBytesOfWhichPostgresCannotWriteTheText() {
    startWith(MEMBERS, MAPPING);
    awaitSame();

    central.execute(
        """
        update users set photo = convert_to(repeat('x', 600000000), 'UTF8') where id = 7;
        update users set name = 'new' where id <> 7;
        """);

    awaitLetters("public.users [7] 54000 open");
    awaitEqual("select * from users" + OTHERS, "select * from members" + OTHERS);
    assertThat(reconcile()).isEqualTo("done: 0 missing, 0 stale, 0 surplus");
    central.execute("update users set photo = 'small' where id = 7");
    awaitSame();
    awaitNoLetters();
  }

  @Test
  void cannotBeLimitedByWhatIsNoNumber() {
    caravan.set("caravan.largestRow", "1 MB");

    assertThatThrownBy(() -> startWith(MEMBERS, MAPPING))
        .rootCause()
        .hasMessageContaining("caravan.largestRow is 1 MB");
  }

  private void awaitSame() {
    awaitEqual("table users order by id", "table members order by id");
  }
}
