package io.caravan;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Optional;

/**
 * Where a client stands, without what is its own. Whoever stands at the same point gets the same
 * pages.
 *
 * @param epoch the history of central that it belongs to
 * @param sources the sources that are mapped, with the columns and their numbers in central
 * @param position the cursor without what the client was filled with
 * @param snapshot up to which the client has come, or will have within its window
 * @param isWithinWindow whether pages of a window are still to come
 */
record Standpoint(
    String epoch, String sources, String position, String snapshot, boolean isWithinWindow) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * What a cursor comes to; empty where the next page is for this client alone: it is not filled
   * with what its mapping says, or is being swept.
   *
   * @param cursor as {@code caravan.read} takes it
   * @param mapped the sources that are mapped, as {@code caravan.read} takes them
   */
  static Optional<Standpoint> of(String cursor, String mapped) {
    if (cursor == null) {
      return Optional.empty();
    }
    try {
      ObjectNode position = (ObjectNode) JSON.readTree(cursor);
      JsonNode filled = position.remove("filled");
      StringBuilder sources = new StringBuilder();
      for (JsonNode source : JSON.readTree(mapped)) {
        String mark = filled.path(source.path("source").asText()).asText();
        String end = "/" + source.path("fingerprint").asText();
        if (!mark.endsWith(end)) {
          return Optional.empty();
        }
        // A client says what it is filled with: only others that map the same share its pages.
        sources.append(source.path("source")).append(source.path("columns"));
        sources.append(mark, 0, mark.length() - end.length()).append(' ');
      }
      if (position.has("fill") || position.has("sweep")) {
        return Optional.empty();
      }
      JsonNode window = position.path("window");
      String snapshot = window.path("upto").asText(position.path("snapshot").asText());
      return Optional.of(
          new Standpoint(
              position.path("epoch").asText(),
              sources.toString(),
              position.toString(),
              snapshot,
              !window.isMissingNode()));
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("not a cursor: " + cursor, e);
    }
  }
}
