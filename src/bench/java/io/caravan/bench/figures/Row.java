package io.caravan.bench.figures;

import java.util.List;

/**
 * A row of a table in Markdown.
 *
 * @param label the first cell, by which the row is found again
 * @param cells the others
 */
record Row(String label, List<String> cells) {

  /** Whether anything was measured. */
  boolean hasFigures() {
    return cells.stream()
        .anyMatch(cell -> !cell.replace(" / ", "").replace(Written.MISSING, "").isEmpty());
  }

  String markdown() {
    return "| " + label + " | " + String.join(" | ", cells) + " |";
  }

  /** The label of a line of a table. */
  static String labelOf(String line) {
    return line.split("\\|", -1)[1].strip();
  }
}
