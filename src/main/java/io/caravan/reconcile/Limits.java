package io.caravan.reconcile;

import java.time.Duration;

/**
 * Where a run draws its lines.
 *
 * @param few up to this many rows are not told apart any further
 * @param listed about how many rows are listed at once
 * @param checked how many keys are checked at once
 * @param checks how often a key that keeps changing is checked
 * @param part how long a run that rests asks a side before it keeps a checkpoint
 */
public record Limits(int few, int listed, int checked, int checks, Duration part) {
  /** What suits a heap of 64 MB. */
  public static final Limits USUAL = new Limits(5_000, 100_000, 1_000, 60, Duration.ofSeconds(3));
}
