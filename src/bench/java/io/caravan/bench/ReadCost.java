package io.caravan.bench;

import com.zaxxer.hikari.HikariDataSource;
import io.caravan.Caravan;
import io.caravan.Postgres.Database;
import io.caravan.client.Cursor;
import io.caravan.client.Wanted;
import io.caravan.read.Answer;
import io.caravan.read.Reader;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * What a page of changes costs to read from central, beside the least query that finds them: it
 * knows one table, believes in its cursor, and takes rows of any size.
 */
final class ReadCost implements Section {
  private static final List<Integer> PAGE_ROWS = List.of(4, 1_000);
  private static final int PAGES = 300;
  // Code that has run for so many changes is compiled.
  private static final int UNMEASURED_CHANGES = 20_000;
  // As the reader plans.
  private static final String PLANNING =
      "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_bitmapscan = off; set jit = off";
  private static final String LEAST =
      """
      with new as (
        select c.id, c.key
        from caravan.change as c
        where xid >= pg_snapshot_xmax(?::pg_snapshot) and pg_visible_in_snapshot(xid, pg_current_snapshot()) and source = 1
        union all
        select c.id, c.key
        from unnest(array(select pg_snapshot_xip(?::pg_snapshot))) as x
        join caravan.change as c on c.xid = x and source = 1
        order by 1
        limit 1001
      ), newest as (
        select max(id) as id, key from new group by key
      )
      select pg_current_snapshot()::text,
        (select string_agg('[' || key::text || ', ' || substr(json_build_array(u.id, u.name, u.email)::text, 2), ', ' order by newest.id)
         from newest left join users as u on u.id = (key ->> 0)::bigint)
      """;

  @Override
  public void run(Stage stage, Options options, Report report) {
    Caravan caravan = new Caravan(stage.centralServer());
    Database central = caravan.central();
    stage.fillCentral(central, stage.rows());
    central.execute("select caravan.track('users', '{name, email}')");
    PGSimpleDataSource source = new PGSimpleDataSource();
    source.setUrl(central.url());
    source.setPrepareThreshold(1);
    try (Connection writer = source.getConnection();
        Connection least = source.getConnection();
        HikariDataSource read = new HikariDataSource()) {
      read.setDataSource(source);
      read.setMaximumPoolSize(1);
      for (int pageRows : PAGE_ROWS) {
        Report.Case cost =
            report.begin("read", "a page of %,d changes".formatted(pageRows), "the least query");
        for (int turn = 0; turn < options.turns(); turn++) {
          measure(writer, least, read, pageRows, cost);
        }
        cost.print();
      }
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
    caravan.close();
  }

  private static void measure(
      Connection writer, Connection least, DataSource read, int pageRows, Report.Case cost)
      throws SQLException {
    List<Double> ofLeast = new ArrayList<>();
    List<Double> ofCaravan = new ArrayList<>();
    Reader reader = new Reader(read, Integer.MAX_VALUE);
    List<Wanted> wanted = List.of(new Wanted("public.users", "f", null, List.of()));
    Cursor cursor = null;
    for (Answer answer; cursor == null || cursor.isLoading(); cursor = answer.cursor()) {
      answer = reader.read(cursor, wanted, pageRows, Integer.MAX_VALUE, null);
    }
    try (Statement write = writer.createStatement();
        Statement set = least.createStatement();
        PreparedStatement query = least.prepareStatement(LEAST)) {
      write.execute("set synchronous_commit = off");
      set.execute(PLANNING);
      String since = snapshot(set);
      int unmeasured = UNMEASURED_CHANGES / pageRows;
      for (int page = -unmeasured; page < PAGES; page++) {
        int first = 1 + (page + unmeasured) * pageRows % (10 * pageRows);
        write.execute(
            "update users set name = '%d' where id >= %d and id < %d"
                .formatted(System.nanoTime(), first, first + pageRows));
        long start = System.nanoTime();
        query.setString(1, since);
        query.setString(2, since);
        try (ResultSet row = query.executeQuery()) {
          row.next();
          since = row.getString(1);
          check(row.getString(2));
        }
        long between = System.nanoTime();
        Answer answer = reader.read(cursor, wanted, pageRows + 1, Integer.MAX_VALUE, null);
        check(answer.page());
        cursor = answer.cursor();
        if (page >= 0) {
          ofLeast.add((between - start) / 1e3);
          ofCaravan.add((System.nanoTime() - between) / 1e3);
        }
      }
    }
    cost.add("the least query", "µs a page", Sample.of(ofLeast).median());
    cost.add("caravan", "µs a page", Sample.of(ofCaravan).median());
  }

  private static String snapshot(Statement statement) throws SQLException {
    try (ResultSet row = statement.executeQuery("select pg_current_snapshot()")) {
      row.next();
      return row.getString(1);
    }
  }

  private static void check(String page) {
    if (page == null) {
      throw new IllegalStateException("the page did not arrive");
    }
  }
}
