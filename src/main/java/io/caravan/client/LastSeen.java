package io.caravan.client;

import java.time.Duration;
import java.util.Optional;

/**
 * Where a client stood when this hub last saw it. As long as no other hub moves the client, the
 * client need not be asked. If another hub does, this shows it.
 */
final class LastSeen {
  private static final Duration MEMORY = Duration.ofSeconds(10);
  private static final long UNKNOWN = -1;

  private long step = UNKNOWN;
  private Position position;
  private Cursor cursor;
  private String mapping = "";
  private long askedAt;

  /**
   * Where it stands; empty where the client itself must be asked: at first, after a failure, with
   * another mapping, and now and then, because somebody may have changed it from outside.
   */
  synchronized Optional<Position> recall(String mapping) {
    boolean known =
        position != null
            && mapping.equals(this.mapping)
            && System.nanoTime() - askedAt < MEMORY.toNanos();
    if (!known) {
      askedAt = System.nanoTime();
    }
    return known ? Optional.of(position) : Optional.empty();
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
  synchronized void stands(String mapping, Position here) {
    this.mapping = mapping;
    position = here;
    cursor = here.cursor();
    step = here.step();
  }

  /** The cursor that it had when this hub last brought it somewhere; empty: never yet. */
  synchronized Optional<Cursor> cursor() {
    return Optional.ofNullable(cursor);
  }

  /** Another hub was quicker: it is to be asked where it stands. */
  synchronized void isElsewhere() {
    position = null;
  }

  /** A page may have been applied, and the answer lost. */
  synchronized void isLost() {
    position = null;
    step = UNKNOWN;
  }
}
