package io.caravan.read;

import static java.util.stream.Collectors.joining;

import io.caravan.client.Source;
import io.caravan.client.Wanted;
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
 * @param state all of this as {@code caravan_internal.tracked} writes it: what was made for another
 *     state does not fit
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

  /** What says with which source, and with what of it, a client was loaded. */
  String markOf(Wanted wanted) {
    String source = generation == 0 ? String.valueOf(id) : id + "." + generation;
    return source + "/" + wanted.fingerprint();
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

  /**
   * The values of these columns as a JSON array, or the number of their bytes if these are too
   * many, as an expression in SQL over {@code f}, which {@code caravan_internal.found_N} or its
   * like has found.
   *
   * @param largest how many bytes they may have
   */
  String row(Source described, int largest) {
    List<String> wanted = List.copyOf(described.columns().keySet());
    String row =
        wanted.stream()
            .map(this::value)
            .collect(joining(", ", "pg_catalog.array_to_json(array[", "])::text"));
    String size =
        wanted.stream()
            .filter(column -> !SMALL.contains(described.columns().get(column)))
            .map(
                c -> "coalesce(pg_catalog.octet_length(%s)::bigint, 0::bigint)".formatted(value(c)))
            .collect(joining(" + "));
    return size.isEmpty()
        ? row
        : "case when %1$s > %2$d then (%1$s)::text else %3$s end".formatted(size, largest, row);
  }

  private String value(String column) {
    return "f.v" + (columns.indexOf(column) + 1);
  }
}
