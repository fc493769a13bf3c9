package io.caravan.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.caravan.Fault;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.slf4j.LoggerFactory;

/**
 * Where a client stands, and with what it can go on.
 *
 * @param step grows with each page, and is never met twice
 * @param cursor up to where it reflects central, as JSON; null: it has none yet
 * @param isRecent whether a page was applied within the last seconds
 * @param sources that it maps
 * @param plan what its mapping comes to
 */
public record StoredPosition(
    long step, String cursor, boolean isRecent, List<Wanted> sources, Plan plan) {
  /**
   * The step of a cursor {@code c} that moves, in SQL. It is drawn from the clock: where a cursor
   * is deleted or restored, a hub may remember a step that a counter would meet again.
   */
  public static final String NEXT_STEP =
      "greatest(c.step + 1, (extract(epoch from pg_catalog.clock_timestamp()) * 1000000::numeric)::bigint)";

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String READ =
      """
      select step, cursor::text, applied_at > pg_catalog.now() - '5 s'::interval, tables::text
      from caravan.cursor
      where client = ?
      """;
  private static final String ADD =
      "insert into caravan.cursor (client, tables) values (?, ?::jsonb) on conflict do nothing";
  // Which tables a client has is noted beside its cursor, so that it can be told when one was made
  // anew: its sources are then loaded again.
  private static final String NOTE =
      """
      update caravan.cursor as c
      set tables = ?::jsonb,
        cursor = case when c.cursor is not null then pg_catalog.jsonb_set(c.cursor, '{filled}'::text[], (c.cursor -> 'filled'::text) - ?::text[]) end,
        step = %s
      where c.client = ? and c.step = ?
      """
          .formatted(NEXT_STEP);

  /**
   * Reads where a client stands.
   *
   * @param mapping as JSON
   * @throws Fault if the mapping does not fit, or another client has one of the tables
   */
  public static StoredPosition of(Connection connection, String client, String mapping)
      throws SQLException, Fault {
    Plan plan = Plan.read(connection, client, Mapping.parse(mapping));
    String tables = JSON.valueToTree(plan.tables()).toString();
    try (PreparedStatement read = connection.prepareStatement(READ)) {
      read.setString(1, client);
      try (ResultSet row = read.executeQuery()) {
        if (row.next()) {
          StoredPosition position =
              new StoredPosition(
                  row.getLong(1),
                  row.getString(2),
                  row.getBoolean(3),
                  sources(plan, mapping),
                  plan);
          Map<String, String> remade = remade(plan, row.getString(4));
          if (!remade.isEmpty() || !isNoted(plan, row.getString(4))) {
            Map<String, Long> noted =
                row.getString(4) == null ? plan.tables() : parsed(row.getString(4));
            TakenTables.take(
                connection,
                client,
                plan.tables(),
                noted.values(),
                () -> note(connection, client, position, tables, remade));
            return of(connection, client, mapping);
          }
          return position;
        }
      }
    }
    TakenTables.take(
        connection, client, plan.tables(), List.of(), () -> add(connection, client, tables));
    return new StoredPosition(0, null, false, sources(plan, mapping), plan);
  }

  private static void add(Connection connection, String client, String tables) throws SQLException {
    try (PreparedStatement add = connection.prepareStatement(ADD)) {
      add.setString(1, client);
      add.setString(2, tables);
      add.executeUpdate();
    }
  }

  private static void note(
      Connection connection,
      String client,
      StoredPosition position,
      String tables,
      Map<String, String> remade)
      throws SQLException {
    try (PreparedStatement note = connection.prepareStatement(NOTE)) {
      note.setString(1, tables);
      note.setArray(2, connection.createArrayOf("text", remade.keySet().toArray()));
      note.setString(3, client);
      note.setLong(4, position.step);
      if (note.executeUpdate() == 1 && !remade.isEmpty()) {
        LoggerFactory.getLogger("caravan." + client)
            .warn(
                "tables {} were made again, so sources {} are loaded again",
                remade.values(),
                remade.keySet());
      }
    }
  }

  private static boolean isNoted(Plan plan, String noted) throws SQLException {
    return noted != null && parsed(noted).equals(plan.tables());
  }

  private static Map<String, Long> parsed(String noted) throws SQLException {
    try {
      return JSON.readValue(noted, new TypeReference<>() {});
    } catch (JsonProcessingException e) {
      throw new SQLException("caravan.cursor.tables can't be read", e);
    }
  }

  /** The sources whose tables are others than those that are noted, each with its table. */
  private static Map<String, String> remade(Plan plan, String noted) throws SQLException {
    Map<String, String> sources = new TreeMap<>();
    if (noted != null) {
      Map<String, Long> before = parsed(noted);
      Map<String, Long> now = plan.tables();
      for (Target target : plan.mapping().targets()) {
        Long known = before.get(target.table());
        if (known != null && !known.equals(now.get(target.table()))) {
          sources.put(target.source(), target.table());
        }
      }
    }
    return sources;
  }

  private static List<Wanted> sources(Plan plan, String mapping) {
    return plan.sources().stream()
        .map(
            source ->
                new Wanted(source, Fingerprint.of(mapping, source), null, plan.siblings(source)))
        .toList();
  }
}
