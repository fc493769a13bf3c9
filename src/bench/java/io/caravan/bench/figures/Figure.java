package io.caravan.bench.figures;

/**
 * One figure of {@code target/bench.json}.
 *
 * @param section of the benchmark, for instance {@code latency}
 * @param what was measured, for instance {@code 50 changes/s to 3 clients}
 * @param contender that it was measured of
 * @param measure with its unit, for instance {@code p50, ms}
 * @param median of all turns
 * @param ratio to the section's reference, the median of all turns; NaN of the reference itself
 */
record Figure(
    String section, String what, String contender, String measure, double median, double ratio) {

  /** Whether both are of the same thing, measured once more. */
  boolean isOfTheSame(Figure other) {
    return section.equals(other.section)
        && what.equals(other.what)
        && contender.equals(other.contender)
        && measure.equals(other.measure);
  }
}
