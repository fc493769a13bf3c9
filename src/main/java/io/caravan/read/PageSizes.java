package io.caravan.read;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * How many rows a page is asked for. Where rows are large, only some more than fit into it: central
 * makes the texts of all that are asked for.
 */
final class PageSizes {
  private static final int FEWEST = 8;

  private final Map<Bounds, Integer> rows = new ConcurrentHashMap<>();

  /** How many rows the next page is asked for. */
  int next(Bounds bounds) {
    return Math.min(bounds.most, rows.getOrDefault(bounds, bounds.most));
  }

  /**
   * A page was read.
   *
   * @param asked how many rows it was asked for
   * @param got how many it has
   * @param isCut whether these are as many bytes as it may have
   */
  void learn(Bounds bounds, int asked, int got, boolean isCut) {
    rows.put(bounds, isCut ? Math.max(2 * got, FEWEST) : asked * 4);
  }

  /**
   * What is read, and how much of it at a time.
   *
   * @param most how many rows a page has at most
   * @param bytes after how many bytes it takes no further row
   */
  record Bounds(Shape shape, int most, int bytes) {}
}
