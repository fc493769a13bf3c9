package io.caravan.bench.figures;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/** The tables of comparisons, each beside what is done without Caravan, or without comparing. */
final class ComparingTables {
  private static final String COMPARE = "compare";
  private static final String LIVE = "live";
  private static final String NOTHING = "nothing is compared";
  private static final String ONE_PROCESS = "the same, in one process a side";
  private static final String IN_TURN = "the same, on one side after the other";
  private static final Map<String, String> WAYS = new LinkedHashMap<>();
  private static final Map<String, String> MEANWHILE = new LinkedHashMap<>();
  private static final Map<String, String> RUNS = new LinkedHashMap<>();
  private static final Map<String, String> COSTS = new LinkedHashMap<>();

  static {
    WAYS.put("bare digests", "`select count(*), sum(hashtextextended(…))` on both sides");
    WAYS.put("… in one process a side", ONE_PROCESS);
    WAYS.put("… one side after the other", IN_TURN);
    WAYS.put("nothing differs", "to compare, if nothing differs");
    MEANWHILE.put(NOTHING, NOTHING);
    MEANWHILE.put("comparisons all the time", "one comparison after another");
    MEANWHILE.put("bare digests all the time", "one such `select` after another");
    MEANWHILE.put("… in one process a side", ONE_PROCESS);
    MEANWHILE.put("… one side after the other", IN_TURN);
    RUNS.put(NOTHING, NOTHING);
    RUNS.put("verify, run after run", "by itself, run after run");
    RUNS.put("request, run after run", "requested, run after run");
    COSTS.put("ms from its beginning to its end", "ms from its beginning to its end");
    COSTS.put("central's processor time, s", "s of processor time in central");
    COSTS.put("the client's processor time, s", "… in the client's server");
    COSTS.put("the hub's processor time, s", "… in the hub");
  }

  private final Figures figures;

  ComparingTables(Figures figures) {
    this.figures = figures;
  }

  void into(Page page) {
    page.table(
        COMPARE, Tables.heading("", "at rest", "while 200 rows are changed a second"), compare());
    page.table(
        LIVE,
        Tables.heading("the 200 changes a second, commit to commit", "median", "99th percentile"),
        live("latency of 200 changes/s", MEANWHILE));
    page.table(
        "beside",
        Tables.heading("200 changes/s to 3 clients, commit to commit", "median", "99th percentile"),
        live("200 changes/s to 3 clients", RUNS));
    page.table(
        "cost", Tables.heading("a comparison of equal rows", "by itself", "requested"), cost());
  }

  private List<Row> compare() {
    List<String> cases = figures.cases(COMPARE);
    List<Row> rows = new ArrayList<>();
    WAYS.forEach(
        (way, label) ->
            rows.add(
                new Row(
                    label,
                    cases.stream().map(what -> relative(COMPARE, what, way, "ms")).toList())));
    rows.add(
        new Row(
            "to find and repair 1,000 differences",
            cases.stream()
                .map(what -> relative("compare and repair", what, "1,000 differences", "ms"))
                .toList()));
    return rows;
  }

  private List<Row> live(String what, Map<String, String> labels) {
    return labels.entrySet().stream()
        .map(
            when ->
                new Row(
                    when.getValue(),
                    List.of(
                        relative(LIVE, what, when.getKey(), "p50, ms"),
                        relative(LIVE, what, when.getKey(), "p99, ms"))))
        .toList();
  }

  private List<Row> cost() {
    return COSTS.entrySet().stream()
        .map(
            cost ->
                new Row(
                    cost.getValue(),
                    Stream.of("verify", "request")
                        .map(reason -> cost(reason, cost.getKey()))
                        .toList()))
        .toList();
  }

  private String cost(String reason, String measure) {
    return figures.cases("cost").stream()
        .map(what -> Written.value(figures.median("cost", what, reason, measure)))
        .findFirst()
        .orElse(Written.MISSING);
  }

  /** The reference in milliseconds; of the others, how many times that. */
  private String relative(String section, String what, String who, String measure) {
    OptionalDouble ratio = figures.ratio(section, what, who, measure);
    OptionalDouble median = figures.median(section, what, who, measure);
    return ratio.isPresent() || median.isEmpty()
        ? (ratio.isPresent() ? "× " : "") + Written.ratio(ratio)
        : Written.value(median) + " ms";
  }
}
