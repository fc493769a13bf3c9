package io.caravan.bench.figures;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A case of the latency's section.
 *
 * @param rate changes a second
 * @param clients how many clients get each change
 * @param what the case is called in the figures
 */
record Load(int rate, int clients, String what) {
  private static final Pattern CASE = Pattern.compile("([0-9,]+) changes/s to ([0-9,]+) clients");

  /** All that were measured; few clients first, and then few changes. */
  static List<Load> of(Figures figures) {
    return figures.cases("latency").stream()
        .map(Load::parsed)
        .flatMap(Optional::stream)
        .sorted(Comparator.comparing(Load::clients).thenComparing(Load::rate))
        .toList();
  }

  /** For people. */
  String label() {
    return what.replaceFirst("^1 changes/s", "1 change/s").replace(" 1 clients", " 1 client");
  }

  private static Optional<Load> parsed(String what) {
    Matcher matcher = CASE.matcher(what);
    return matcher.matches()
        ? Optional.of(new Load(number(matcher.group(1)), number(matcher.group(2)), what))
        : Optional.empty();
  }

  private static int number(String text) {
    return Integer.parseInt(text.replace(",", ""));
  }
}
