package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Several entries of a mapping may fill one table: the partitions of a table, or one source through
 * several filters. None of them takes away what another one brought.
 */
@Tag("slow")
class SeveralSourcesOneTableTest {
  private static final String PEOPLE =
      """
      create table people (id int not null, region text, name text) partition by list (region);
      create table people_eu partition of people (primary key (id)) for values in ('eu');
      create table people_us partition of people (primary key (id)) for values in ('us');
      select caravan.track('people_eu', '{region, name}'), caravan.track('people_us', '{region, name}');
      insert into people select i, 'eu', 'person ' || i from generate_series(1, 5) as i;
      insert into people select i, 'us', 'person ' || i from generate_series(6, 10) as i;
      """;
  private static final String MEMBERS =
      """
      create table members (id int primary key, region text, name text);
      create table posts (member int references members on delete cascade, text text);
      """;
  private static final String PARTITIONS =
      """
      [{"source": "public.people_eu", "table": "public.members", "key": {"id": "id"},
        "columns": {"region": "region", "name": "name"}},
       {"source": "public.people_us", "table": "public.members", "key": {"id": "id"},
        "columns": {"region": "region", "name": "name"}}]
      """;
  private static final String CENTRAL = "select id, region, name from people order by id";
  private static final String CLIENT = "select id, region, name from members order by id";

  @Nested
  class Partitions extends WithBlog {

    @BeforeEach
    void people() {
      central.execute(PEOPLE);
      startWith(MEMBERS, PARTITIONS);
      awaitEqual(CENTRAL, CLIENT);
      blog().execute("insert into posts select id, 'a post' from members");
    }

    @Test
    void mayBeTruncatedOneByOne() {
      central.execute("truncate people_us");

      awaitEqual(CENTRAL, CLIENT);
    }

    @ParameterizedTest
    @CsvSource({"1, us", "6, eu"})
    void mayPassARowToEachOtherAndItKeepsWhatTheClientHangsOnIt(int id, String region) {
      central.execute("update people set region = '%s' where id = %d".formatted(region, id));

      awaitEqual(CENTRAL, CLIENT);
      assertThat(blog().value("select count(*) from posts")).isEqualTo("10");
    }

    @Test
    void mayBothHaveARowForAWhile() {
      central.execute("insert into people_us values (1, 'us', 'moved')");
      awaitEqual("select 'moved'", "select name from members where id = 1");

      central.execute("delete from people_eu where id = 1");
      central.execute("update people set name = 'the end' where id = 10");

      awaitEqual(CENTRAL, CLIENT);
      assertThat(blog().value("select count(*) from posts")).isEqualTo("10");
    }

    /**
     * The deletions of one partition are in other pages than the rows that the other one has got.
     */
    @Test
    void mayPassMoreRowsToEachOtherThanAPageHas() {
      caravan.stop();
      caravan.edit("blog", "client: blog", "client: blog, pageRows: 3");
      caravan.start();

      central.execute("update people set region = 'us', name = 'moved' where id < 6");
      central.execute("update people set name = 'the end' where id = 10");

      awaitEqual(CENTRAL, CLIENT);
      assertThat(blog().value("select count(*) from posts")).isEqualTo("10");
    }

    @Test
    void mayPassAllRowsBeforeTheyAreTruncated() {
      central.execute(
          """
          create temp table moved as select id, 'us' as region, 'moved' as name from people_eu;
          truncate people_eu;
          insert into people_us select * from moved;
          """);

      awaitEqual(CENTRAL, CLIENT);
      central.execute("update people set name = 'the end' where id = 10");
      awaitEqual(CENTRAL, CLIENT);
      assertThat(blog().value("select count(*) from posts")).isEqualTo("10");
    }

    @Test
    void mayBothBeTruncatedAndFilledAgain() {
      central.execute(
          """
          create temp table moved as select id, 'us' as region, 'moved' as name from people_eu;
          truncate people;
          insert into people_us select * from moved;
          insert into people_us values (11, 'us', 'new');
          """);

      awaitEqual(CENTRAL, CLIENT);
      assertThat(blog().value("select count(*) from posts")).isEqualTo("5");
    }

    @Test
    void letGoOfARowThatMovedAndIsThenDeleted() {
      central.execute("update people set region = 'us' where id = 1");
      awaitEqual(CENTRAL, CLIENT);

      central.execute("delete from people where id = 1");

      awaitEqual(CENTRAL, CLIENT);
    }

    @Test
    void leaveARowThatTheClientAlwaysHad() {
      blog().execute("insert into members values (77, 'our', 'own')");

      central.execute("truncate people");

      awaitEqual("values (77, 'our', 'own')", CLIENT);
    }

    @Test
    void areComparedEachForItself() {
      central.execute("update people set region = 'us' where id = 1");
      awaitEqual(CENTRAL, CLIENT);

      assertThat(reconcile()).isEqualTo("done: 0 missing, 0 stale, 0 surplus");
      assertThat(blog().query(CLIENT)).isEqualTo(central.query(CENTRAL));
    }

    @Test
    void doNotHoldARowForASourceThatIsNoLongerMapped() {
      central.execute("insert into people_us values (1, 'us', 'in both')");
      awaitEqual("select 'in both'", "select name from members where id = 1");
      caravan.stop();
      caravan.map("blog", PARTITIONS.substring(0, PARTITIONS.indexOf(",\n {")) + "]");
      caravan.start();

      central.execute("delete from people_eu where id in (1, 2)");

      awaitEqual("values (6), (7)", "select id from members where id in (1, 2, 6, 7) order by id");
    }
  }

  @Nested
  class SourcesWhoseKeysAreOfDifferentTypes extends WithBlog {

    @ParameterizedTest
    @CsvSource({"int, bigint", "bigint, int", "int, numeric", "numeric, int"})
    void mayPassARowToEachOther(String eu, String us) {
      central.execute(
          """
          create table people_eu (id %s primary key, region text, name text);
          create table people_us (id %s primary key, region text, name text);
          select caravan.track('people_eu', '{region, name}'), caravan.track('people_us', '{region, name}');
          insert into people_eu select i, 'eu', 'person ' || i from generate_series(1, 5) as i;
          insert into people_us select i, 'us', 'person ' || i from generate_series(6, 10) as i;
          """
              .formatted(eu, us));
      startWith(MEMBERS, PARTITIONS);
      awaitEqual("select 10", "select count(*) from members");
      blog().execute("insert into posts select id, 'a post' from members");

      central.execute(
          """
          insert into people_us values (5, 'us', 'moved')
          """);
      awaitEqual("select 'moved'", "select name from members where id = 5");

      central.execute(
          """
          delete from people_eu where id = '5';
          begin;
          delete from people_eu where id = '3';
          insert into people_us values (3, 'us', 'moved');
          commit;
          begin;
          insert into people_us values (4, 'us', 'moved');
          delete from people_eu where id = '4';
          commit;
          update people_us set name = 'the end' where id = '10';
          """);

      awaitEqual("select 'the end'", "select name from members where id = 10");
      assertThat(blog().value("select string_agg(name, ' ') from members where id in (3, 4, 5)"))
          .isEqualTo("moved moved moved");
      assertThat(blog().value("select count(*) from posts")).isEqualTo("10");
    }

    @ParameterizedTest
    @CsvSource({"int, text", "text, int", "int, uuid"})
    void areRefusedWhereTheirKeysAreNotWrittenAlike(String eu, String us) {
      central.execute(
          """
          create table people_eu (id %s primary key, region text, name text);
          create table people_us (id %s primary key, region text, name text);
          select caravan.track('people_eu', '{region, name}'), caravan.track('people_us', '{region, name}');
          """
              .formatted(eu, us));

      startWith("create table members (id text primary key, region text, name text)", PARTITIONS);

      awaitPaused(
          "the key of public.people_us is " + us.replace("int", "integer"),
          "that of public.people_eu, which fills the same table",
          "Give both keys the same type");
    }
  }

  @Nested
  class PartitionsOfAnotherHistory extends WithBlog {
    private static final Postgres SERVER = new Postgres(Map.of());

    PartitionsOfAnotherHistory() {
      super(SERVER);
    }

    @Override
    @AfterEach
    void stop() {
      super.stop();
      SERVER.close();
    }

    @Test
    void keepARowThatMovedMeanwhile() {
      central.execute(PEOPLE);
      startWith(MEMBERS, PARTITIONS);
      awaitEqual(CENTRAL, CLIENT);
      blog().execute("insert into posts select id, 'a post' from members");
      caravan.stop();

      central.execute("update people set region = 'us', name = 'moved' where id = 1");
      central.execute("update people set region = 'eu', name = 'moved' where id = 6");
      central.execute("delete from people where id in (2, 7)");
      central.execute("checkpoint"); // the tests' servers commit without waiting for the disk
      SERVER.crash();
      SERVER.start();
      caravan.start();

      awaitEqual(CENTRAL, CLIENT);
      awaitLong()
          .until(
              () ->
                  blog().value("select cursor ? 'fill' from caravan.cursor").equals("f")
                      && central
                          .value(
                              "select count(*) from caravan.verification where doubt is not null")
                          .equals("0"));
      assertThat(blog().query(CLIENT)).isEqualTo(central.query(CENTRAL));
      assertThat(blog().value("select count(*) from posts")).isEqualTo("8");
    }
  }

  @Nested
  class TwoFiltersOfOneSource extends WithBlog {
    private static final String TWO_FILTERS =
        """
        [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
          "columns": {"region": "'Europe'", "name": "name"}, "where": "region = 'eu'"},
         {"source": "public.users", "table": "public.members", "key": {"id": "id"},
          "columns": {"region": "'America'", "name": "name"}, "where": "region = 'us'"}]
        """;
    private static final String FILTERED =
        """
        select id, case region when 'eu' then 'Europe' else 'America' end, name
        from users where region in ('eu', 'us') order by id
        """;

    @BeforeEach
    void users() {
      central.execute(
          """
          create table users (id int primary key, region text, name text);
          select caravan.track('users', '{region, name}');
          insert into users select i, case when i < 6 then 'eu' else 'us' end, 'u' || i from generate_series(1, 10) as i;
          """);
      startWith(MEMBERS, TWO_FILTERS);
      awaitEqual(FILTERED, CLIENT);
      blog().execute("insert into posts select id, 'a post' from members");
    }

    @ParameterizedTest
    @CsvSource({"1, us", "6, eu"})
    void mayPassARowToEachOtherAndItKeepsWhatTheClientHangsOnIt(int id, String region) {
      central.execute("update users set region = '%s' where id = %d".formatted(region, id));

      awaitEqual(FILTERED, CLIENT);
      assertThat(blog().value("select count(*) from posts")).isEqualTo("10");
    }

    @Test
    void letGoOfARowThatPassesNeither() {
      central.execute("update users set region = 'mars' where id in (1, 6)");
      awaitEqual(FILTERED, CLIENT);

      central.execute("delete from users where id in (2, 7)");

      awaitEqual(FILTERED, CLIENT);
    }

    /** Whether they can be compared, or the run says that it cannot tell their rows apart. */
    @Test
    void areNotRepairedWhereTheyAreRight() {
      central.execute("update users set region = 'us' where id = 1");
      awaitEqual(FILTERED, CLIENT);

      assertThat(reconcile()).matches("(done|stopped): 0 missing, 0 stale, 0 surplus");
      assertThat(blog().query(CLIENT)).isEqualTo(central.query(FILTERED));
    }
  }

  @Nested
  class ATableThatIsAllCentrals extends WithBlog {

    /** No source alone can say what is surplus in it, and a TRUNCATE of one would empty it. */
    @ParameterizedTest
    @ValueSource(strings = {"public.people_eu", "public.people_us"})
    void takesNoSecondEntry(String second) {
      central.execute(PEOPLE);
      startWith(
          MEMBERS,
          PARTITIONS
              .replace("public.people_us", second)
              .replace("\"columns\"", "\"rows\": \"central\", \"columns\""));

      awaitPaused("public.members", "shared");
      assertThat(blog().query("table members")).isEqualTo(List.of());
    }

    @Test
    void takesNoSecondEntryThatIsSharedEither() {
      central.execute(PEOPLE);
      startWith(
          MEMBERS, PARTITIONS.replaceFirst("\"columns\"", "\"rows\": \"central\", \"columns\""));

      awaitPaused("public.members", "shared");
    }
  }
}
