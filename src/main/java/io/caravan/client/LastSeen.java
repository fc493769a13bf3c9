package io.caravan.client;

import java.time.Duration;
import java.util.Optional;

/**
 * Where a client stood when this hub last saw it. As long as nobody else moves the client, the
 * client need not be asked. If somebody does, this shows it.
 */
final class LastSeen {
  private static final long UNKNOWN = -1;

  private long step = UNKNOWN;
  private Position position;
  private Cursor cursor;
  private String mapping = "";
  private long askedAt;

  /**
   * Where it stands; empty where the client itself must be asked: at first, after a failure, and
   * with another mapping.
   */
  synchronized Optional<Position> recall(String mapping) {
    boolean known = position != null && mapping.equals(this.mapping);
    if (!known) {
      askedAt = System.nanoTime();
    }
    return known ? Optional.of(position) : Optional.empty();
  }

  /** Whether the client was not asked for so long. The caller asks it now. */
  synchronized boolean isToBeAsked(Duration trust) {
    boolean isToBeAsked = System.nanoTime() - askedAt > trust.toNanos();
    if (isToBeAsked) {
      askedAt = System.nanoTime();
    }
    return isToBeAsked;
  }

  /** Whether pages may have been applied that this hub does not know of. */
  synchronized boolean isUnsure(long step) {
    return this.step != step;
  }

  /**
   * It stands at a step.
   *
   * @param recent whether a page was applied within the last seconds
   * @return whether another hub has moved it there, and not long ago
   */
  synchronized boolean isMovedByAnother(long step, boolean recent) {
    boolean byAnother = recent && this.step != UNKNOWN && this.step != step;
    this.step = step;
    if (byAnother) {
      position = null;
    }
    return byAnother;
  }

  /** This hub has brought it here, under this mapping. */
  synchronized void broughtTo(String mapping, Position here) {
    this.mapping = mapping;
    position = here;
    cursor = here.cursor();
    step = here.step();
  }

  /** The cursor that it had when this hub last brought it somewhere; empty: never yet. */
  synchronized Optional<Cursor> cursor() {
    return Optional.ofNullable(cursor);
  }

  /** Somebody else has moved or changed it: it is to be asked where it stands. */
  synchronized void movedElsewhere() {
    position = null;
  }

  /** A page may have been applied, and the answer lost. */
  synchronized void lost() {
    position = null;
    step = UNKNOWN;
  }
}
