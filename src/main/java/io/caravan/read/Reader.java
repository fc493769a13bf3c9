package io.caravan.read;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import io.caravan.client.Cursor;
import io.caravan.client.Wanted;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import javax.sql.DataSource;

/**
 * Reads central for a client. What is new since its cursor, and the next rows of its initial load,
 * are one query each. Whatever is more seldom {@code caravan_internal.read} does: it gives the
 * cursor with which to begin, notices another history of central, and says what is wrong where a
 * source can't be read.
 */
public final class Reader {
  private static final String READ =
      "select cursor::text, doubted from caravan_internal.read(?::jsonb, ?::jsonb)";
  private static final int MOST_TRIES = 5;
  // Names, rights, and what else differs where a source is no longer as it was.
  private static final Pattern OF_A_SOURCE = Pattern.compile("42...|3F...|0A...|XX000|55000");
  private static final ObjectMapper JSON = new ObjectMapper();

  private final DataSource central;
  private final WindowRead windows;
  private final LoadRead loads;
  private volatile KnownSources known = KnownSources.none();

  /**
   * Reads from there.
   *
   * @param central connections of this reader alone, because it sets how they write and plan
   * @param largestRow how many bytes the texts of a row's values may have; of a larger one a page
   *     says no more than that it is
   */
  public Reader(DataSource central, int largestRow) {
    this.central = central;
    windows = new WindowRead(largestRow);
    loads = new LoadRead(largestRow);
  }

  /**
   * The next page for a client.
   *
   * @param cursor where it stands; null: it has none yet
   * @param wanted the sources that it maps, in the order in which they are to be loaded
   * @param most how many changes a page has at most
   * @param mostBytes after how many bytes it takes no further row
   * @param until the snapshot up to which to read, where that is possible; null: up to now
   * @throws SQLException if central can't be read
   */
  public Answer read(Cursor cursor, List<Wanted> wanted, int most, int mostBytes, String until)
      throws SQLException {
    try (Connection connection = central.getConnection()) {
      Cursor from = cursor;
      Set<String> doubted = new HashSet<>();
      for (int tries = 0; tries < MOST_TRIES; tries++) {
        Optional<Answer> answer = query(connection, from, wanted, most, mostBytes, until);
        if (answer.isPresent()) {
          return doubted.isEmpty() ? answer.get() : answer.get().doubting(inOrder(wanted, doubted));
        }
        Beginning beginning = begin(connection, from, wanted);
        from = beginning.cursor;
        doubted.addAll(beginning.doubted);
      }
      throw new SQLException("central's sources changed during each attempt to read", "55000");
    }
  }

  private static List<String> inOrder(List<Wanted> wanted, Set<String> sources) {
    return wanted.stream().map(Wanted::source).filter(sources::contains).toList();
  }

  /** Empty where no query fits. */
  private Optional<Answer> query(
      Connection connection, Cursor cursor, List<Wanted> wanted, int most, int bytes, String until)
      throws SQLException {
    if (cursor == null) {
      return Optional.empty();
    }
    Query query =
        cursor.load() == null
            ? sources -> windows.read(connection, sources, cursor, wanted, most, bytes, until)
            : sources -> loads.read(connection, sources, cursor, wanted, most, bytes);
    try {
      KnownSources before = known;
      Optional<Answer> answer = query.with(before);
      if (answer.isEmpty()) {
        known = KnownSources.read(connection);
        answer = known.equals(before) ? answer : query.with(known);
      }
      return answer;
    } catch (SQLException e) {
      if (!OF_A_SOURCE.matcher(String.valueOf(e.getSQLState())).matches()) {
        throw e;
      }
      return Optional.empty();
    }
  }

  private static Beginning begin(Connection connection, Cursor cursor, List<Wanted> wanted)
      throws SQLException {
    try (PreparedStatement read = connection.prepareStatement(READ)) {
      new Parameters(read).text(cursor == null ? null : cursor.json()).text(json(wanted));
      try (ResultSet row = read.executeQuery()) {
        row.next();
        Array doubted = row.getArray("doubted");
        return new Beginning(
            Cursor.parse(row.getString("cursor")),
            doubted == null ? Set.of() : Set.of((String[]) doubted.getArray()));
      }
    }
  }

  private static String json(List<Wanted> wanted) {
    ArrayNode json = JSON.createArrayNode();
    for (Wanted one : wanted) {
      json.addObject().put("source", one.source()).put("fingerprint", one.fingerprint());
    }
    return json.toString();
  }

  /** Reads by a query that is made for the sources as they are known. */
  private interface Query {
    Optional<Answer> with(KnownSources sources) throws SQLException;
  }

  /**
   * With what a query begins.
   *
   * @param doubted the sources of which the client may have rows that are gone from central
   */
  private record Beginning(Cursor cursor, Set<String> doubted) {}
}
