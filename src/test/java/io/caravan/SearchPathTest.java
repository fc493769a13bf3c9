package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import io.caravan.client.TargetNumber;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Whoever may create functions and operators in a schema of the hub's search_path cannot have the
 * hub run them: they stand beside PostgreSQL's own ones with the same names, and would fit better.
 * Only what a mapping names itself is looked for there.
 */
class SearchPathTest {
  private static final Pattern CALL = Pattern.compile("\\b([a-z_0-9]+)\\(");
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
        "columns": {"name": "name", "amount": "amount", "at": "at", "tags": "tags", "doc": "doc", "loud": "loud(name)"},
        "where": "id operator(pg_catalog.<>) 7"},
       {"source": "public.lines", "table": "public.lines", "key": {"n": "n", "k": "k"}, "columns": {"v": "v"}}]
      """;

  /** Functions and operators of all that could be meant, each of which raises an error. */
  private static final String DECOYS =
      """
      do $do$
      declare
        types constant text[] := '{text,integer,bigint,jsonb,text[],bigint[],boolean,tid,xid8}';
        few constant text[] := '{text,bigint,jsonb}';
        body constant text := ' language plpgsql as $body$ begin raise exception ''a decoy ran as %'', current_user; end $body$';
        op text;
        name text;
        a text;
        b text;
        c text;
      begin
        foreach a in array types loop
          foreach b in array types loop
            execute format('create function decoy_test(%s, %s) returns boolean', a, b) || body;
            execute format('create function decoy(%1$s, %2$s) returns %1$s', a, b) || body;
          end loop;
        end loop;
        for op in select unnest('{=,<>,<,<=,>,>=,@>,<@,?,@?,&&,~,~~}'::text[]) loop
          foreach a in array types loop
            foreach b in array types loop
              execute format('create operator %s (leftarg = %s, rightarg = %s, function = decoy_test)', op, a, b);
            end loop;
          end loop;
        end loop;
        for op in select unnest('{->,->>,#>,#>>,||,+,-,*,/,%%,&,|,#,<<,>>}'::text[]) loop
          foreach a in array types loop
            foreach b in array types loop
              execute format('create operator %s (leftarg = %s, rightarg = %s, function = decoy)', replace(op, '%%', '%'), a, b);
            end loop;
          end loop;
        end loop;
        for name in
          select distinct proname from pg_proc
          where pronamespace = 'pg_catalog'::regnamespace and proname = any (string_to_array('%s', ','))
        loop
          foreach a in array types loop
            execute format('create function %I(%s) returns text', name, a) || body;
            foreach b in array types loop
              execute format('create function %I(%s, %s) returns text', name, a, b) || body;
            end loop;
          end loop;
          foreach a in array few loop
            foreach b in array few loop
              foreach c in array few loop
                execute format('create function %I(%s, %s, %s) returns text', name, a, b, c) || body;
              end loop;
            end loop;
          end loop;
        end loop;
      end
      $do$;
      """;

  private final Database central = Postgres.shared().createCentral();
  private final Database blog = Postgres.shared().createDatabase("blog");

  @BeforeEach
  void twoDatabasesAndAHubWithoutOtherRights() {
    String loud =
        "create function loud(text) returns text language sql immutable return upper($1) || '!';";
    String tables =
        """
        create table %s (id bigint primary key, name text, amount numeric, at timestamptz, tags text[], doc jsonb%s);
        create table lines (k text, n int, v text, primary key (k, n));
        """;
    central.execute(loud + tables.formatted("users", ""));
    central.execute(
        """
        insert into users
        select i, 'user ' || i, i / 10.0, now(), array['a', null], '{"a": 1.0}' from generate_series(1, 20000) as i;
        insert into lines select 'k' || i, i % 3, 'v' from generate_series(1, 50) as i;
        select caravan.track('users', '{name, amount, at, tags, doc}'), caravan.track('lines', '{v}');
        """);
    blog.makeTables();
    blog.execute(loud + tables.formatted("members", ", loud text"));
    String hub = hub();
    central.execute(
        """
        create role %1$s; grant caravan_hub, caravan_operator to %1$s;
        revoke create on schema public from public;
        """
            .formatted(hub));
    blog.makeTablesFor(hub);
    blog.execute("grant select, insert, update, delete on all tables in schema public to " + hub);
  }

  @Test
  void noneInCentralIsRun() throws SQLException {
    try (ByHand hub = new ByHand(central, blog, "blog", MAPPING)) {
      hub.pump();
      central.execute(decoys());
      hub.set("role", hub());

      comparedAndRepaired(hub);
    }
  }

  @Test
  void noneAtAClientIsRunWhenItIsCompared() throws SQLException {
    try (ByHand hub = new ByHand(central, blog, "blog", MAPPING)) {
      hub.pump();
      hub.set("role", hub());
      comparedWithout(hub, true);
      blog.execute(decoys());

      comparedWithout(hub, false);
    }
  }

  @Test
  void noneAtAClientIsRunWhenAPageIsApplied() throws SQLException {
    try (ByHand hub = new ByHand(central, blog, "blog", MAPPING)) {
      hub.pump();
      blog.execute(decoys());
      hub.set("role", hub());
      central.execute(
          "update users set name = 'x' where id = 3; delete from users where id = 4; update lines set n = 77 where k = 'k3'");

      hub.pump();

      assertThat(blog.value("select name from members where id = 3")).isEqualTo("x");
    }
  }

  /** Casts of an enum are its owner's. They take no part when its values are compared. */
  @Test
  void noCastOfATypesOwnerIsRunWhenItIsCompared() throws SQLException {
    String type = "create type mood as enum ('sad', 'glad')";
    String casts =
        """
        create function decoy(mood) returns text language plpgsql as 'begin raise exception ''a decoy ran''; end';
        create function decoy(text) returns mood language plpgsql as 'begin raise exception ''a decoy ran''; end';
        create function json_decoy(mood) returns json language plpgsql as 'begin raise exception ''a decoy ran''; end';
        create cast (mood as text) with function decoy(mood) as implicit;
        create cast (text as mood) with function decoy(text) as implicit;
        create cast (mood as json) with function json_decoy(mood);
        """;
    central.execute(
        type
            + """
            ; create table days (day int, mood mood, others mood[], named mood, primary key (mood, day));
            insert into days select i, 'sad', '{sad,null}', 'glad' from generate_series(1, 100) as i;
            select caravan.track('days', '{others, named}');
            """);
    blog.execute(
        type
            + "; create table days (day int, mood mood, others mood[], named text, primary key"
            + " (mood, day))");
    String mapping =
        """
        [{"source": "public.days", "table": "public.days", "key": {"day": "day", "mood": "mood"},
          "columns": {"others": "others", "named": "named"}}]
        """;
    try (ByHand hub = new ByHand(central, blog, "blog", mapping)) {
      hub.pump();
      blog.execute("update days set others = null where day = 3; delete from days where day = 4");
      central.execute(casts);
      blog.execute(casts);

      assertThat(hub.reconcile(", dry_run => true"))
          .isEqualTo(
              "done: 100 compared, 1 missing, 1 stale, 0 surplus, 0 local, 0 repaired, 0 skipped");
    }
  }

  /** Neither is that of a type that only has the name of the client's. */
  @Test
  void norIsACastToTheClientsType() throws SQLException {
    String type = "create type span as range (subtype = int)";
    central.execute(
        type
            + """
        ; create table spans (id int primary key, span text, whole span);
        insert into spans select i, '[1,2)', '[3,4)' from generate_series(1, 100) as i;
        select caravan.track('spans', '{span, whole}');
        """);
    blog.execute(
        type + "; create table spans (id int primary key, span span, other span, whole span)");
    String mapping =
        """
        [{"source": "public.spans", "table": "public.spans", "key": {"id": "id"},
          "columns": {"span": "span", "other": "span || ''", "whole": "whole"}}]
        """;
    try (ByHand hub = new ByHand(central, blog, "blog", mapping)) {
      hub.pump();
      blog.execute("update spans set whole = '[5,6)' where id = 3");
      central.execute(
          """
          create function decoy(text) returns span language plpgsql as 'begin raise exception ''a decoy ran''; end';
          create cast (text as span) with function decoy(text) as implicit;
          """);

      assertThat(hub.reconcile(", dry_run => true"))
          .isEqualTo(
              "done: 100 compared, 0 missing, 1 stale, 0 surplus, 0 local, 0 repaired, 0 skipped"
                  + "; column span was not compared: anybody may have defined casts to the type public.span"
                  + "; column other was not compared: anybody may have defined casts to the type public.span");
    }
  }

  @Test
  void whatTheHubMayRunInCentralHasASearchPathOfItsOwn() {
    assertThat(
            central.query(
                """
                select proname from pg_proc
                where pronamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace)
                  and has_function_privilege('caravan_hub', oid, 'execute')
                  and prosqlbody is null and not coalesce(array_to_string(proconfig, ',') like '%search_path=%', false)
                """))
        .isEmpty();
  }

  /** Compares what differs a little, and repairs it, and compares what differs much. */
  private void comparedAndRepaired(ByHand hub) throws SQLException {
    spoil("3");
    blog.execute(
        "insert into members values (7), (30000); insert into caravan.replicated values (%d, '[30000]')"
            .formatted(TargetNumber.of("blog", "public.users", "public.members", 1)));
    hub.reconcile(", source => 'public.users'");
    assertThat(results())
        .containsExactly(
            "done: 19999 compared, 1 missing, 1 stale, 1 surplus, 1 local, 3 repaired, 0 skipped {}");
    hub.reconcile(", source => 'public.lines'");
    assertThat(results())
        .containsExactly(
            "done: 50 compared, 0 missing, 0 stale, 0 surplus, 0 local, 0 repaired, 0 skipped {}");
    spoil("any (array(select generate_series(1, 12000)))");
    hub.reconcile(", source => 'public.users', dry_run => true");
    assertThat(results())
        .containsExactly(
            "done: 19999 compared, 1 missing, 11998 stale, 0 surplus, 1 local, 0 repaired, 0 skipped"
                + " {}");
  }

  private void comparedWithout(ByHand hub, boolean repair) throws SQLException {
    spoil("3");
    hub.reconcile(", source => 'public.users', dry_run => " + !repair);
    assertThat(results())
        .containsExactly(
            "done: 19999 compared, 1 missing, 1 stale, 0 surplus, 0 local, %d repaired, 0 skipped {}"
                .formatted(repair ? 2 : 0));
  }

  private void spoil(String keys) {
    blog.execute(
        "set search_path = pg_catalog; update public.members set name = 'x' where id = %s; delete from public.members where id = 9"
            .formatted(keys));
  }

  /** How the newest run has ended. */
  private Stream<String> results() {
    return central
        .query(
            """
            select format('%s: %s compared, %s missing, %s stale, %s surplus, %s local, %s repaired, %s skipped %s',
              state, compared, missing, stale, surplus, local, repaired, skipped, notes)
            from caravan.reconciliations
            limit 1
            """)
        .get(0)
        .stream();
  }

  private String hub() {
    return "hub_of_" + central.name();
  }

  /** For all functions of PostgreSQL that sql/ calls. */
  private static String decoys() {
    TreeSet<String> names = new TreeSet<>();
    try (Stream<Path> files = Files.walk(Path.of("sql"))) {
      for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
        for (Matcher call = CALL.matcher(Files.readString(file)); call.find(); ) {
          names.add(call.group(1));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return DECOYS.replace("'%s', ','", "'" + String.join(",", names) + "', ','");
  }
}
