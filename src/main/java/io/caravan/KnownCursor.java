package io.caravan;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A client's cursor, as the client's database gives it back. Central casts its parts, and others
 * read up to the snapshot of the one that is ahead: so it must be one.
 */
final class KnownCursor {
  private static final Pattern SNAPSHOT =
      Pattern.compile("([1-9][0-9]{0,17}):([1-9][0-9]{0,17}):((?:[0-9]{1,18},)*[0-9]{1,18})?");

  private KnownCursor() {}

  /**
   * A cursor, but for a fill or a sweep of a source that is not mapped (any more).
   *
   * @throws Fault if it is none
   */
  static String checked(String text, Set<String> sources) throws Fault {
    JsonNode cursor;
    try {
      cursor = Json.read(text);
    } catch (JsonProcessingException e) {
      throw new Fault(Fault.ANSWER, "its cursor is not JSON");
    }
    if (!(cursor instanceof ObjectNode parts && cursor.path("epoch").isTextual())) {
      throw new Fault(Fault.ANSWER, "its cursor has no epoch");
    }
    checkSnapshot(cursor.path("snapshot"));
    if (cursor.has("window")) {
      checkSnapshot(cursor.path("window").path("upto"));
    }
    boolean isChanged = false;
    for (String work : new String[] {"fill", "sweep"}) {
      if (cursor.has(work) && !sources.contains(cursor.path(work).path("source").asText())) {
        parts.remove(work);
        isChanged = true;
      }
    }
    return isChanged ? parts.toString() : text;
  }

  /** As PostgreSQL takes it: xmin, xmax, and what ran in between, in order. */
  private static void checkSnapshot(JsonNode snapshot) throws Fault {
    var parts = SNAPSHOT.matcher(snapshot.asText());
    boolean isOne = snapshot.isTextual() && parts.matches();
    if (isOne) {
      long last = Long.parseLong(parts.group(1));
      long xmax = Long.parseLong(parts.group(2));
      isOne = last <= xmax;
      for (String running :
          parts.group(3) == null ? new String[0] : parts.group(3).split(",", -1)) {
        long xid = Long.parseLong(running);
        isOne = isOne && xid >= last && xid < xmax;
        last = xid;
      }
    }
    if (!isOne) {
      throw new Fault(Fault.ANSWER, "its cursor has no snapshot");
    }
  }
}
