package io.caravan.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What an older release has left in a client's cursor while it looked for rows that central has no
 * more. Today central keeps that.
 *
 * @param doubted the sources of which the client may still have such rows, parents first
 * @param confirmed those of them of which it was to delete whatever is gone
 */
public record OldSweep(List<String> doubted, List<String> confirmed) {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String FORGET =
      """
      update caravan.cursor as c
      set cursor = c.cursor - 'sweep'::text, step = %s
      where c.client = ? and c.step = ?
      """
          .formatted(StoredPosition.NEXT_STEP);

  /**
   * What a cursor has of it.
   *
   * @param cursor as JSON; null: there is none
   * @param mapped the sources that the client maps, parents first, as they were looked through
   */
  public static Optional<OldSweep> in(String cursor, List<String> mapped) {
    JsonNode sweep = sweep(cursor);
    String source = sweep.path("source").asText();
    if (!sweep.isObject()) {
      return Optional.empty();
    } else if (!mapped.contains(source)) {
      return Optional.of(new OldSweep(mapped, List.of()));
    }
    Set<String> left = new HashSet<>(Set.of(source));
    if (sweep.has("then")) {
      sweep.path("then").forEach(name -> left.add(name.asText()));
    } else {
      left.addAll(mapped.subList(mapped.indexOf(source), mapped.size()));
    }
    List<String> doubted = mapped.stream().filter(left::contains).toList();
    boolean areAllTruncated = sweep.has("then") && sweep.path("cleared").asBoolean();
    List<String> confirmed = areAllTruncated ? doubted : List.of(source);
    return Optional.of(
        new OldSweep(doubted, sweep.path("confirmed").asBoolean() ? confirmed : List.of()));
  }

  private static JsonNode sweep(String cursor) {
    try {
      return JSON.readTree(cursor == null ? "{}" : cursor).path("sweep");
    } catch (JsonProcessingException e) {
      return JSON.missingNode();
    }
  }

  /**
   * Takes it out of the cursor, when central knows of it.
   *
   * @param step at which the cursor was read; if it stands elsewhere now, nothing is done
   */
  public static void forget(Connection connection, String client, long step) throws SQLException {
    try (PreparedStatement forget = connection.prepareStatement(FORGET)) {
      forget.setString(1, client);
      forget.setLong(2, step);
      forget.executeUpdate();
    }
  }
}
