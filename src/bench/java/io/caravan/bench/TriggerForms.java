package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Forms that the trigger and the log could have, each with as much as it needs to write the log and
 * nothing else: what they leave out of Caravan's is the difference to it.
 */
final class TriggerForms implements Section {
  private static final String BARE = "bare";
  // Short, and many of them: what differs by microseconds must be measured side by side.
  private static final int SMALL = 300;
  private static final int ROUNDS = 10;
  private static final int WRITERS = 8;

  private static final String LOG =
      "create table log (id bigint generated always as identity %s, xid xid8 not null default pg_current_xact_id(), source integer not null, key %s);";
  private static final String INDEX = "create index on log (xid) include (id);";
  private static final String DIFFERS =
      "old.name collate \"C\" is distinct from new.name collate \"C\""
          + " or old.email collate \"C\" is distinct from new.email collate \"C\"";
  private static final String ROW =
      """
      create function log_row() returns trigger language plpgsql as $$
      begin
        insert into log (source, key) values (1, %s);
        return null;
      end
      $$;
      create trigger log_row after update on users for each row when (DIFFERS) execute function log_row();
      """
          .replace("DIFFERS", DIFFERS);
  private static final String STATEMENT =
      """
      create function log_statement() returns trigger language plpgsql as $$
      begin
        insert into log (source, key)
        select 1, %s from new_rows n join old_rows o using (id)
        where o.name collate "C" is distinct from n.name collate "C" or o.email collate "C" is distinct from n.email collate "C";
        return null;
      end
      $$;
      create trigger log_statement after update on users referencing old table as old_rows new table as new_rows
      for each statement execute function log_statement();
      """;
  private static final String JSON_KEY = "jsonb_build_array(%s.id)";

  private static final Map<String, String> FORMS = new LinkedHashMap<>();

  static {
    String row = ROW.formatted(JSON_KEY.formatted("new"));
    String statement = STATEMENT.formatted(JSON_KEY.formatted("n"));
    String log = LOG.formatted("primary key", "jsonb");
    String heap = LOG.formatted("", "jsonb");
    FORMS.put("row", log + INDEX + row);
    FORMS.put("row, does nothing", row.replaceFirst("insert into log [^;]*;", ""));
    FORMS.put(
        "row, compares in the function",
        log
            + INDEX
            + row.replace("when (" + DIFFERS + ")", "")
                .replace("insert", "if " + DIFFERS + " then insert")
                .replace("return null", "end if; return null"));
    FORMS.put("row, fillfactor 50", log + INDEX + row + "alter table log set (fillfactor = 50);");
    FORMS.put(
        "row, definer, settings",
        log
            + INDEX
            + row
            + "alter function log_row security definer set search_path = pg_catalog, public, pg_temp;");
    FORMS.put(
        "row, ids drawn by 100", log + INDEX + row + "alter table log alter id set cache 100;");
    FORMS.put("row, no index of xid", log + row);
    FORMS.put("row, brin of id", log + "create index on log using brin (id);" + row);
    FORMS.put("row, no index", heap + row);
    FORMS.put(
        "row, text key",
        LOG.formatted("primary key", "text") + INDEX + ROW.formatted("new.id::text"));
    FORMS.put("statement", log + INDEX + statement);
    FORMS.put("statement, no index of xid", log + statement);
    FORMS.put("statement, no index", heap + statement);
  }

  @Override
  public void run(Stage stage, Options options, Report report) {
    Map<String, Database> databases = new LinkedHashMap<>();
    databases.put(BARE, stage.central("form"));
    FORMS.forEach(
        (name, ddl) -> {
          databases.put(name, stage.central("form"));
          databases.get(name).execute(ddl);
        });
    try (CaravanHub caravan = new CaravanHub(stage, 0)) {
      databases.put("caravan", caravan.central());
      Report.Case one =
          report.begin(
              "trigger",
              "updates of a row, each a transaction that does not wait for the disk",
              BARE);
      Report.Case untracked =
          report.begin("trigger", "the same of a column that is not tracked", BARE);
      Report.Case many = report.begin("trigger", "updates of a row by 8 writers", BARE);
      Report.Case all = report.begin("trigger", "an update of all rows", BARE);
      for (int turn = 0; turn < options.turns(); turn++) {
        for (int round = 0; round < ROUNDS; round++) {
          databases.forEach(
              (name, database) -> {
                one.add(name, "µs an update", micros(database, Writers.TRACKED, stage.rows()));
                untracked.add(
                    name, "µs an update", micros(database, Writers.UNTRACKED, stage.rows()));
              });
        }
        databases.forEach(
            (name, database) -> {
              many.add(name, "updates/s", perSecond(database, stage.rows(), options.time()));
              all.add(name, "s", secondsOfAll(database));
            });
      }
      one.print();
      untracked.print();
      many.print();
      all.print();
    }
  }

  private static double micros(Database database, String sql, int rows) {
    try (Connection connection = database.dataSource().getConnection();
        Statement statement = connection.createStatement();
        PreparedStatement update = connection.prepareStatement(sql)) {
      statement.execute("set synchronous_commit = off");
      double[] micros = new double[SMALL];
      for (int n = 0; n < SMALL; n++) {
        update.setString(1, Long.toString(System.nanoTime(), 36));
        update.setLong(2, 1 + n * 31L % rows);
        long start = System.nanoTime();
        update.executeUpdate();
        micros[n] = (System.nanoTime() - start) / 1e3;
      }
      return Sample.of(micros).median();
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  private static double perSecond(Database database, int rows, Duration time) {
    try (Writers writers = new Writers(database, WRITERS, rows, Writers.TRACKED)) {
      return writers.writeFor(time).perSecond();
    }
  }

  private static double secondsOfAll(Database database) {
    long start = System.nanoTime();
    database.execute("update users set name = '%d'".formatted(start));
    double seconds = (System.nanoTime() - start) / 1e9;
    database.execute("vacuum users");
    return seconds;
  }
}
