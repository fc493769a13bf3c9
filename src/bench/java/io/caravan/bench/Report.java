package io.caravan.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What was measured: a table for people while it is measured, and JSON at the end. Contenders take
 * turns, and what is compared is the values of one turn: so a machine that is slow for a while does
 * not distort a ratio.
 */
final class Report {
  private final PrintStream out;
  private final Map<String, Object> environment;
  private final List<Case> cases = new ArrayList<>();

  /**
   * Begins with what it was measured on.
   *
   * @param environment for the JSON, and printed
   */
  Report(PrintStream out, Map<String, Object> environment) {
    this.out = out;
    this.environment = environment;
    environment.forEach((name, value) -> out.printf("%-12s %s%n", name, value));
  }

  /** Tells what cannot be read from figures. */
  void note(String text) {
    out.println();
    out.println(text);
  }

  /**
   * Begins a table.
   *
   * @param reference the contender that the others are compared with
   */
  Case begin(String section, String what, String reference) {
    Case begun = new Case(section, what, reference);
    cases.add(begun);
    return begun;
  }

  /** Writes all as JSON. */
  void write(Path file) {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("environment", environment);
    all.put("figures", cases.stream().flatMap(one -> one.figures().stream()).toList());
    try {
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(file.toFile(), all);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String format(double value) {
    if (Math.abs(value) >= 1000) {
      return String.format(Locale.ROOT, "%,.0f", value);
    }
    return String.format(
        Locale.ROOT,
        Math.abs(value) >= 100 ? "%.0f" : Math.abs(value) >= 10 ? "%.1f" : "%.2f",
        value);
  }

  private static String spread(Sample sample, String sign) {
    String median = sign + format(sample.median());
    return sample.size() == 1
        ? median
        : median + " (" + format(sample.min()) + "–" + format(sample.max()) + ")";
  }

  /** One table: the same measured of several contenders. */
  final class Case {
    private final String section;
    private final String what;
    private final String reference;
    // measure -> contender -> a value for each turn
    private final Map<String, Map<String, List<Double>>> values = new LinkedHashMap<>();

    Case(String section, String what, String reference) {
      this.section = section;
      this.what = what;
      this.reference = reference;
    }

    /**
     * Adds a value of the present turn.
     *
     * @param measure with its unit
     */
    Case add(String contender, String measure, double value) {
      values
          .computeIfAbsent(measure, m -> new LinkedHashMap<>())
          .computeIfAbsent(contender, c -> new ArrayList<>())
          .add(value);
      return this;
    }

    /** Prints it: each value's median and, in brackets, the least and the greatest. */
    void print() {
      out.printf("%n%s: %s%n", section, what);
      values.forEach(
          (measure, contenders) -> {
            out.printf("  %s%n", measure);
            contenders.forEach(
                (contender, list) ->
                    out.printf(
                        "    %-24s %-30s %s%n",
                        contender,
                        spread(Sample.of(list), ""),
                        ratios(measure, contender).isEmpty()
                            ? ""
                            : spread(Sample.of(ratios(measure, contender)), "× ")
                                + " of "
                                + reference));
          });
    }

    /** What each turn's value is of that of the reference. */
    private List<Double> ratios(String measure, String contender) {
      List<Double> list = values.get(measure).get(contender);
      List<Double> base = values.get(measure).getOrDefault(reference, List.of());
      List<Double> ratios = new ArrayList<>();
      if (!contender.equals(reference)) {
        for (int turn = 0; turn < Math.min(list.size(), base.size()); turn++) {
          if (base.get(turn) != 0) {
            ratios.add(list.get(turn) / base.get(turn));
          }
        }
      }
      return ratios;
    }

    private List<Map<String, Object>> figures() {
      List<Map<String, Object>> figures = new ArrayList<>();
      values.forEach(
          (measure, contenders) ->
              contenders.forEach(
                  (contender, list) -> {
                    Map<String, Object> figure = new LinkedHashMap<>();
                    figure.put("section", section);
                    figure.put("case", what);
                    figure.put("contender", contender);
                    figure.put("measure", measure);
                    figure.put("median", Sample.of(list).median());
                    figure.put("values", list);
                    List<Double> ratios = ratios(measure, contender);
                    if (!ratios.isEmpty()) {
                      figure.put("reference", reference);
                      figure.put("ratio", Sample.of(ratios).median());
                      figure.put("ratios", ratios);
                    }
                    figures.add(figure);
                  }));
      return figures;
    }
  }
}
