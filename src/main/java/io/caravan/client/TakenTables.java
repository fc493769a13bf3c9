package io.caravan.client;

import io.caravan.Fault;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Collection;
import java.util.Map;

/**
 * Keeps a table to one client. Two that fill the same one do not know of each other's rows: one
 * would delete what the other needs. The first that has noted a table beside its cursor has it.
 */
final class TakenTables {
  // What others note meanwhile would not be seen. It lets them read.
  private static final String ALONE = "lock table caravan.cursor in share row exclusive mode";
  private static final String TAKEN =
      """
      select c.client, t.key
      from caravan.cursor as c
      cross join lateral pg_catalog.jsonb_each_text(c.tables) as t
      where c.client <> ? and t.value::bigint = any (?)
      order by c.client
      limit 1
      """;

  private TakenTables() {}

  /**
   * Has a client note its tables, unless another one has noted one of those that are new to it.
   *
   * @param connection in auto-commit mode
   * @param tables their ids by their names
   * @param known the ids of those that it has noted before
   * @param note notes them
   * @throws Fault if another client has one
   */
  static void take(
      Connection connection,
      String client,
      Map<String, Long> tables,
      Collection<Long> known,
      Note note)
      throws SQLException, Fault {
    connection.setAutoCommit(false);
    try {
      Object[] taken = tables.values().stream().filter(id -> !known.contains(id)).toArray();
      if (taken.length > 0) {
        check(connection, client, taken);
      }
      note.write();
      connection.commit();
    } catch (SQLException | Fault e) {
      connection.rollback();
      throw e;
    } finally {
      connection.setAutoCommit(true);
    }
  }

  private static void check(Connection connection, String client, Object[] taken)
      throws SQLException, Fault {
    try (Statement lock = connection.createStatement()) {
      lock.execute(ALONE);
    }
    try (PreparedStatement find = connection.prepareStatement(TAKEN)) {
      find.setString(1, client);
      find.setArray(2, connection.createArrayOf("bigint", taken));
      try (ResultSet row = find.executeQuery()) {
        if (row.next()) {
          String other = row.getString(1);
          throw new Fault(
              Fault.MAPPING,
              "the client %1$s fills %2$s of this database already, and the two would delete each other's rows. Let one client fill it, with several entries in its mapping; or, if %1$s is no more: delete from caravan.cursor where client = '%3$s'"
                  .formatted(other, row.getString(2), other.replace("'", "''")));
        }
      }
    }
  }

  /** Writes what is noted. */
  interface Note {
    void write() throws SQLException;
  }
}
