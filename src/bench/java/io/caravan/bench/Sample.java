package io.caravan.bench;

import java.util.Arrays;
import java.util.Collection;

/** Measured values, in ascending order. */
final class Sample {
  private final double[] values;

  private Sample(double[] sorted) {
    values = sorted;
  }

  /** Takes them in any order. */
  static Sample of(double... values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("nothing was measured");
    }
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return new Sample(sorted);
  }

  /** Takes them in any order. */
  static Sample of(Collection<Double> values) {
    return of(values.stream().mapToDouble(Double::doubleValue).toArray());
  }

  int size() {
    return values.length;
  }

  double min() {
    return values[0];
  }

  double max() {
    return values[values.length - 1];
  }

  double mean() {
    return Arrays.stream(values).average().orElseThrow();
  }

  /** The one in the middle; of two, what lies between them. */
  double median() {
    return (values[(values.length - 1) / 2] + values[values.length / 2]) / 2;
  }

  /** The smallest value that this share of all do not exceed. */
  double percentile(double percent) {
    return values[(int) Math.ceil(values.length * percent / 100) - 1];
  }
}
