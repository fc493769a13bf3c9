package io.caravan.client;

import java.util.List;

/**
 * How rows of a source are loaded into a table in bulk.
 *
 * @param source whose rows they are
 * @param sql a {@code COPY} into the table, in PostgreSQL's text format
 * @param values the position of each column's value in a change; a part of the key is counted
 *     backwards from -1
 * @param note the number by which the keys are noted; null where they are not
 */
public record BulkLoad(String source, String sql, List<Integer> values, Long note) {
  /** Loads notes: the number, and the key and its spelling, as {@link NotedKey} says. */
  public static final String NOTES =
      "copy caravan.replicated (target, canonical_key, spelled) from stdin";
}
