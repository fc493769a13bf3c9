package io.caravan.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.caravan.Fault;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * How far a client has come. It is kept in the client's database, as JSON with these properties;
 * but {@code loaded} and {@code load} are {@code filled} and {@code fill} there.
 *
 * @param epoch which history of central it belongs to
 * @param snapshot the client reflects every change that is visible in it; as PostgreSQL writes a
 *     {@code pg_snapshot}
 * @param watermark the last one that there was when the page was read; null: there was none
 * @param loaded source → the mark of the mapping that it was loaded with; null in a page that
 *     leaves the client's as it is
 * @param load the source that is being loaded; null: none is
 * @param window within a backlog; null: the client is not
 */
public record Cursor(
    String epoch, String snapshot, String watermark, JsonNode loaded, Load load, Window window) {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String WATERMARK = "watermark";
  // As an older hub has called it.
  private static final String OLD_WATERMARK = "milestone";
  private static final Pattern SNAPSHOT =
      Pattern.compile("([1-9][0-9]{0,17}):([1-9][0-9]{0,17}):((?:[0-9]{1,18},)*[0-9]{1,18})?");

  private static final Pattern TIME =
      Pattern.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}[+-][0-9]{2}:[0-9]{2}");

  /**
   * The part of the log that is being read in pages.
   *
   * @param upto the snapshot that ends it
   * @param after the id of the last change that the client has
   * @param last the id of its last change
   */
  public record Window(String upto, long after, long last) {}

  /**
   * How far the initial load of a source has come.
   *
   * @param source its name
   * @param mark of the mapping that it is loaded with
   * @param after the last key that the client has, as JSON; null: it has none yet
   * @param rows how many it has
   * @param total how many there will be, about
   * @param since when the load began, as PostgreSQL writes a {@code timestamptz} in JSON
   */
  public record Load(
      String source, String mark, String after, long rows, long total, String since) {

    static Load of(JsonNode parts) {
      JsonNode after = parts.path("after");
      return new Load(
          parts.path("source").asText(),
          parts.path("mark").asText(),
          after.isArray() ? after.toString() : null,
          parts.path("rows").asLong(),
          parts.path("total").asLong(),
          parts.path("since").asText());
    }

    /** The same with some more rows, up to this key. */
    public Load after(String key, int more) {
      return new Load(source, mark, key, rows + more, total, since);
    }

    private JsonNode json() {
      ObjectNode json = JSON.createObjectNode().put("source", source).put("mark", mark);
      try {
        json.set("after", after == null ? null : JSON.readTree(after));
      } catch (JsonProcessingException e) {
        throw new IllegalStateException(e);
      }
      return json.put("rows", rows).put("total", total).put("since", since);
    }

    private boolean isOfOne(Set<String> sources) {
      return sources.contains(source) && TIME.matcher(since).matches();
    }
  }

  /**
   * Reads a cursor.
   *
   * @throws IllegalArgumentException if it is none
   */
  public static Cursor parse(String json) {
    try {
      return of(JSON.readTree(json));
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("not a cursor: " + json, e);
    }
  }

  /**
   * Reads a cursor that a client's database has given back, and which may be anything: central
   * casts its parts, and others read up to the snapshot of the one that is ahead.
   *
   * @param sources that are mapped; an initial load of another one is left out
   * @throws Fault if it is none
   */
  public static Cursor checked(String json, Set<String> sources) throws Fault {
    JsonNode parts;
    try {
      parts = JSON.readTree(json);
    } catch (JsonProcessingException e) {
      throw broken("is not JSON");
    }
    if (!parts.isObject() || !parts.path("epoch").isTextual()) {
      throw broken("has no epoch");
    }
    checkSnapshot(parts.path("snapshot"));
    if (parts.has("window")) {
      JsonNode window = parts.path("window");
      checkSnapshot(window.path("upto"));
      if (!window.path("after").isIntegralNumber() || !window.path("last").isIntegralNumber()) {
        throw broken("has no position in its window");
      }
    }
    Cursor cursor = of(parts);
    return new Cursor(
        cursor.epoch,
        cursor.snapshot,
        cursor.watermark,
        cursor.loaded,
        cursor.load != null && cursor.load.isOfOne(sources) ? cursor.load : null,
        cursor.window);
  }

  private static Cursor of(JsonNode parts) {
    JsonNode window = parts.get("window");
    return new Cursor(
        parts.path("epoch").asText(),
        parts.path("snapshot").asText(),
        parts.path(parts.has(OLD_WATERMARK) ? OLD_WATERMARK : WATERMARK).asText(null),
        parts.get("filled"),
        parts.path("fill").isObject() ? Load.of(parts.get("fill")) : null,
        window == null
            ? null
            : new Window(
                window.path("upto").asText(),
                window.path("after").asLong(),
                window.path("last").asLong()));
  }

  /** The snapshot up to which the client has come, or will have within its window. */
  public String upto() {
    return window == null ? snapshot : window.upto;
  }

  /** With what a source was loaded; empty text where it was not. */
  public String mark(String source) {
    return loaded == null ? "" : loaded.path(source).asText();
  }

  /** Whether an initial load is under way: the next page is for this client alone. */
  public boolean isLoading() {
    return load != null;
  }

  /** Whether pages follow that are known to be needed. */
  public boolean isBehind() {
    return isLoading() || window != null;
  }

  /** The same without what is the client's own: what it was loaded with. */
  public Cursor withoutLoaded() {
    return new Cursor(epoch, snapshot, watermark, null, load, window);
  }

  /** The same, further in its initial load. */
  public Cursor loading(String newWatermark, Load newLoad) {
    return new Cursor(epoch, snapshot, newWatermark, loaded, newLoad, window);
  }

  /** The same when the initial load is done. */
  public Cursor loaded(String newWatermark) {
    ObjectNode marks = loaded == null ? JSON.createObjectNode() : loaded.deepCopy();
    marks.put(load.source, load.mark);
    return new Cursor(epoch, snapshot, newWatermark, marks, null, window);
  }

  /** The same, but at another place of the log. */
  public Cursor at(String newSnapshot, String newWatermark, Window newWindow) {
    return new Cursor(epoch, newSnapshot, newWatermark, loaded, load, newWindow);
  }

  /** As JSON. */
  public String json() {
    ObjectNode json = JSON.createObjectNode();
    json.put("epoch", epoch).put("snapshot", snapshot);
    if (watermark != null) {
      json.put(WATERMARK, watermark);
    }
    if (loaded != null) {
      json.set("filled", loaded);
    }
    if (load != null) {
      json.set("fill", load.json());
    }
    if (window != null) {
      json.putObject("window")
          .put("upto", window.upto)
          .put("after", window.after)
          .put("last", window.last);
    }
    return json.toString();
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
      throw broken("has no valid snapshot");
    }
  }

  private static Fault broken(String what) {
    return new Fault(
        Fault.ANSWER,
        "the client's cursor %s. Delete its row in caravan.cursor, and the client is loaded again"
            .formatted(what));
  }
}
