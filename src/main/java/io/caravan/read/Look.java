package io.caravan.read;

/**
 * What a look at central has found.
 *
 * @param found whether there is something for the clients
 * @param snapshot what was visible, as PostgreSQL writes a {@code pg_snapshot}; empty if it is not
 *     known
 */
public record Look(Found found, String snapshot) {

  /** What there may be. */
  public enum Found {
    /** A page, which waits for the clients. */
    PAGE,
    /** Nothing new. */
    NOTHING,
    /** Nobody knows: no client stands where could be read on. */
    UNKNOWN
  }

  /** Nothing is known. */
  public static Look unknown() {
    return new Look(Found.UNKNOWN, "");
  }
}
