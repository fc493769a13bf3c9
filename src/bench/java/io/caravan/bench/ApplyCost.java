package io.caravan.bench;

import io.caravan.Fault;
import io.caravan.Postgres.Database;
import io.caravan.apply.PageText;
import io.caravan.client.ClientPool;
import io.caravan.client.StoredPosition;
import io.caravan.client.TargetNumber;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * What a page costs the client, beside a bare upsert of the same rows in one statement: a large
 * page, and one of a few rows, as they come one by one.
 */
final class ApplyCost implements Section {
  private static final int ROWS = 1_000;
  private static final int[] PAGE_ROWS = {4, ROWS};
  private static final int PAGES = 50;
  private static final int STEP = 3;
  private static final String UPSERT =
      """
      insert into users (id, name, email) select * from unnest(?::bigint[], ?::text[], ?::text[])
      on conflict (id) do update set name = excluded.name, email = excluded.email
      """;
  private static final String UPSERT_FROM_JSON =
      """
      insert into users as t (id, name, email)
      select (change -> 0 ->> 0)::bigint, change ->> 2, change ->> 3
      from jsonb_array_elements(?::jsonb #> '{changes,public.users}') as page (change)
      on conflict (id) do update set name = excluded.name, email = excluded.email
      where (t.name, t.email) is distinct from (excluded.name, excluded.email)
      """;
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.users", "key": {"id": "id"},
        "columns": {"name": "name", "email": "email"}, "rows": "%s"}]
      """;

  private static final String DIFFER = "update users set name = name || '.' where id <= %d";
  private static final List<Kind> KINDS =
      List.of(
          new Kind(
              "rows that are new",
              "delete from users where id <= %1$d; delete from caravan.replicated where (canonical_key::jsonb ->> 0)::bigint <= %1$d",
              "off"),
          new Kind("rows that differ", DIFFER, "off"),
          new Kind("rows that are equal", "select 1", "off"),
          new Kind("rows that differ, and the commit waits for the disk", DIFFER, "on"));

  @Override
  public void run(Stage stage, Options options, Report report) {
    Database client = stage.clientServer().createDatabase("apply");
    client.makeTablesFor("public");
    client.execute(
        "create table users (id bigint primary key, name text not null, email text not null);"
            + "insert into users select n, 'user ' || n, 'user' || n || '@example.org' from generate_series(1, %d) n;"
                .formatted(ROWS)
            + "insert into caravan.replicated select %d, jsonb_build_array(id)::text from users;"
                .formatted(TargetNumber.of("bench", "public.users", "public.users", 1))
            + "insert into caravan.cursor (client, cursor) values ('bench', '{\"filled\": {}}')");
    try (ClientPool pool = new ClientPool()) {
      pool.setJdbcUrl(client.url());
      measureAll(pool, client, options, report);
    }
  }

  private static void measureAll(ClientPool pool, Database client, Options options, Report report) {
    try (Connection connection = pool.getConnection()) {
      for (int pageRows : PAGE_ROWS) {
        String page = page(client, pageRows);
        for (Kind kind : KINDS) {
          execute(connection, "set synchronous_commit = " + kind.commit);
          Report.Case cost =
              report.begin(
                  "apply", "a page of %,d %s".formatted(pageRows, kind.name), "bare upsert");
          for (int turn = 0; turn < options.turns(); turn++) {
            measure(pool, connection, kind.before.formatted(pageRows), pageRows, page, cost);
          }
          cost.print();
        }
      }
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void execute(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static void measure(
      ClientPool pool,
      Connection connection,
      String before,
      int pageRows,
      String page,
      Report.Case cost)
      throws SQLException {
    cost.add("bare upsert", "µs a page", micros(connection, before, upsert(connection, pageRows)));
    cost.add(
        "from JSON, where they differ",
        "µs a page",
        micros(connection, before, upsertFromJson(connection, page)));
    for (String rows : List.of("central", "shared")) {
      cost.add(
          "caravan, rows: " + rows,
          "µs a page",
          micros(connection, before, apply(pool, connection, MAPPING.formatted(rows), page)));
    }
  }

  /** The median of many pages, each a transaction of its own. */
  private static double micros(Connection connection, String before, PreparedStatement measured)
      throws SQLException {
    try (measured;
        Statement statement = connection.createStatement()) {
      List<Double> micros = new ArrayList<>();
      for (int n = 0; n < PAGES; n++) {
        statement.execute(before);
        long start = System.nanoTime();
        measured.execute();
        micros.add((System.nanoTime() - start) / 1e3);
        goOn(measured);
      }
      // Old versions of rows would make the table longer with each page.
      statement.execute("vacuum users");
      statement.execute("vacuum caravan.replicated");
      return Sample.of(micros).median();
    }
  }

  /** The client of Caravan has come a step further. */
  private static void goOn(PreparedStatement measured) throws SQLException {
    try (ResultSet result = measured.getResultSet()) {
      if (result != null) {
        result.next();
        long step = result.getLong("step");
        if (result.wasNull()) {
          throw new IllegalStateException("the page was not applied");
        }
        measured.setLong(STEP, step);
      }
    }
  }

  private static PreparedStatement upsert(Connection connection, int pageRows) throws SQLException {
    PreparedStatement upsert = connection.prepareStatement(UPSERT);
    List<Long> ids = new ArrayList<>();
    List<String> names = new ArrayList<>();
    List<String> emails = new ArrayList<>();
    for (long id = 1; id <= pageRows; id++) {
      ids.add(id);
      names.add("user " + id);
      emails.add("user" + id + "@example.org");
    }
    upsert.setArray(1, connection.createArrayOf("bigint", ids.toArray()));
    upsert.setArray(2, connection.createArrayOf("text", names.toArray()));
    upsert.setArray(3, connection.createArrayOf("text", emails.toArray()));
    return upsert;
  }

  private static PreparedStatement upsertFromJson(Connection connection, String page)
      throws SQLException {
    PreparedStatement upsert = connection.prepareStatement(UPSERT_FROM_JSON);
    upsert.setString(1, page);
    return upsert;
  }

  private static PreparedStatement apply(
      ClientPool pool, Connection connection, String mapping, String page) throws SQLException {
    try {
      PageText text = new PageText(page);
      StoredPosition position = StoredPosition.of(connection, "bench", mapping);
      PreparedStatement apply =
          connection.prepareStatement(
              position.plan().statements(pool::getConnection, text.sources()).page(text.gone()));
      apply.setString(1, text.cursor());
      apply.setString(2, "bench");
      apply.setLong(STEP, position.step());
      apply.setString(4, text.changes());
      return apply;
    } catch (Fault e) {
      throw new IllegalStateException(e);
    }
  }

  /** A page as caravan_internal.read makes it, of the first rows. */
  private static String page(Database client, int pageRows) {
    return client.value(
        """
        select format('{"cursor": {}, "sources": {"public.users": {"key": ["id"], "columns": %%s}}, "cleared": [],'
          '"gone": [], "changes": {"public.users": [%%s]}}', '{"id": "bigint", "name": "text", "email": "text"}',
          string_agg(json_build_array(array[id], id::text, name, email)::text, ', '))
        from users
        where id <= %d
        """
            .formatted(pageRows));
  }

  /**
   * A kind of page.
   *
   * @param before what becomes of its rows before it comes. The table's other rows stay: to change
   *     them, too, would make the table longer, and small pages slower.
   * @param commit how it commits, a value of {@code synchronous_commit}
   */
  private record Kind(String name, String before, String commit) {}
}
