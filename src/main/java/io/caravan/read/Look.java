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
    /**
     * Not known, because nothing was read: there is no chain, or there are too many; a page still
     * waits; or central can't be read.
     */
    UNKNOWN
  }

  /** Nothing is known. */
  public static Look unknown() {
    return new Look(Found.UNKNOWN, "");
  }
}
