package io.caravan.client;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * One entry of a mapping: how the rows of a source become rows of one of the client's tables.
 *
 * @param source in central, for instance {@code public.users}
 * @param table of the client, as SQL names it
 * @param key column of the table to column of the source's key
 * @param columns column of the table to SQL expression over the source's columns
 * @param where which rows of the source are meant, an SQL condition; empty: all
 * @param isCentrals whether all rows of the table are central's; else it also has local ones
 */
public record Target(
    String source,
    String table,
    Map<String, String> key,
    Map<String, String> columns,
    String where,
    boolean isCentrals) {

  /** Whether some of the source's rows may not be meant. */
  public boolean isFiltered() {
    return !where.isEmpty();
  }

  /**
   * The columns of the table to which the source's key goes, in the order of that key.
   *
   * @param sourceKey the columns of the source's key
   */
  public List<String> keyColumns(Iterable<String> sourceKey) {
    List<String> columns = new ArrayList<>();
    for (String name : sourceKey) {
      key.entrySet().stream()
          .filter(entry -> entry.getValue().equals(name))
          .forEach(entry -> columns.add(entry.getKey()));
    }
    return columns;
  }

  /** What an error says of it first. */
  String title() {
    return "mapping of " + source + " to " + table;
  }
}
