package io.caravan.read;

import io.caravan.client.Cursor;
import io.caravan.client.Wanted;
import java.util.List;
import java.util.Optional;

/**
 * Where a client stands, without what is its own. Whoever stands at the same point gets the same
 * pages.
 *
 * @param sources the sources that are mapped, with the columns and their numbers in central
 * @param cursor the cursor without what the client was loaded with
 */
record SharedPosition(String sources, Cursor cursor) {

  /**
   * What a cursor comes to; empty where the next page is for this client alone: it is not loaded
   * with what its mapping says.
   *
   * @param cursor of the client; null where it has none yet
   */
  static Optional<SharedPosition> of(Cursor cursor, List<Wanted> mapped) {
    if (cursor == null || cursor.isLoading()) {
      return Optional.empty();
    }
    StringBuilder sources = new StringBuilder();
    for (Wanted source : mapped) {
      String mark = cursor.mark(source.source());
      String end = "/" + source.fingerprint();
      if (!mark.endsWith(end)) {
        return Optional.empty();
      }
      // A client says what it is loaded with: only others that map the same share its pages.
      sources.append(source.source()).append(' ').append(source.columns()).append(' ');
      sources.append(mark, 0, mark.length() - end.length());
      sources.append(' ').append(source.siblings()).append('\n');
    }
    return Optional.of(new SharedPosition(sources.toString(), cursor.withoutLoaded()));
  }

  /** The snapshot up to which the client has come, or will have within its window. */
  String snapshot() {
    return cursor.upto();
  }

  /** Whether pages of a window are still to come. */
  boolean isWithinWindow() {
    return cursor.window() != null;
  }
}
