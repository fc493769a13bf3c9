package io.caravan;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * What central has answered to a read.
 *
 * @param row the columns of {@code caravan.read}
 * @param began when the read began, in nanoseconds: it has seen all that was committed before
 * @param after where the client stands that has applied it; empty where no other can follow
 */
record Page(Map<String, Object> row, long began, Optional<Chains.Stand> after) {

  /** A page that is being read; waits for it. */
  static Page join(CompletableFuture<Page> page) throws CentralFailure {
    try {
      return page.join();
    } catch (CompletionException e) {
      throw new CentralFailure(e.getCause());
    }
  }

  /** Whether there is nothing to apply. */
  boolean isEmpty() {
    return row.get("progress") == null;
  }

  /** Whether to read on at once. */
  boolean hasMore() {
    return "true".equals(row.get("more"));
  }

  /** About how many characters it has. */
  int size() {
    return isEmpty() ? 0 : ((String) row.get("page")).length();
  }

  /** The same without its cursor, which is that of the client for which it was read. */
  Page withoutCursor() {
    Map<String, Object> others = new HashMap<>(row);
    others.remove("cursor");
    return new Page(others, began, after);
  }

  /** The same, after which to read on at once. */
  Page withMore() {
    Map<String, Object> others = new HashMap<>(row);
    others.put("more", "true");
    return new Page(others, began, after);
  }
}
