package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rows exchange values that a client's table has but once, whatever the type of the column is. */
@Tag("slow")
class UniqueValuesMoveTest extends WithBlog {
  private static final String TASKS =
      """
      [{"source": "public.tasks", "table": "public.tasks", "key": {"id": "id"},
        "columns": {"list": "list", "position": "position"}}]
      """;

  /** What every list of tasks does that one can put in another order. */
  @Test
  void positionsInAListAreReversed() {
    givenTasks(2, 10, "check (position > 0)");

    central.execute("update tasks set position = 11 - position where list = 0");

    awaitSame("tasks");
    awaitNoLetters();
  }

  @Test
  void aTaskMovesToTheTopAndTheOthersOneDown() {
    givenTasks(2, 10, "");

    central.execute(
        "update tasks set position = case when position = 10 then 1 else position + 1 end where list = 0");

    awaitSame("tasks");
    awaitNoLetters();
  }

  @Test
  void rowsKeepTheClientsOwnColumnsAndWhatReferencesThem() {
    givenTasks(2, 2, "");
    blog()
        .execute(
            """
            alter table tasks add note text;
            update tasks set note = 'note ' || id;
            create table reminders (task int references tasks on delete cascade);
            insert into reminders select id from tasks;
            """);

    central.execute("update tasks set position = 3 - position");

    awaitEqual(
        "select id, list, position, 'note ' || id from tasks order by id",
        "select * from tasks order by id");
    assertThat(blog().value("select count(*) from reminders")).isEqualTo("4");
    awaitNoLetters();
  }

  @ParameterizedTest
  @CsvSource({"10", "3000"})
  void manyRowsPassTheirPositionsOn(int rows) {
    givenTasks(1, rows, "");

    central.execute(
        "update tasks set position = case when id = %1$d then 1 else id + 1 end".formatted(rows));

    awaitSame("tasks");
    awaitNoLetters();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          smallint          | 1                    | 2
          integer           | 2147483647           | 2147483646
          bigint            | 9223372036854775807  | 9223372036854775806
          numeric           | 1.5                  | 2.5
          numeric(4,2)      | 99.99                | 99.98
          real              | 1.5                  | 2.5
          double precision  | 1.5                  | 2.5
          money             | 1.50                 | 2.50
          date              | 2024-02-29           | 2024-03-01
          time              | 10:00                | 11:00
          timestamp         | 2024-02-29 10:00     | 2024-02-29 11:00
          timestamptz       | 2024-02-29 10:00+00  | 2024-02-29 11:00+00
          interval          | 1 day                | 2 days
          uuid              | 11111111-1111-1111-1111-111111111111 | 22222222-2222-2222-2222-222222222222
          text              | a                    | b
          varchar(1)        | a                    | b
          char(3)           | abc                  | abd
          bytea             | \\x01                | \\x02
          inet              | 10.0.0.1             | 10.0.0.2
          jsonb             | {"a": 1}             | {"a": 2}
          percent           | 1                    | 2
          feeling           | sad                  | happy
          mood              | sad                  | happy
          text[]            | {a}                  | {b}
          mood[]            | {sad}                | {happy}
          bit(3)            | 101                  | 110
          bit varying       | 101                  | 1
          bit varying(5)    | 101                  | 1
          int4range         | [1,3)                | [3,4)
          int8range         | [1,3)                | [3,)
          numrange          | [1,3)                | empty
          daterange         | [2024-01-01,2024-01-02) | [2024-01-01,2024-01-03)
          tsrange           | [2024-01-01,2024-01-02) | [2024-01-01,2024-01-03)
          tstzrange         | (,)                  | [2024-01-01,2024-01-03)
          """)
  void twoRowsSwapNotNullValuesOf(String type, String one, String other) {
    swap(type, one, other);
  }

  /** Where one value of a unique pair is free, it is not looked for in the other. */
  @Test
  void rowsSwapTheirPlacesThoughEveryKindIsInUse() {
    String ddl =
        "create type kind as enum ('a', 'b'); create table places (id int primary key, kind kind not null, place int not null";
    central.execute(
        ddl
            + """
            );
            select caravan.track('places', '{kind, place}');
            insert into places values (1, 'a', 1), (2, 'a', 2), (3, 'b', 1);
            """);
    startWith(
        ddl + ", unique (kind, place))",
        """
        [{"source": "public.places", "table": "public.places", "key": {"id": "id"},
          "columns": {"kind": "kind", "place": "place"}}]
        """);
    awaitSame("places");

    central.execute("update places set place = 3 - place where kind = 'a'");

    awaitSame("places");
    awaitNoLetters();
  }

  private void swap(String type, String one, String other) {
    String types =
        """
        create domain percent as int check (value between 0 and 100);
        create type mood as enum ('sad', 'so so', 'happy', 'elated');
        create domain feeling as mood;
        """;
    central.execute(
        """
        %1$s
        create table items (id int primary key, v %2$s not null);
        select caravan.track('items', '{v}');
        insert into items values (1, '%3$s'), (2, '%4$s');
        """
            .formatted(types, type, one, other));
    startWith(
        types + "create table items (id int primary key, v %s not null unique)".formatted(type),
        """
        [{"source": "public.items", "table": "public.items", "key": {"id": "id"}, "columns": {"v": "v"}}]
        """);
    awaitSame("items");

    central.execute(
        "update items set v = case id when 1 then '%2$s'::%3$s else '%1$s'::%3$s end"
            .formatted(one, other, type));

    awaitSame("items");
    awaitNoLetters();
  }

  @Test
  void bookingsSwapTheirTimesUnderAnExclusionConstraint() {
    central.execute(
        """
        create table bookings (id int primary key, during tsrange not null);
        select caravan.track('bookings', '{during}');
        insert into bookings values (1, '[2024-01-01,2024-01-02)'), (2, '[2024-01-02,2024-01-03)');
        """);
    startWith(
        "create table bookings (id int primary key, during tsrange not null, exclude using gist (during with &&))",
        """
        [{"source": "public.bookings", "table": "public.bookings", "key": {"id": "id"}, "columns": {"during": "during"}}]
        """);
    awaitSame("bookings");

    central.execute(
        "update bookings set during = case id when 1 then '[2024-01-02,2024-01-03)'::tsrange else '[2024-01-01,2024-01-02)' end");

    awaitSame("bookings");
    awaitNoLetters();
  }

  @Test
  void bookingsSwapTheirTimesWhereTheConstraintComputesTheRange() {
    central.execute(
        """
        create table bookings (id int primary key, begins timestamp not null, ends timestamp not null);
        select caravan.track('bookings', '{begins, ends}');
        insert into bookings values (1, '2024-01-01', '2024-01-02'), (2, '2024-01-02', '2024-01-03');
        """);
    startWith(
        """
        create table bookings (
          id int primary key, begins timestamp not null, ends timestamp not null,
          exclude using gist (tsrange(begins, ends) with &&)
        )
        """,
        """
        [{"source": "public.bookings", "table": "public.bookings", "key": {"id": "id"},
          "columns": {"begins": "begins", "ends": "ends"}}]
        """);
    awaitSame("bookings");

    central.execute(
        """
        update bookings set begins = timestamp '2024-01-03' - interval '1 day' * id,
          ends = timestamp '2024-01-04' - interval '1 day' * id
        """);

    awaitSame("bookings");
    awaitNoLetters();
  }

  /** It is not taken from a row that has it in central too. */
  @Test
  void aValueThatTwoRowsOfCentralHaveStaysWithTheFirst() {
    givenTasks(1, 6, "");
    central.execute("alter table tasks drop constraint tasks_list_position_key");

    central.execute("update tasks set position = 2 where id = 1");
    central.execute("update tasks set position = 300 where id = 6");

    awaitLetters("public.tasks [1] 23505 open");
    awaitEqual(
        "select id, list, case id when 1 then 1 else position end from tasks order by id",
        "select * from tasks order by id");
  }

  @Test
  void aLocalRowKeepsItsValueThoughItsKeyWasCentralsForAMoment() {
    givenTasks(1, 4, "");
    blog().execute("insert into tasks values (99, 0, 50)");
    caravan.stop();

    central.execute("insert into tasks values (99, 0, 99)");
    central.execute(
        "delete from tasks where id = 99; update tasks set position = 3 - position where id < 3");
    caravan.start();

    awaitEqual(
        "select * from tasks union all values (99, 0, 50) order by id",
        "select * from tasks order by id");
  }

  private void givenTasks(int lists, int each, String check) {
    central.execute(
        """
        create table tasks (
          id int primary key, list int, position int,
          unique (list, position) deferrable initially deferred
        );
        select caravan.track('tasks', '{list, position}');
        insert into tasks
        select list * %2$d + position, list, position
        from generate_series(0, %1$d - 1) as list, generate_series(1, %2$d) as position;
        """
            .formatted(lists, each));
    startWith(
        """
        create table tasks (
          id int primary key, list int not null, position int not null %s, unique (list, position)
        )
        """
            .formatted(check),
        TASKS);
    awaitSame("tasks");
  }
}
