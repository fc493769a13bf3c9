package io.caravan.read;

/**
 * How large a row may be that the hub takes from central. While it applies a page it holds it some
 * ten times over: as it was read, as text, as the parameter of a statement, and this for each
 * client.
 */
final class LargestRow {
  /** PostgreSQL's jsonb, in which clients take their changes, holds no more. */
  private static final int MOST = (1 << 28) - 1;

  private static final int SHARE_OF_HEAP = 32;

  private LargestRow() {}

  /**
   * The limit that a setting says.
   *
   * @param bytes of the texts of a row's values; empty: a share of the heap
   * @throws IllegalArgumentException if it is none
   */
  static int of(String bytes) {
    if (bytes.isBlank()) {
      return (int) Math.min(Runtime.getRuntime().maxMemory() / SHARE_OF_HEAP, MOST);
    }
    if (!bytes.strip().matches("[1-9][0-9]{0,8}") || Integer.parseInt(bytes.strip()) > MOST) {
      throw new IllegalArgumentException(
          "caravan.largestRow is %s. Set it to a number of bytes, at most %d, or leave it empty for a 32nd of the heap."
              .formatted(bytes, MOST));
    }
    return Integer.parseInt(bytes.strip());
  }
}
