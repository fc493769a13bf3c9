package io.caravan.read;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.caravan.client.Cursor;
import io.caravan.client.Source;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/**
 * A page of changes as JSON:
 *
 * <ul>
 *   <li>{@code cursor}: the cursor that the client has when it has applied the page; without {@code
 *       filled}, that stays as it is
 *   <li>{@code sources}: source → its key and the types of its columns
 *   <li>{@code cleared}: the sources that were truncated; their rows go before any change
 *   <li>{@code oversized}: {@code [["public.users", [42], 281018368]]}, the keys whose rows are too
 *       large to be sent, and how many bytes their values have; left out where there are none
 *   <li>{@code gone}: the sources of which it brings keys whose rows are gone
 *   <li>{@code changes}: source → {@code [[[42], "Ada", …], [[43]]]}: the key and the row's values
 *       in the order of the columns, each in PostgreSQL's own text form; nothing but the key where
 *       the row is gone
 * </ul>
 */
final class PageWriter {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int NAMED = 3;

  /** A row that came along with another change already. */
  static final String KNOWN = "";

  private final Set<String> cleared = new LinkedHashSet<>();
  private final Set<String> gone = new LinkedHashSet<>();
  private final Map<String, StringBuilder> changes = new LinkedHashMap<>();
  private final StringBuilder oversized = new StringBuilder();
  private final StringBuilder progress = new StringBuilder();
  private int count;

  /** The source was truncated. */
  void clear(String source) {
    cleared.add(source);
    tell(source, "truncated");
  }

  /**
   * Adds a change.
   *
   * @param key as JSON
   * @param row the values as a JSON array; the number of their bytes, where they are too large;
   *     {@link #KNOWN}; null: the key is gone
   */
  void add(String source, String key, String row) {
    if (!KNOWN.equals(row)) {
      addRow(source, key, row);
    }
    if (row == null) {
      gone.add(source);
    }
    tell(source, key);
  }

  /** Adds a row that comes along with a change, as it is now. */
  void addRow(String source, String key, String row) {
    if (row != null && !row.startsWith("[")) {
      addOversized(source, key, row);
      return;
    }
    StringBuilder items = changes.computeIfAbsent(source, name -> new StringBuilder());
    items.append(items.isEmpty() ? "[" : ", [").append(key);
    items.append(row == null ? "]" : ", ");
    if (row != null) {
      items.append(row, 1, row.length());
    }
  }

  private void addOversized(String source, String key, String size) {
    try {
      oversized.append(oversized.length() == 0 ? "[" : ", [");
      oversized.append(JSON.writeValueAsString(source)).append(", ").append(key);
      oversized.append(", ").append(size).append(']');
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private void tell(String source, String what) {
    count++;
    if (count <= NAMED) {
      progress.append(count == 1 ? "" : ", ").append(source).append(' ').append(what);
    }
  }

  boolean isEmpty() {
    return count == 0;
  }

  /** What it brings, in words. */
  String progress() {
    return count > NAMED ? progress + " and " + (count - NAMED) + " more" : progress.toString();
  }

  /**
   * The page of a window.
   *
   * @param sources those of the changes, among others
   */
  String page(Cursor cursor, Map<String, Source> sources) {
    return write(cursor.withoutLoaded(), sources);
  }

  /** The page of an initial load, which says with what the client is loaded. */
  String loadPage(Cursor cursor, Map<String, Source> sources) {
    return write(cursor, sources);
  }

  private String write(Cursor cursor, Map<String, Source> sources) {
    try {
      Map<String, Source> described = new LinkedHashMap<>(sources);
      described.keySet().removeIf(name -> !changes.containsKey(name) && !cleared.contains(name));
      StringBuilder page = new StringBuilder();
      page.append("{\"cursor\": ").append(cursor.json());
      page.append(", \"sources\": ").append(JSON.writeValueAsString(described));
      page.append(", \"cleared\": ").append(JSON.writeValueAsString(cleared));
      page.append(", \"gone\": ").append(JSON.writeValueAsString(gone));
      if (oversized.length() > 0) {
        page.append(", \"oversized\": [").append(oversized).append(']');
      }
      page.append(", \"changes\": {");
      String comma = "";
      for (Map.Entry<String, StringBuilder> source : changes.entrySet()) {
        page.append(comma).append(JSON.writeValueAsString(source.getKey())).append(": [");
        page.append(source.getValue()).append(']');
        comma = ", ";
      }
      return page.append("}}").toString();
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
