package io.caravan.bench.figures;

import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/** The tables that are made of figures. */
final class Tables {
  private static final List<String> WHO_COSTS =
      List.of("article's trigger", "native", "caravan without hub", "caravan");
  private static final List<String> WAYS_TO_APPLY =
      List.of(
          "bare upsert",
          "from JSON, where they differ",
          "caravan, rows: central",
          "caravan, rows: shared");
  private static final List<String> PARTS_OF_LATENCY =
      List.of("until the hub looks", "a page at a client", "the rest", "from commit to commit");
  private static final String ALL_OF_10 = " until all of 10 clients have them";
  private static final String SECONDS = "s from the first commit in central";
  private static final String UPDATES = "updates/s, tracked column";

  private final Figures figures;

  Tables(Figures figures) {
    this.figures = figures;
  }

  /** Into docs/benchmark.md. */
  void into(Page page) {
    page.table(
        "overhead",
        heading(
            "of bare, with 3 clients",
            "bare",
            "article's trigger",
            "logical replication",
            "Caravan, no hub",
            "Caravan"),
        overhead());
    page.table(
        "latency",
        heading("commit to commit, ms: p50 / p99", labels()),
        Load.of(figures).stream()
            .map(
                load ->
                    new Row(
                        load.label(),
                        Contender.ALL.stream()
                            .map(who -> latency(load.what(), who.name()))
                            .toList()))
            .toList());
    page.table(
        "throughput",
        heading("of logical replication, until all clients have them", "polling script", "Caravan"),
        throughput());
    page.table(
        "apply",
        heading(
            "µs a page",
            "bare upsert of arrays",
            "upsert from JSON, where rows differ",
            "Caravan, `rows: central`",
            "Caravan, `rows: shared`"),
        medians("apply", WAYS_TO_APPLY, "µs a page").stream()
            .map(row -> new Row(row.label().replaceFirst("a page of ", ""), row.cells()))
            .toList());
    beside(page, "read", "µs a page", "the least query", "µs a page");
    beside(page, "load", "seconds", "COPY", "s");
    page.table(
        "profile",
        heading("ms, on average", PARTS_OF_LATENCY.toArray(String[]::new)),
        medians("profile", PARTS_OF_LATENCY, "ms"));
    new ComparingTables(figures).into(page);
  }

  /** A table of what Caravan takes beside something else. */
  private void beside(Page page, String section, String label, String other, String measure) {
    page.table(
        section,
        heading(label, other, "Caravan"),
        medians(section, List.of(other, "caravan"), measure));
  }

  /** A row for each case of a section, with a column for each contender. */
  private List<Row> medians(String section, List<String> contenders, String measure) {
    return figures.cases(section).stream()
        .map(
            what ->
                new Row(
                    what,
                    contenders.stream()
                        .map(who -> Written.value(figures.median(section, what, who, measure)))
                        .toList()))
        .toList();
  }

  /** Into README.md: the five figures. */
  void intoReadme(Page page) {
    String eight = "updates of a row by 8 writers";
    String transactions = "20,000 transactions of 1 writer" + ALL_OF_10;
    page.table(
        "figures",
        heading("", "Caravan", "logical replication"),
        List.of(
            latencyRow("50 changes/s to 3 clients"),
            latencyRow("2,000 changes/s to 10 clients"),
            new Row(
                "updates/s by 8 writers, of what they are without replication",
                Stream.of("caravan", "native")
                    .map(who -> Written.ratio(figures.ratio("overhead", eight, who, UPDATES)))
                    .toList()),
            new Row(
                "20,000 transactions by 1 writer, until all of 10 clients have them",
                measured(
                    figures.ratio("throughput", transactions, "caravan", SECONDS),
                    " of its time",
                    "1")),
            new Row(
                "to compare 1,000,000 rows with a client's",
                measured(
                    thousandth(
                        figures.median(
                            "compare", "a client of 1,000,000 rows", "nothing differs", "ms")),
                    " s",
                    ""))));
  }

  private List<Row> overhead() {
    String one = "updates of a row by 1 writer";
    String eight = "updates of a row by 8 writers";
    return List.of(
        cost("ms for an update by 1 writer", one, "ms, tracked column"),
        cost("… of a column that is not tracked, by 1 writer", one, "ms, another column"),
        cost("updates/s by 1 writer", one, UPDATES),
        cost("updates/s by 8 writers", eight, UPDATES),
        cost("… of a column that is not tracked, by 8 writers", eight, "updates/s, another column"),
        cost(
            "… hub and clients on a core of their own",
            "updates by 8 writers, hub and clients' server on a core of their own",
            UPDATES),
        cost(
            "ms of processor time of central for an update",
            eight,
            "central's processor time, ms an update"),
        cost(
            "s for all rows in one statement",
            "an update of all rows in one statement",
            "s, tracked column"));
  }

  private Row cost(String label, String what, String measure) {
    List<String> cells = new ArrayList<>();
    cells.add(Written.value(figures.median("overhead", what, "bare", measure)));
    for (String who : WHO_COSTS) {
      cells.add(Written.ratio(figures.ratio("overhead", what, who, measure)));
    }
    return new Row(label, cells);
  }

  private List<Row> throughput() {
    return figures.cases("throughput").stream()
        .map(
            what ->
                new Row(
                    what.replace(" of 1 writer", " by 1 writer")
                        .replace(" of 8 writers", " by 8 writers")
                        .replaceFirst(" until all of ([0-9,]+) clients have them", ", $1 clients"),
                    Stream.of("polling script", "caravan")
                        .map(who -> Written.ratio(figures.ratio("throughput", what, who, SECONDS)))
                        .toList()))
        .toList();
  }

  private Row latencyRow(String what) {
    return new Row(
        "commit to commit, " + what + " (p50 / p99)",
        Stream.of("caravan", "native").map(who -> latency(what, who) + unit(what, who)).toList());
  }

  private String unit(String what, String who) {
    return figures.median("latency", what, who, "p50, ms").isPresent() ? " ms" : "";
  }

  private String latency(String what, String who) {
    OptionalDouble median = figures.median("latency", what, who, "p50, ms");
    return median.isEmpty()
        ? Written.MISSING
        : Written.value(median)
            + " / "
            + Written.value(figures.median("latency", what, who, "p99, ms"));
  }

  private static List<String> measured(OptionalDouble value, String unit, String other) {
    return value.isEmpty()
        ? List.of(Written.MISSING, "")
        : List.of(Written.ratio(value) + unit, other);
  }

  private static OptionalDouble thousandth(OptionalDouble value) {
    return value.isPresent() ? OptionalDouble.of(value.getAsDouble() / 1000) : value;
  }

  private static String[] labels() {
    return Contender.ALL.stream().map(Contender::label).toArray(String[]::new);
  }

  static List<String> heading(String label, String... columns) {
    return List.of(
        "| " + label + " | " + String.join(" | ", columns) + " |",
        "|---|" + Stream.of(columns).map(column -> "--:|").collect(joining()));
  }
}
