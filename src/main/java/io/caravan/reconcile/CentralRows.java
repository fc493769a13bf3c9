package io.caravan.reconcile;

import java.util.Map;

/**
 * The rows that central has by some keys.
 *
 * @param snapshot in which they are these, a {@code pg_snapshot}
 * @param rows by the keys that were asked for; without those that have no row
 */
public record CentralRows(String snapshot, Map<String, Row> rows) {
  /**
   * A row of central.
   *
   * @param hash of its values
   * @param spelled its key, where that is equal to the one that was asked for and written in
   *     another way; else empty
   */
  public record Row(long hash, String spelled) {}
}
