package io.caravan.reconcile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Fault;
import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import io.caravan.client.Mapping;
import io.caravan.client.Source;
import io.caravan.client.TargetNumber;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What both sides of a comparison answer about rows that are equal, and about those that differ.
 */
class SidesTest {
  private static final Pace HURRIED = new Pace(false, time -> {}, time -> {});
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name", "mail": "lower(email)", "amount": "amount", "mood": "mood"},
        "where": "site ?| array['blog', '?']"}]
      """;
  private static final int ROWS = 3000;

  private final Database central = Postgres.shared().createDatabase("central");
  private final Database client = Postgres.shared().createDatabase("client");
  private final Source source = source();
  private CentralSide inCentral;
  private ClientSide inClient;
  private Comparison comparison;

  @BeforeEach
  void equalRows() throws SQLException, Fault {
    central.install(java.nio.file.Path.of("sql/central"));
    central.execute(
        """
        create type mood as enum ('sad', 'glad');
        create table users (id int primary key, name text, email text, amount numeric, mood mood, site jsonb);
        insert into users
        select i, nullif('user ' || i, 'user 7'), 'U' || i, i / 8.0, 'glad', case when i %% 10 = 0 then '["shop"]' else '["blog"]' end::jsonb
        from generate_series(1, %d) as i;
        select caravan.track('users', '{name, email, amount, mood, site}');
        """
            .formatted(ROWS));
    client.makeTablesFor("public");
    client.execute(
        """
        create table members (id bigint primary key, name varchar(20), mail text, amount numeric(10, 2), mood text);
        insert into members
        select i, nullif('user ' || i, 'user 7'), 'u' || i, i / 8.0, 'glad' from generate_series(1, %1$d) as i where i %% 10 <> 0;
        insert into caravan.replicated select %2$d, jsonb_build_array(id)::text from members;
        insert into members select -i, 'of its own' from generate_series(1, 50) as i;
        insert into caravan.cursor (client, cursor) values ('blog', '{"epoch": "1"}');
        """
            .formatted(ROWS, TargetNumber.of("blog", "public.users", "public.members", 1)));
    Mapping mapping = Mapping.parse(MAPPING);
    inCentral = new CentralSide(central.dataSource(), mapping, HURRIED);
    inClient = new ClientSide(client.dataSource(), "blog", mapping, HURRIED);
    Survey survey = inClient.survey(0, source);
    assertThat(survey.cursor()).isEqualTo("{\"epoch\": \"1\"}");
    assertThat(survey.known()).doesNotContain("mood").contains("id", "site");
    comparison =
        new Comparison(
            0,
            "rows_1",
            Long.parseLong(central.value("select 'users'::regclass::oid")),
            source.key(),
            source.columns(),
            survey.known(),
            survey.key(),
            survey.columns());
    assertThat(inCentral.prepare(comparison)).isEmpty();
  }

  @Test
  void digestsOfEqualRowsAreEqual() throws SQLException, Fault {
    Scope replicated = new Scope(5, 2, List.of(0L, 1L, 2L, 3L), 4, true, true, List.of());

    DigestPart here = inCentral.digest(comparison, replicated, 0);
    DigestPart there = inClient.digest(comparison, replicated, 0);

    assertThat(there.digest()).isEqualTo(here.digest());
    assertThat(here.digest().rows()).isEqualTo(ROWS * 9 / 10);
    assertThat(here.digest().buckets()).hasSize(64);
    assertThat(there.noted()).isEqualTo(ROWS * 9 / 10);
  }

  @ParameterizedTest
  @CsvSource({"0, 6", "3, 3", "6, 0", "12, 0"})
  void aRowThatDiffersIsInOneBucketWhereverItIsLookedFor(int bits, int more)
      throws SQLException, Fault {
    client.execute(
        "delete from members where id < 0; update members set mail = null where id = 42");
    List<Long> all = LongStream.range(0, 1L << bits).boxed().toList();
    Scope scope = new Scope(9, bits, all, more, false, false, List.of());
    Digest here = inCentral.digest(comparison, scope, 0).digest();
    Digest there = inClient.digest(comparison, scope, 0).digest();
    List<Long> differing = new ArrayList<>();
    for (int i = 0; i < here.buckets().size(); i++) {
      if (!here.buckets().get(i).equals(there.buckets().get(i))) {
        differing.add(all.get(i >> more) | (long) (i & ((1 << more) - 1)) << bits);
      }
    }
    assertThat(differing).hasSize(1);

    Scope one = new Scope(9, bits + more, differing, 0, false, false, List.of());
    List<Listed> listedHere = listed(inCentral, one);
    List<Listed> listedThere = listed(inClient, one);

    Set<Listed> different = new HashSet<>();
    for (Listed row : listedHere) {
      if (listedThere.stream().noneMatch(other -> other.hash() == row.hash())) {
        different.add(row);
      }
    }
    assertThat(different)
        .extracting(Listed::key, Listed::keyText)
        .containsExactly(org.assertj.core.groups.Tuple.tuple("[42]", "{42}"));
    assertThat(listedHere).hasSameSizeAs(listedThere);
  }

  @Test
  void keysThatTheClientRefusesAreLeftOutOnBothSides() throws SQLException, Fault {
    client.execute("delete from members where id < 0 or id = 3");
    Scope scope = new Scope(5, 0, List.of(0L), 3, false, false, List.of("[3]", "[4]", "[\"x\"]"));
    Scope ofCentral = new Scope(5, 0, List.of(0L), 3, false, false, List.of("[3]", "[4]"));

    assertThat(inClient.digest(comparison, scope, 0).digest())
        .isEqualTo(inCentral.digest(comparison, ofCentral, 0).digest());
  }

  @Test
  void aLookTellsRowsNotesAndWhereBothStand() throws SQLException, Fault {
    client.execute("delete from members where id = 5; update members set name = 'x' where id = 6");
    Scope scope = new Scope(5, 0, List.of(0L), 0, false, false, List.of());
    List<String> keys = List.of("[4]", "[5]", "[6]", "[-1]", "[9999]");

    CentralRows here = inCentral.check(comparison, scope, keys);
    ClientRows there = inClient.check(comparison, scope, keys);

    assertThat(here.snapshot()).matches("\\d+:\\d+:.*");
    assertThat(there.cursor()).isEqualTo("{\"epoch\": \"1\"}");
    assertThat(here.rows()).containsOnlyKeys("[4]", "[5]", "[6]");
    assertThat(there.rows()).containsOnlyKeys("[4]", "[5]", "[6]", "[-1]");
    assertThat(there.rows().get("[4]"))
        .isEqualTo(new ClientRows.Row(OptionalLong.of(here.rows().get("[4]").hash()), "{4}", true));
    assertThat(there.rows().get("[5]"))
        .isEqualTo(new ClientRows.Row(OptionalLong.empty(), "", true));
    assertThat(there.rows().get("[6]").hash().getAsLong())
        .isNotEqualTo(here.rows().get("[6]").hash());
    assertThat(there.rows().get("[-1]").isReplicated()).isFalse();
  }

  @Test
  void keysThatAreNotedWithoutARowAreFound() throws SQLException, Fault {
    client.execute("delete from members where id in (5, 999)");

    assertThat(inClient.orphans(comparison, "")).isEqualTo(new Notes(List.of("[5]", "[999]"), ""));
    assertThat(inClient.orphans(comparison, "[5]")).isEqualTo(new Notes(List.of("[999]"), ""));
  }

  @Test
  void aColumnThatCentralCantComputeIsNamedWithItsReason() throws SQLException, Fault {
    Mapping mapping = Mapping.parse(MAPPING.replace("lower(email)", "only_here(email)"));

    assertThat(new CentralSide(central.dataSource(), mapping, HURRIED).prepare(comparison))
        .containsExactly(new Uncomputed("mail", "function only_here(text) does not exist"));
  }

  @Test
  void rowSecurityThatMayHideRowsIsAnError() {
    client.execute(
        """
        create role reader_of_%1$s login;
        grant select on members to reader_of_%1$s;
        alter table members enable row level security;
        """
            .formatted(client.name()));
    org.postgresql.ds.PGSimpleDataSource reader = new org.postgresql.ds.PGSimpleDataSource();
    reader.setUrl(client.url().replace("user=postgres", "user=reader_of_" + client.name()));

    assertThatThrownBy(
            () -> new ClientSide(reader, "blog", Mapping.parse(MAPPING), HURRIED).survey(0, source))
        .isInstanceOf(Fault.class)
        .hasMessageContaining("row-level security");
  }

  private List<Listed> listed(Side side, Scope scope) throws SQLException, Fault {
    List<Listed> rows = new ArrayList<>();
    assertThat(side.list(comparison, scope, 0, rows::add).next()).isEqualTo(Block.END);
    return rows;
  }

  private static Source source() {
    Map<String, String> columns = new LinkedHashMap<>();
    columns.put("id", "integer");
    columns.put("name", "text");
    columns.put("email", "text");
    columns.put("amount", "numeric");
    columns.put("mood", "public.mood");
    columns.put("site", "jsonb");
    return new Source(List.of("id"), columns);
  }
}
