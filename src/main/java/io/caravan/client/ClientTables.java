package io.caravan.client;

import io.caravan.Fault;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.LoggerFactory;

/**
 * The two tables that a hub keeps in a client's database: {@code caravan.cursor}, how far each
 * client there has come, and {@code caravan.replicated}, the keys of the rows that came from
 * central. The hub makes them, and brings those of an older release up to date. Where its role may
 * not, it says which statements an owner has to run.
 *
 * <p>Relies on: a table or column that is gone is not found by statements that were prepared
 * before. So a hub of an older release stops instead of noting keys where nobody looks any more.
 */
public final class ClientTables {
  private static final String INSUFFICIENT_PRIVILEGE = "42501";
  private static final String DEPENDENT_OBJECTS = "2BP01";
  private static final String UNDEFINED_TABLE = "42P01";

  // Hubs that make them at the same time wait for each other. The types are PostgreSQL's own.
  private static final String ALONE =
      "set local search_path = pg_catalog; select pg_advisory_xact_lock(4990221317402318210)";
  private static final String COMMENT =
      "comment on schema caravan is 'Kept by Caravan. cursor: how far each client in this database has come; delete a row to have that client loaded again. replicated: which rows came from central'";

  // Those of older releases; today a client has none.
  private static final String DROP_FUNCTIONS =
      """
      do $$
      declare
        f pg_catalog.regprocedure;
      begin
        for f in select p.oid from pg_catalog.pg_proc p where p.pronamespace = 'caravan'::pg_catalog.regnamespace loop
          execute 'drop function ' || f;
        end loop;
      end
      $$;
      """;

  private final Set<String> complete = ConcurrentHashMap.newKeySet();
  private final Set<String> told = ConcurrentHashMap.newKeySet();

  /**
   * Sees to it that a client has its tables. Once they are found, it does not ask again until
   * {@link #doubt}.
   *
   * @param connection in auto-commit mode
   * @throws Fault if the tables are not as they have to be, and the hub's role may not change that
   */
  public void ensure(Connection connection, String client) throws SQLException, Fault {
    if (complete.contains(client)) {
      return;
    }
    FoundTables found = FoundTables.in(connection);
    if (!found.missing().isEmpty()) {
      make(connection, found);
      found = FoundTables.in(connection);
    }
    if (!found.ownersPart().isEmpty()) {
      throw askOwner(found.role(), found.ownersPart());
    }
    OlderNotes notes = new OlderNotes(connection, client);
    if (found.hasNumberedNotes()) {
      move(notes::moveNumbered);
    }
    if (found.hasJsonNotes()) {
      move(notes::moveJson);
    }
    if (!found.leftovers().isEmpty()) {
      drop(connection, client, found.leftovers());
    }
    complete.add(client);
  }

  /** Something has failed at a client: its tables may be gone. */
  public void doubt(String client) {
    complete.remove(client);
  }

  private static void make(Connection connection, FoundTables found) throws SQLException, Fault {
    try {
      alone(
          connection,
          statement -> {
            FoundTables now = FoundTables.in(connection);
            for (String sql : now.missing()) {
              statement.execute(sql);
            }
            if (!now.hasSchema()) {
              statement.execute(COMMENT);
            }
          });
    } catch (SQLException e) {
      if (INSUFFICIENT_PRIVILEGE.equals(e.getSQLState())) {
        throw askOwner(found.role(), found.ownersPart());
      }
      throw e;
    }
  }

  /** Does something in a transaction, while no other hub does. */
  private static void alone(Connection connection, Work work) throws SQLException {
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      statement.execute(ALONE);
      work.run(statement);
      connection.commit();
    } catch (SQLException e) {
      connection.rollback();
      throw e;
    } finally {
      connection.setAutoCommit(true);
    }
  }

  private static Fault askOwner(String role, List<String> statements) {
    return new Fault(
        Fault.TABLES,
        "Caravan's tables in the client's database are missing or incomplete, and the role %s may not change that. Have an owner run: %s; then the client goes on by itself."
            .formatted(role, String.join("; ", statements)));
  }

  private static void move(Move notes) throws SQLException {
    try {
      notes.run();
    } catch (SQLException e) {
      // Another hub has moved the last ones, and dropped the table.
      if (!UNDEFINED_TABLE.equals(e.getSQLState())) {
        throw e;
      }
    }
  }

  private void drop(Connection connection, String client, List<String> leftovers)
      throws SQLException {
    String tables = String.join(", ", leftovers);
    try {
      alone(
          connection,
          statement -> statement.execute(DROP_FUNCTIONS + "drop table if exists " + tables));
    } catch (SQLException e) {
      if (!Set.of(INSUFFICIENT_PRIVILEGE, DEPENDENT_OBJECTS).contains(e.getSQLState())) {
        throw e;
      }
      if (told.add(client)) {
        LoggerFactory.getLogger("caravan." + client)
            .info(
                "no longer used, may be dropped by an owner: the functions in the schema caravan, {}",
                tables);
      }
    }
  }

  private interface Work {
    void run(Statement statement) throws SQLException;
  }

  private interface Move {
    void run() throws SQLException;
  }
}
