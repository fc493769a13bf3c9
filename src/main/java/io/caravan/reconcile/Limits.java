package io.caravan.reconcile;

/**
 * Where a run draws its lines.
 *
 * @param few up to this many rows are not told apart any further
 * @param listed about how many rows are listed at once
 * @param checked how many keys are checked at once
 * @param checks how often a key that keeps changing is checked
 */
public record Limits(int few, int listed, int checked, int checks) {
  /** What suits a heap of 64 MB. */
  public static final Limits USUAL = new Limits(5_000, 100_000, 1_000, 60);
}
