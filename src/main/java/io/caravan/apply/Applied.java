package io.caravan.apply;

import io.caravan.client.Cursor;
import java.util.List;

/**
 * What has become of a page at a client.
 *
 * @param outcome what it is
 * @param step where the client stands now
 * @param cursor of the client
 * @param written how many rows were written
 * @param removed how many were removed
 * @param refused the changes that the client has refused
 */
public record Applied(
    Outcome outcome, long step, Cursor cursor, long written, long removed, List<Refusal> refused) {

  /** What may become of a page. */
  public enum Outcome {
    /** It was written, but for what is refused. */
    APPLIED,
    /** The client stands elsewhere, and nothing was written: another hub serves it. */
    STALE,
    /**
     * The client stands elsewhere, and nothing was written: its cursor has moved since the page was
     * read, for instance because one of its tables was made again. The next page is to be read from
     * there.
     */
    MOVED,
    /**
     * Many rows depend on others, which may be in the pages that follow: nothing was written, and
     * the page is to be read again with more rows.
     */
    TO_BE_ENLARGED
  }

  static Applied stale() {
    return new Applied(Outcome.STALE, 0, null, 0, 0, List.of());
  }

  static Applied moved(long step, Cursor cursor) {
    return new Applied(Outcome.MOVED, step, cursor, 0, 0, List.of());
  }

  static Applied toBeEnlarged(long step, Cursor cursor) {
    return new Applied(Outcome.TO_BE_ENLARGED, step, cursor, 0, 0, List.of());
  }
}
