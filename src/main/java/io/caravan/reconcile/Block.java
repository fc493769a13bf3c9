package io.caravan.reconcile;

/**
 * How far a table was read. It is read part by part, so that no statement takes long.
 *
 * @param next the block at which the next part begins; {@link #END}: all was read
 * @param blocks how many the table has
 */
public record Block(long next, long blocks) {
  /** There is no further part. */
  public static final long END = -1;
}
