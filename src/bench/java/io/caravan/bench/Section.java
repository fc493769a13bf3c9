package io.caravan.bench;

/** A part of the benchmark. */
@FunctionalInterface
interface Section {

  /** Measures, and reports what it has measured. */
  void run(Stage stage, Options options, Report report);
}
