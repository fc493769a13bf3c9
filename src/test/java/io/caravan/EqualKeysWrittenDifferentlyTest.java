package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A key may be written in more ways than one and still be the same for central. The client ends
 * with the one row, written as central writes it.
 */
@Tag("slow")
class EqualKeysWrittenDifferentlyTest extends WithBlog {
  private static final String TYPES =
      """
      create extension if not exists citext;
      create domain price as text check (value like '%.__');
      """;
  private static final String MAPPING =
      """
      [{"source": "public.tags", "table": "public.tags", "key": {"tag": "tag"}, "columns": {"n": "n"}, "rows": "*rows*"}]
      """;
  private static final String TAGS = "select tag::text, n from tags order by n";

  @ParameterizedTest
  @CsvSource({
    "citext, citext, shared",
    "citext, text, shared",
    "citext, citext, central",
    "citext, text, central"
  })
  void aKeyGetsAnotherCase(String type, String clientType, String rows) {
    start(type, clientType, rows, "('java', 1), ('sql', 2)");

    central.execute("update tags set tag = 'JAVA' where tag = 'java'");
    awaitEqual(TAGS, TAGS);
    central.execute("update tags set n = 3 where tag = 'java'");
    awaitEqual(TAGS, TAGS);
    assertThat(reconcile()).isEqualTo("done: 0 missing, 0 stale, 0 surplus");
    central.execute("delete from tags where tag = 'java'");

    awaitEqual("values ('sql', 2)", TAGS);
    awaitNoLetters();
  }

  @ParameterizedTest
  @CsvSource({
    "citext, citext, shared",
    "citext, text, shared",
    "citext, citext, central",
    "citext, text, central"
  })
  void aKeyIsDeletedAndComesBackInAnotherCaseWhileTheHubIsAway(
      String type, String clientType, String rows) {
    start(type, clientType, rows, "('java', 1), ('sql', 2)");
    caravan.stop();

    central.execute("delete from tags where tag = 'java'");
    central.execute("insert into tags values ('Java', 1)");
    central.execute("update tags set tag = 'JAVA' where tag = 'java'");
    caravan.start();

    awaitEqual(TAGS, TAGS);
    awaitNoLetters();
  }

  @ParameterizedTest
  @CsvSource({
    "numeric, numeric, shared",
    "numeric, numeric, central",
    "numeric, text, shared",
    "numeric, text, central",
    "numeric, varchar(9), central",
  })
  void aNumberGetsMoreZeros(String type, String clientType, String rows) {
    start(type, clientType, rows, "('1.0', 1), ('2', 2)");

    central.execute("update tags set tag = '1.00' where tag = 1");
    awaitEqual(TAGS, TAGS);
    central.execute("update tags set n = 3 where tag = 1");
    awaitEqual(TAGS, TAGS);
    assertThat(reconcile()).isEqualTo("done: 0 missing, 0 stale, 0 surplus");
    central.execute("delete from tags where tag = 1");

    awaitEqual("values ('2', 2)", TAGS);
    awaitNoLetters();
  }

  @Test
  void aRowWhoseNumberGetsMoreZerosKeepsWhatIsTheClientsOwn() {
    start("numeric", "text", "shared", "('1.0', 1), ('2', 2)");
    blog().execute("alter table tags add note text default 'mine'");

    central.execute("update tags set tag = '1.00' where tag = 1");

    awaitEqual("values ('1.00', 1, 'mine'), ('2', 2, 'mine')", "select * from tags order by tag");
    awaitNoLetters();
  }

  /** As older hubs left them. */
  @Test
  void aNumberThatHasBothTextsIsWrittenOnce() {
    start("numeric", "text", "shared", "('1.0', 1)");
    blog().execute("insert into tags values ('1.00', 9)");

    central.execute("update tags set tag = '1.00', n = 2");

    awaitEqual("values ('1.0', 1), ('1.00', 2)", "select * from tags order by tag");
    awaitNoLetters();
  }

  @Test
  void aNumberIsAKeyThatIsATextOfOneForm() {
    start("numeric", "price", "shared", "(1.00, 1), (2.50, 2)");
    awaitEqual(TAGS, TAGS);

    central.execute("update tags set n = n + 1; delete from tags where tag = 2.5");

    awaitEqual(TAGS, TAGS);
    awaitNoLetters();
  }

  @ParameterizedTest
  @CsvSource({
    "float8, 1e20, 1e21",
    "float8, 0, -0",
    "real, 0.1, 0.2",
    "numeric, NaN, 1",
    "numeric, 1e-30, 1.0e-30"
  })
  void anyNumberIsAKeyThatIsTextAtTheClient(String type, String one, String other) {
    start(type, "text", "shared", "('%s', 1), ('5', 2), ('-5', 3)".formatted(one));

    central.execute("update tags set tag = '%s' where n = 1".formatted(other));
    awaitEqual(TAGS, TAGS);
    central.execute("delete from tags where n = 1");

    awaitEqual(TAGS, TAGS);
    awaitNoLetters();
  }

  @ParameterizedTest
  @CsvSource({"char(5), char(5)", "text, char(5)"})
  void aPaddedKeyEndsEqual(String type, String clientType) {
    padded(type, clientType);
  }

  @ParameterizedTest
  @CsvSource({"char(5), text", "char(5), varchar(5)"})
  void aPaddedKeyEndsEqualInATypeThatPadsNothing(String type, String clientType) {
    padded(type, clientType);
  }

  private void padded(String type, String clientType) {
    start(type, clientType, "shared", "('ab', 1), ('abcde', 2)");

    central.execute("update tags set n = n + 10");
    awaitEqual(
        "select 'ab', 11 union all select 'abcde', 12",
        "select rtrim(tag), n from tags order by n");
    assertThat(reconcile()).isEqualTo("done: 0 missing, 0 stale, 0 surplus");
    central.execute("delete from tags where tag = 'ab'");

    awaitEqual("values ('abcde', 12)", TAGS);
    awaitNoLetters();
  }

  @ParameterizedTest
  @CsvSource({"char(5), char(5)", "char(5), text", "char(5), varchar(9)", "text, char(5)"})
  void aPaddedValueEndsEqual(String type, String clientType) {
    central.execute(
        """
        create table codes (id int primary key, code %s);
        select caravan.track('codes', '{code}');
        insert into codes values (1, 'ab'), (2, 'abcde'), (3, ''), (4, null);
        """
            .formatted(type));
    startWith(
        "create table codes (id int primary key, code %s)".formatted(clientType),
        """
        [{"source": "public.codes", "table": "public.codes", "key": {"id": "id"}, "columns": {"code": "code"}}]
        """);
    awaitEqual(
        "select id, rtrim(code) from codes order by id",
        "select id, rtrim(code) from codes order by id");

    assertThat(reconcile()).isEqualTo("done: 0 missing, 0 stale, 0 surplus");
  }

  /** ON CONFLICT cannot use it, and would say so only when a row comes. */
  @Test
  void aKeyThatIsDeferrablePausesTheClient() {
    central.execute(
        """
        create table tags (tag text primary key, n int);
        select caravan.track('tags', '{n}');
        """);

    startWith(
        "create table tags (tag text primary key deferrable, n int)",
        MAPPING.replace("*rows*", "shared"));

    awaitPaused("(tag)", "deferrable");
    blog().execute("alter table tags drop constraint tags_pkey, add primary key (tag)");
    central.execute("insert into tags values ('java', 1)");
    awaitEqual(TAGS, TAGS);
  }

  private void start(String type, String clientType, String rows, String values) {
    central.execute(
        TYPES
            + """
            create table tags (tag %s primary key, n int);
            select caravan.track('tags', '{n}');
            insert into tags values %s;
            """
                .formatted(type, values));
    startWith(
        TYPES + "create table tags (tag %s primary key, n int)".formatted(clientType),
        MAPPING.replace("*rows*", rows));
    awaitEqual(
        "select rtrim(tag::text), n from tags order by n",
        "select rtrim(tag::text), n from tags order by n");
  }
}
