package io.caravan.bench.figures;

import java.util.List;

/**
 * Who is compared in tables and plots.
 *
 * @param name in the figures
 * @param label for people
 * @param colour the class of its colour in a plot
 */
record Contender(String name, String label, String colour) {
  /** All that deliver, Caravan last. */
  static final List<Contender> ALL =
      List.of(
          new Contender("article", "article's script", "article"),
          new Contender("polling script", "polling script", "polling"),
          new Contender("native", "logical replication", "native"),
          new Contender("caravan", "Caravan", "caravan"));
}
