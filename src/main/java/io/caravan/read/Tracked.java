package io.caravan.read;

import io.caravan.client.Source;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A source as central tracks it.
 *
 * @param id its number in the log
 * @param name as mappings name it
 * @param generation grows when columns are added
 * @param isLoose whether keys may be equal and written differently
 * @param key the columns of its key
 * @param columns its columns, in the order in which central numbers their values
 * @param types their types
 * @param state all of this as {@code caravan.tracked} writes it: what was made for another state
 *     does not fit
 */
record Tracked(
    int id,
    String name,
    int generation,
    boolean isLoose,
    List<String> key,
    List<String> columns,
    List<String> types,
    String state) {
  private static final Set<String> SMALL =
      Set.of(
          "boolean",
          "smallint",
          "integer",
          "bigint",
          "real",
          "double precision",
          "numeric",
          "uuid",
          "date",
          "time without time zone",
          "time with time zone",
          "timestamp without time zone",
          "timestamp with time zone",
          "interval",
          "inet",
          "\"char\"",
          "name",
          "oid");

  /** The types of its key's columns. */
  List<String> keyTypes() {
    return key.stream().map(column -> types.get(columns.indexOf(column))).toList();
  }

  /** The part of a mark that says which source it was that a client was filled with. */
  String mark() {
    return generation == 0 ? String.valueOf(id) : id + "." + generation;
  }

  /** As a page describes it, with these columns and those of the key; null: with all. */
  Source described(List<String> wanted) {
    Map<String, String> described = new LinkedHashMap<>();
    for (int i = 0; i < columns.size(); i++) {
      String column = columns.get(i);
      if (wanted == null || wanted.contains(column) || key.contains(column)) {
        described.put(column, types.get(i));
      }
    }
    return new Source(key, described);
  }

  /** The values of these columns, as {@code caravan.found_N} names them. */
  List<String> values(Source described) {
    List<String> values = new ArrayList<>();
    described.columns().keySet().forEach(column -> values.add("v" + (columns.indexOf(column) + 1)));
    return values;
  }

  /** Those of them that may be large. */
  List<String> unboundedValues(Source described) {
    List<String> values = new ArrayList<>(values(described));
    values.removeIf(value -> SMALL.contains(types.get(Integer.parseInt(value.substring(1)) - 1)));
    return values;
  }
}
