package io.caravan.reconcile;

/**
 * Where a run draws its lines.
 *
 * @param few so many rows are not told apart any further
 * @param listed so many rows are listed at once, about
 * @param looked so many keys are looked at at once
 * @param looks so often a key is looked at that changes all the time
 */
public record Limits(int few, int listed, int looked, int looks) {
  /** What suits a heap of 64 MB. */
  public static final Limits USUAL = new Limits(5_000, 100_000, 1_000, 60);
}
