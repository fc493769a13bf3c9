package io.caravan.reconcile;

import java.time.Duration;

/**
 * Where a run draws its lines.
 *
 * @param few so many rows are not told apart any further
 * @param listed so many rows are listed at once, about
 * @param checked so many keys are checked at once
 * @param checks so often a key is checked that changes all the time
 * @param part so long a side is asked by a run that rests, until another hub could go on from there
 */
public record Limits(int few, int listed, int checked, int checks, Duration part) {
  /** What suits a heap of 64 MB. */
  public static final Limits USUAL = new Limits(5_000, 100_000, 1_000, 60, Duration.ofSeconds(3));
}
