package io.caravan;

import static io.caravan.DigestTest.done;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Postgres.Database;
import io.caravan.client.TargetNumber;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What a comparison of a client with central finds and does, step by step. The hub does not run.
 */
@Tag("slow")
class RunTest {
  private static final String SHARED =
      """
      [{"source": "public.users", "table": "public.members", "key": {"user_id": "id"},
        "columns": {"nickname": "name", "mail": "lower(email)", "origin": "'central'"}, "where": "site = 'blog'"}]
      """;
  private static final String CENTRALS =
      SHARED.replace("\"where\"", "\"rows\": \"central\", \"where\"");

  private static final long NUMBER = TargetNumber.of("blog", "public.users", "public.members", 1);

  private final Database central = Postgres.shared().createCentral();
  private final Database blog = Postgres.shared().createDatabase("blog");
  private ByHand hub;
  private int blocksOfPart;

  @BeforeEach
  void usersAndMembers() {
    blog.makeTables();
    central.execute(
        """
        create table users (id bigint primary key, name text, email text, site text);
        insert into users
        select i, 'user ' || i, 'U' || i || '@example.org', case when i %% 10 = 0 then 'shop' else 'blog' end
        from generate_series(1, 4000) as i;
        select caravan.track('users', '{name, email, site}');
        """
            .replace("%%", "%"));
    blog.execute(
        """
        create table members (
          user_id bigint primary key, nickname text check (nickname <> 'nobody'), mail text, origin text, karma int default 1
        )
        """);
  }

  @AfterEach
  void close() throws SQLException {
    hub.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {SHARED, "central"})
  void equalTablesTakeOneDigest(String mapping) throws SQLException {
    load(mapping.equals("central") ? CENTRALS : SHARED);

    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 0, 0, 0, 0));
    assertThat(hub.answers()).isEqualTo(2); // a survey and a digest
    assertThat(isVerified()).isTrue();
  }

  /** Random drift, with limits so low that the buckets are told apart again and again. */
  @ParameterizedTest
  @ValueSource(ints = {100000, 300, 40})
  void randomDriftIsFoundAndRepaired(int listed) throws SQLException {
    load(SHARED);
    limit(listed, 50);
    long seed = System.nanoTime();
    Random random = new Random(seed);
    int missing = 0;
    int stale = 0;
    int surplus = 0;
    int local = 0;
    for (int i = 0; i < 300; i++) {
      int id = 1 + random.nextInt(8000);
      boolean inCentral = id <= 4000 && id % 10 != 0;
      if (!inCentral) {
        boolean replicated = random.nextBoolean();
        if (count("select count(*) from members where user_id = " + id) == 0) {
          blog.execute("insert into members values (%d, 'new')".formatted(id));
          surplus += replicated ? 1 : 0;
          local += replicated ? 0 : 1;
          if (replicated) {
            blog.execute(
                "insert into caravan.replicated values (%2$d, '[%1$d]')".formatted(id, NUMBER));
          }
        }
      } else if (count(
              "select count(*) from members where nickname = 'user %1$d' and mail = 'u%1$d@example.org' and user_id = %1$d"
                  .formatted(id))
          == 1) {
        if (random.nextBoolean()) {
          missing++;
          blog.execute("delete from members where user_id = " + id);
        } else {
          stale++;
          blog.execute(
              "update members set %s where user_id = %d"
                  .formatted(
                      random.nextBoolean() ? "nickname = nickname || ' '" : "mail = null", id));
        }
      }
    }

    assertThat(hub.reconcile())
        .as("seed %d", seed)
        .isEqualTo(done("3600", missing, stale, surplus, local, missing + stale + surplus));
    assertEqual();
    assertThat(count("select count(*) from members where nickname = 'new'")).isEqualTo(local);
    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 0, 0, local, 0));
    assertThat(isVerified()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "id - 2000",
        "id + 9223372036854771807",
        "id - 9223372036854775808",
        "id * 2305843009213693 - 4611686018427387904"
      })
  void keysMayBeNegativeOrFarApart(String key) throws SQLException {
    central.execute("update users set id = " + key);
    load(SHARED);
    limit(40, 50);
    blog.execute(
        """
        delete from members where nickname in ('user 1', 'user 1777', 'user 3999');
        update members set mail = 'x' where nickname in ('user 2', 'user 16', 'user 2345');
        """);

    assertThat(hub.reconcile()).isEqualTo(done("3600", 3, 3, 0, 0, 6));
    assertEqual();
  }

  @Test
  void manyRowsOfTheClientsOwnAreToldApartWhereTheyAre() throws SQLException {
    load(SHARED);
    limit(300, 50);
    blog.execute("insert into members select i, 'own' from generate_series(10001, 20000) as i");
    blog.execute("analyze");

    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 0, 0, 10000, 0));
    assertThat(hub.answers()).isEqualTo(3); // a survey and two digests

    blog.execute("update members set karma = 2; delete from members where user_id = 20000");
    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 0, 0, 9999, 0));
    assertThat(hub.answers()).isLessThan(12);
    int before = hub.answers();
    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 0, 0, 9999, 0));
    assertThat(hub.answers() - before).as("what it knows of the client's local rows").isLessThan(9);

    blog.execute(
        "delete from members where user_id in (7, 8); update members set mail = '' where user_id = 9");
    blog.execute("delete from caravan.replicated where canonical_key = '[11]'");

    assertThat(hub.reconcile()).isEqualTo(done("3600", 2, 2, 0, 9999, 4));
    assertEqual();
  }

  @Test
  void everyRowOfATableThatIsWhollyCentralsIsCompared() throws SQLException {
    load(CENTRALS);
    blog.execute("insert into members select i, 'own' from generate_series(10001, 10100) as i");

    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 0, 100, 0, 100));
    assertEqual();
    assertThat(count("select count(*) from members")).isEqualTo(3600);
  }

  @ParameterizedTest
  @ValueSource(strings = {"client", "'*'"}) // the client refuses it, or the contract of all
  void whatIsRefusedIsNoDifference(String by) throws SQLException {
    central.execute("update users set name = 'nobody' where id in (1, 2)");
    load(SHARED);
    central.execute("update caravan.dead_letter set client = " + by);
    blog.execute("update members set mail = 'x' where user_id = 3");

    assertThat(hub.reconcile())
        .isEqualTo(
            "done: 3598 compared, 0 missing, 1 stale, 0 surplus, 0 local, 1 repaired, 2 skipped");
    assertThat(isVerified()).isFalse();

    central.execute("update users set name = 'somebody' where id in (1, 2)");
    central.execute("update caravan.dead_letter set state = 'resolved'");
    hub.pump();
    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 0, 0, 0, 0));
    assertThat(isVerified()).isTrue();
  }

  @Test
  void aRepairThatTheClientRefusesIsToldAndNotTriedForEver() throws SQLException {
    load(SHARED);
    blog.execute(
        """
        update members set mail = 'x' where user_id = 3;
        alter table members add constraint stubborn check (user_id <> 3 or mail = 'x') not valid
        """);

    assertThat(hub.reconcile())
        .isEqualTo(
            "done: 3600 compared, 0 missing, 1 stale, 0 surplus, 0 local, 0 repaired, 1 skipped; 1 rows are refused by the client: dead letters");
    assertThat(isVerified()).isFalse();
  }

  @Test
  void aClientThatChangesWhatItIsGivenIsNotEqual() throws SQLException {
    blog.execute(
        """
        create function shout() returns trigger language plpgsql as
        $$ begin new.nickname := upper(new.nickname); return new; end $$;
        create trigger shout before insert or update on members for each row when (new.user_id = 3) execute function shout()
        """);
    load(SHARED);

    assertThat(hub.reconcile())
        .isEqualTo(done("3600", 0, 1, 0, 0, 0) + "; 1 rows were sent once more and still differ");
    assertThat(isVerified()).isFalse();
  }

  @Test
  void ifTooMuchDiffersAPersonIsAsked() throws SQLException {
    load(SHARED);
    blog.execute("delete from members where user_id <= 2000");
    String changes = "select count(*) from caravan.change";
    String before = central.value(changes);

    assertThat(hub.reconcile())
        .startsWith("waiting: 3600 compared, 1")
        .contains("nothing is repaired");
    assertThat(central.value(changes)).isEqualTo(before);
    hub.pump();
    assertThat(count("select count(*) from members")).isEqualTo(1800);

    String run = central.value("select max(id) from caravan.reconciliation");
    central.execute("select caravan.confirm(%s)".formatted(run));
    hub.finish();

    assertThat(hub.result(run)).isEqualTo(done("3600", 1800, 0, 0, 0, 1800));
    assertEqual();
  }

  @Test
  void aRowThatIsNoLongerNotedAsCentralsIsNotedAgain() throws SQLException {
    load(SHARED);
    blog.execute("insert into members values (5000, 'its own')");
    blog.execute("delete from caravan.replicated where canonical_key in ('[11]', '[12]')");

    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 2, 0, 1, 2));

    assertThat(count("select count(*) from caravan.replicated")).isEqualTo(3600);
    central.execute("delete from users where id = 11");
    hub.pump();
    assertThat(count("select count(*) from members where user_id = 11")).isZero();
    assertThat(hub.reconcile()).isEqualTo(done("3599", 0, 0, 0, 1, 0));
  }

  @Test
  void aKeyThatIsNotedAsCentralsWithoutARowAnywhereIsForgotten() throws SQLException {
    load(SHARED);
    blog.execute("insert into members values (5000, 'its own')");
    note(6001, 6002);

    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 0, 2, 1, 2));
    assertThat(isVerified()).isTrue();

    assertThat(count("select count(*) from caravan.replicated")).isEqualTo(3600);
    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 0, 0, 1, 0));
  }

  @Test
  void aDryRunNamesTheKeysThatHaveNoRow() throws SQLException {
    load(SHARED);
    note(6001);

    assertThat(hub.reconcile(", dry_run => true")).isEqualTo(done("3600", 0, 0, 1, 0, 0));

    assertThat(central.value("select found -> 0 ->> 'sql' from caravan.reconciliations"))
        .isEqualTo(
            "delete from caravan.replicated where target = "
                + NUMBER
                + " and coalesce(spelled, canonical_key) = '[6001]'");
    assertThat(count("select count(*) from caravan.replicated")).isEqualTo(3601);
  }

  private void note(int... keys) {
    for (int key : keys) {
      blog.execute("insert into caravan.replicated values (%2$d, '[%1$d]')".formatted(key, NUMBER));
    }
  }

  /** A sample of the rows is enough. */
  @Test
  void ifAlmostNothingIsThereAPersonIsAskedSoon() throws SQLException {
    load(SHARED);
    addToBoth(200000);
    blog.execute("delete from members where user_id > 2000");

    assertThat(hub.reconcile())
        .startsWith("waiting: 203600 compared, ")
        .contains("only some of the keys that may differ were checked; nothing is repaired");
    assertThat(hub.answers()).isLessThan(15);
  }

  @Test
  void aSampleDoesNotMakeMuchOfWhatIsLittle() throws SQLException {
    load(SHARED);
    limit(500, 1000);
    addToBoth(20000);
    blog.execute("delete from members where user_id % 20 = 1");

    assertThat(hub.reconcile()).isEqualTo(done("23600", 1200, 0, 0, 0, 1200));
  }

  /** Rows that both sides have. Nobody has to apply them. */
  private void addToBoth(int rows) {
    central.execute(
        """
        alter table users disable trigger all;
        insert into users select 10000 + i, 'user ' || i, 'U' || i, 'blog' from generate_series(1, %d) as i;
        alter table users enable always trigger caravan_insert;
        analyze users
        """
            .formatted(rows));
    blog.execute(
        """
        insert into members select 10000 + i, 'user ' || i, 'u' || i, 'central' from generate_series(1, %1$d) as i;
        insert into caravan.replicated select %2$d, jsonb_build_array(10000 + i)::text from generate_series(1, %1$d) as i;
        analyze
        """
            .formatted(rows, NUMBER));
  }

  @Test
  void aDryRunSaysWhatWouldBeWrittenAndWritesNothing() throws SQLException {
    load(SHARED);
    blog.execute(
        """
        delete from members where user_id = 3; update members set mail = 'secret' where user_id = 4;
        insert into members values (5000, 'surplus');
        insert into caravan.replicated values (%d, '[5000]');
        """
            .formatted(NUMBER));

    assertThat(hub.reconcile(", dry_run => true")).isEqualTo(done("3600", 1, 1, 1, 0, 0));

    assertThat(
            central
                .query(
                    "select f ->> 'sql' from caravan.reconciliations, jsonb_array_elements(found) as f order by 1")
                .toString())
        .isEqualTo(
            "[[delete from public.members where user_id = '5000'],"
                + " [insert into public.members (user_id, nickname, mail, origin) values ('3', …, …, …)],"
                + " [update public.members set nickname = …, mail = …, origin = … where user_id = '4']]");
    hub.pump();
    assertThat(blog.value("select mail from members where user_id = 4")).isEqualTo("secret");
  }

  @Test
  void oneKeyIsComparedAlone() throws SQLException {
    load(SHARED);
    blog.execute("update members set mail = 'x' where user_id in (3, 4)");

    assertThat(hub.reconcile(", 'public.users', '[3]'")).isEqualTo(done("0", 0, 1, 0, 0, 1));
    assertThat(blog.query("select user_id from members where mail = 'x'").toString())
        .isEqualTo("[[4]]");
    assertThatThrownBy(() -> hub.reconcile(", 'public.orders'"))
        .hasMessageContaining("no hub maps public.orders to the client blog");
  }

  @Test
  void aRequestWaitsForItsClientToBecomeKnown() throws SQLException {
    central.execute(
        "create table orders (id int primary key); select caravan.track('orders', '{}')");
    blog.execute("create table orders (id int primary key)");
    String two =
        SHARED.replace(
            "}]",
            """
            }, {"source": "public.orders", "table": "public.orders", "key": {"id": "id"}, "columns": {}}]
            """);
    central.execute("select caravan.reconcile('shop')");
    String all = central.value("select caravan.reconcile('blog')");
    String one = central.value("select caravan.reconcile('blog', 'public.users', '[3]')");
    String none = central.value("select caravan.reconcile('blog', 'public.comments')");
    hub = new ByHand(central, blog, "blog", two);
    hub.pump();
    blog.execute("update members set mail = 'x' where user_id = 3");

    for (int run = 0; run < 4; run++) {
      hub.finish();
    }

    assertThat(hub.result(all)).isEqualTo(done("0", 0, 0, 0, 0, 0));
    assertThat(hub.result(one)).isEqualTo(done("0", 0, 1, 0, 0, 1));
    assertThat(hub.result(none)).startsWith("stopped: ").endsWith("; it is not mapped");
    assertThat(
            central.query(
                "select client, target, state from caravan.reconciliation where id <> all ('{%s,%s,%s}') order by 1"
                    .formatted(all, one, none)))
        .isEqualTo(
            List.of(List.of("blog", "public.members", "done"), List.of("shop", "*", "requested")));
  }

  /** Central is checked first, then a change that the client has, or the other way round. */
  @Test
  void aRowThatChangesBetweenTheTwoChecksIsNoDifference() throws SQLException {
    load(SHARED);
    blog.execute("update members set mail = 'x' where user_id = 5");
    hub.finish();
    central.execute("select caravan.reconcile('blog')");
    AtomicInteger asked = new AtomicInteger(1);
    hub.runs()
        .ofCentral(
            (what, ask) -> {
              int i = asked.getAndIncrement();
              if (i > 8) {
                hub.pump();
              }
              Object before = ask.call();
              central.execute("update users set name = name || '.' where id = 3");
              Object afterwards = ask.call();
              if (i % 2 == 0) {
                hub.pump();
              }
              return i % 3 == 0 ? before : afterwards;
            });

    hub.finish();

    assertThat(asked).hasValueGreaterThan(4);
    assertThat(central.value("select found from caravan.reconciliations"))
        .isEqualTo("[{\"is\": \"stale\", \"key\": [5]}]");
  }

  /** Then the page that ends the window is empty, and the client's cursor stays within it. */
  @Test
  void asManyRepairsAsAPageHoldsAreSeen() throws SQLException {
    load(SHARED);
    limit(100000, 400);
    blog.execute(
        "update members set mail = 'x' where user_id in (select user_id from members order by 1 limit 350)");
    blog.execute(
        "delete from members where user_id in (select user_id from members order by 1 desc limit 650)");

    central.execute(
        "insert into caravan.reconciliation (client, source, target, reason, confirmed) values ('blog', 'public.users', 'public.members', 'request', true)");
    hub.finish();

    assertThat(hub.result("1")).isEqualTo(done("3600", 650, 350, 0, 0, 1000));
  }

  @Test
  void aDigestOfManyRowsWritesNoTemporaryFiles() throws SQLException {
    load(SHARED);
    central.execute(
        """
        alter table users disable trigger all;
        insert into users select i, 'user ' || i, 'U' || i, 'blog' from generate_series(10001, 310000) as i;
        analyze users
        """);
    blog.execute(
        """
        insert into members select i, 'user ' || i, 'u' || i, 'central' from generate_series(10001, 310000) as i;
        insert into caravan.replicated select %d, jsonb_build_array(i)::text from generate_series(10001, 310000) as i;
        insert into members select -i, 'own' from generate_series(1, 50000) as i;
        analyze
        """
            .formatted(NUMBER));
    hub.set("temp_file_limit", "0");

    assertThat(hub.reconcile()).isEqualTo(done("303600", 0, 0, 0, 50000, 0));
    assertThat(hub.answers()).isEqualTo(3);
    assertThat(hub.reconcile()).isEqualTo(done("303600", 0, 0, 0, 50000, 0));
    assertThat(hub.answers()).as("the client's local rows are known").isEqualTo(5);
  }

  @Test
  void whatIsStoppedAsksNoMore() throws SQLException {
    load(SHARED);
    hub.finish();
    String run = central.value("select caravan.reconcile('blog')");
    hub.runs()
        .ofClient(
            (what, ask) -> {
              if (what.equals("digest")) {
                central.execute("select caravan.stop(%s)".formatted(run));
              }
              return ask.call();
            });

    hub.finish();

    assertThat(hub.answers()).as("a survey and the digest").isEqualTo(2);
    assertThat(hub.result(run)).startsWith("stopped: ");
  }

  @Test
  void anotherHubGoesOnWhereOneHasDied() throws SQLException {
    load(SHARED);
    hub.finish();
    String run = central.value("select caravan.reconcile('blog')");
    try (ByHand other = new ByHand(central, blog, "blog", SHARED)) {
      other.runs().name("another hub");
      List<String> asked = new ArrayList<>();
      other
          .runs()
          .ofClient(
              (what, ask) -> {
                asked.add(what);
                return ask.call();
              });
      hub.runs()
          .ofClient(
              (what, ask) -> {
                if (what.equals("digest")) {
                  other.finish();
                  assertThat(asked).as("while the first one is alive").isEmpty();
                  central.execute(
                      "update caravan.reconciliation set alive_at = now() - interval '3 minutes'");
                  other.finish();
                }
                return ask.call();
              });

      hub.finish();

      assertThat(asked).containsExactly("digest");
      assertThat(other.result(run)).isEqualTo(done("3600", 0, 0, 0, 0, 0));
      assertThat(central.value("select hub from caravan.reconciliation"))
          .as("the first one has lost it")
          .isEqualTo("another hub");
    }
  }

  @Test
  void anotherHubDoesNotReadThePartsThatWereReadAlready() throws SQLException {
    readInSmallParts();
    load(SHARED);
    int parts = digestsOf(hub, true);
    hub.finish();
    String run = central.value("select caravan.reconcile('blog')");
    AtomicInteger answered = new AtomicInteger();
    hub.runs()
        .ofClient(
            (what, ask) -> {
              if (answered.incrementAndGet() == 5) {
                throw new SQLException("the hub dies");
              }
              return ask.call();
            });
    assertThatThrownBy(hub::finish).hasMessageContaining("the hub dies");
    central.execute("update caravan.reconciliation set alive_at = now() - interval '3 minutes'");
    try (ByHand other = new ByHand(central, blog, "blog", SHARED)) {
      other.runs().name("another hub");
      other.runs().read(blocksOfPart, 2);

      assertThat(digestsOf(other, false)).isEqualTo(parts - 3);
      assertThat(other.result(run)).isEqualTo(done("3600", 0, 0, 0, 0, 0));
    }
  }

  /** In how many parts a hub has a client digest its rows. */
  private static int digestsOf(ByHand hub, boolean isRequested) throws SQLException {
    AtomicInteger digests = new AtomicInteger();
    hub.runs()
        .ofClient(
            (what, ask) -> {
              digests.addAndGet(what.equals("digest") ? 1 : 0);
              return ask.call();
            });
    if (isRequested) {
      hub.reconcile();
    } else {
      hub.finish();
    }
    return digests.get();
  }

  /** As when a table has grown: what is known of the client's local rows has fewer buckets. */
  @Test
  void whatIsKnownOfTheClientsOwnRowsHidesNoDifference() throws SQLException {
    load(SHARED);
    blog.execute("insert into members select i, 'own' from generate_series(10001, 20000) as i");
    limit(300, 50);
    hub.reconcile();
    assertThat(central.value("select local is not null from caravan.verification")).isEqualTo("t");
    central.execute(
        "update pg_class set reltuples = 8 * reltuples where oid = 'public.users'::regclass");
    blog.execute("update members set mail = 'x' where user_id in (3, 1234, 2345, 3333)");

    assertThat(hub.reconcile()).isEqualTo(done("3600", 0, 4, 0, 10000, 4));
  }

  @Test
  void aTableWhoseRowsComeFromTwoTargetsOfASourceIsNotCompared() throws SQLException {
    String two = SHARED.replace("}]", "},") + SHARED.replace("'blog'", "'shop'").replace("[{", "{");
    load(two);

    assertThat(hub.reconcile())
        .startsWith("stopped: ")
        .endsWith("; its rows can't be told from those of other targets");
    assertThat(count("select count(*) from members")).isEqualTo(4000);
  }

  @Test
  void aClientThatIsBeingFilledIsLeftAlone() throws SQLException {
    load(SHARED);
    blog.execute("delete from caravan.cursor; delete from members");

    assertThat(hub.reconcile()).startsWith("stopped: ").endsWith("; the client is not loaded yet");
  }

  @Test
  void anExpressionRunsWithTheRightsOfTheHubAndReadsNothingElse() throws SQLException {
    load(SHARED);
    String role = "hub_" + central.name();
    central.execute(
        """
        create table secrets (v text); insert into secrets values ('s');
        create role %1$s login; grant caravan_hub to %1$s
        """
            .formatted(role));
    blog.makeTablesFor(role);
    blog.execute("grant select, insert, update, delete on members to %1$s".formatted(role));
    String spying = SHARED.replace("'central'", "(select v from public.secrets)");
    try (ByHand other = new ByHand(central, blog, "blog", spying)) {
      other.set("role", role);
      blog.execute(
          "update caravan.cursor set cursor = jsonb_set(cursor, '{filled}', '{\"public.users\": \"1/x\"}')");

      other.finish();
      String run = central.value("select caravan.reconcile('blog')");
      other.finish();

      assertThat(hub.result(run))
          .endsWith("; column origin was not compared: permission denied for table secrets");
      assertThatThrownBy(() -> other.central("select * from public.users"))
          .hasMessageContaining("permission denied");
      assertThat(other.central("select count(*) from caravan_internal.rows_1")).isEqualTo("4000");
      assertThatThrownBy(() -> other.central("select caravan.reconcile('blog')"))
          .hasMessageContaining("permission denied");
    }
  }

  @Test
  void aRunThatNobodyWaitsForRestsLongerThanItWorks() throws SQLException {
    readInSmallParts();
    load(SHARED);
    List<Duration> rests = restsOf(hub);
    hub.runs().verify(1);

    hub.finish();

    assertThat(isVerified()).isTrue();
    assertThat(rests).as("one after each answer").hasSizeGreaterThan(10);
    double millis = rests.stream().mapToLong(Duration::toNanos).sum() / 1e6;
    String spared =
        "select 1000 * extract(epoch from ended_at - started_at - worked) from caravan.reconciliation";
    assertThat(Double.parseDouble(central.value(spared))).isBetween(millis - 20, millis + 1000);
  }

  /** The other clients' runs need one, too. */
  @Test
  void aRunThatRestsKeepsNoConnectionToCentral() throws SQLException {
    readInSmallParts();
    load(SHARED);
    List<String> kept = new ArrayList<>();
    hub.runs()
        .rested(
            time ->
                kept.add(
                    central.value(
                        "select count(*) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'")));
    hub.runs().verify(1);

    hub.finish();

    assertThat(isVerified()).isTrue();
    assertThat(kept).hasSizeGreaterThan(10).containsOnly("0");
  }

  @Test
  void aRunThatNobodyWaitsForRestsNoLongerWhenAnotherIsRequested() throws SQLException {
    readInSmallParts();
    load(SHARED);
    List<Duration> rests = restsOf(hub);
    hub.runs().keepOften();
    hub.runs().verify(1);
    List<String> requests = new ArrayList<>();
    hub.runs()
        .ofClient(
            (what, ask) -> {
              if (what.equals("digest") && requests.isEmpty()) {
                requests.add(central.value("select caravan.reconcile('blog')"));
              }
              return ask.call();
            });

    hub.finish();

    assertThat(rests).as("after the three pieces of the first part of both").hasSize(6);
    hub.finish();
    assertThat(rests).hasSize(6);
    assertThat(hub.result(requests.get(0))).isEqualTo(done("3600", 0, 0, 0, 0, 0));
  }

  private static List<Duration> restsOf(ByHand hub) {
    List<Duration> rests = new ArrayList<>();
    hub.runs().rested(rests::add);
    return rests;
  }

  @Test
  void aTableIsReadInPartsSoThatNoStatementTakesLong() throws SQLException {
    readInSmallParts();
    load(SHARED);
    blog.execute(
        "update members set mail = 'x' where user_id % 500 = 1; delete from members where user_id = 77");

    assertThat(hub.reconcile()).isEqualTo(done("3600", 1, 8, 0, 0, 9));
    assertThat(hub.answers()).isGreaterThan(10);
    assertEqual();
  }

  private void readInSmallParts() {
    blocksOfPart = 5;
  }

  private void load(String mapping) throws SQLException {
    hub = new ByHand(central, blog, "blog", mapping);
    if (blocksOfPart > 0) {
      hub.runs().read(blocksOfPart, 2);
    }
    hub.pump();
  }

  private void limit(int listed, int checked) {
    hub.runs().limit(listed, checked);
  }

  private long count(String query) {
    return Long.parseLong(blog.value(query));
  }

  private boolean isVerified() {
    return central.value("select equal_as_of > now() - interval '1 minute' from caravan.verified")
            != null
        && central
            .value(
                "select v.equal_as_of = r.started_at from caravan.verified v, caravan.reconciliations r limit 1")
            .equals("t");
  }

  private void assertEqual() {
    assertThat(
            blog.query(
                "select user_id, nickname, mail, origin from members m where exists (select from caravan.replicated o where o.canonical_key = jsonb_build_array(m.user_id)::text) or 'central' = '%s' order by 1"
                    .formatted(hub.isCentrals() ? "central" : "")))
        .isEqualTo(
            central.query(
                "select id, name, lower(email), 'central' from users where site = 'blog' order by 1"));
  }
}
