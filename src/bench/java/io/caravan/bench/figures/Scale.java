package io.caravan.bench.figures;

import java.util.ArrayList;
import java.util.List;

/**
 * A logarithmic axis.
 *
 * @param least value on it
 * @param greatest value on it
 * @param from where the least is, in the plot's units
 * @param to where the greatest is
 */
record Scale(double least, double greatest, double from, double to) {
  private static final double ROOM = 1.15;

  /** One that has room for all of these, which are positive. */
  static Scale of(List<Double> values, double from, double to) {
    double least = values.stream().min(Double::compare).orElseThrow();
    double greatest = values.stream().max(Double::compare).orElseThrow();
    return new Scale(least / ROOM, greatest * ROOM, from, to);
  }

  /** One of whole powers of ten. */
  static Scale ofPowers(List<Double> values, double from, double to) {
    double least = values.stream().min(Double::compare).orElseThrow();
    double greatest = values.stream().max(Double::compare).orElseThrow();
    return new Scale(
        Math.pow(10, Math.floor(Math.log10(least))),
        Math.pow(10, Math.ceil(Math.log10(greatest * ROOM))),
        from,
        to);
  }

  /** Where a value is. */
  double at(double value) {
    double share = Math.log(value / least) / Math.log(greatest / least);
    return from + share * (to - from);
  }

  /** The powers of ten on it. */
  List<Double> powers() {
    List<Double> powers = new ArrayList<>();
    for (int n = (int) Math.ceil(Math.log10(least)); n <= Math.log10(greatest); n++) {
      powers.add(Math.pow(10, n));
    }
    return powers;
  }
}
