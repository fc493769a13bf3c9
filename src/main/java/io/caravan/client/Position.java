package io.caravan.client;

import java.util.List;

/**
 * Where a client stands.
 *
 * @param step grows with each page, and is never met twice
 * @param cursor up to where it reflects central; null: it has none yet
 * @param sources that it maps, in the order in which they are to be loaded
 * @param isRecent whether a page was applied within the last seconds
 */
public record Position(long step, Cursor cursor, List<Wanted> sources, boolean isRecent) {

  /** Whether pages follow that are known to be needed. */
  public boolean isBehind() {
    return cursor != null && cursor.isBehind();
  }

  /** Whether nobody has moved the client meanwhile, and it maps the same. */
  public boolean isLike(Position other) {
    return step == other.step && sources.equals(other.sources);
  }

  /** The same, but at another step. */
  public Position at(long newStep, Cursor newCursor) {
    return new Position(newStep, newCursor, sources, false);
  }
}
