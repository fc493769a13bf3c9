package io.caravan.faults;

import static java.util.Comparator.comparing;
import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.joining;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToLongFunction;

/**
 * What came of a fault.
 *
 * @param fault what was injected
 * @param changes how many rows were written in central from its beginning to its end
 * @param lost how many rows still differed at a client when the time was up
 * @param wrong how many times a client's row became older than it was
 * @param letters how many dead letters were left
 * @param recovery milliseconds from the end of the fault until every client equalled central
 * @param stall milliseconds for which a client that the fault did not befall went without news; 0
 *     where it befalls all
 */
record Outcome(
    Fault fault, long changes, long lost, long wrong, long letters, long recovery, long stall) {

  boolean isGood() {
    return lost == 0 && wrong == 0 && letters == 0;
  }

  /** Writes the outcomes as JSON, for tables and plots. */
  static void write(List<Outcome> outcomes, Path file) throws IOException {
    new ObjectMapper()
        .writerWithDefaultPrettyPrinter()
        .writeValue(
            file.toFile(),
            outcomes.stream().sorted(comparing(Outcome::fault)).map(Outcome::json).toList());
  }

  private Map<String, Object> json() {
    return Map.of(
        "fault",
        fault.description(),
        "changes",
        changes,
        "lost",
        lost,
        "wrong",
        wrong,
        "letters",
        letters,
        "recovery",
        recovery,
        "stall",
        stall);
  }

  /** The outcomes as a table in Markdown, a line for each kind of fault, and one for all. */
  static String table(List<Outcome> outcomes) {
    String lines =
        new TreeMap<>(outcomes.stream().collect(groupingBy(Outcome::fault)))
            .entrySet().stream()
                .map(kind -> line(kind.getKey().description(), kind.getValue()))
                .collect(joining());
    return """
        | fault | times | changes | lost | wrong | letters left | recovery, median ms | worst ms | others' longest stall, ms |
        |---|--:|--:|--:|--:|--:|--:|--:|--:|
        """
        + lines
        + line("**all**", outcomes);
  }

  private static String line(String what, List<Outcome> outcomes) {
    long[] recoveries = outcomes.stream().mapToLong(Outcome::recovery).sorted().toArray();
    long stall = outcomes.stream().mapToLong(Outcome::stall).max().orElse(0);
    return "| %s | %d | %d | %d | %d | %d | %d | %d | %s |%n"
        .formatted(
            what,
            outcomes.size(),
            sum(outcomes, Outcome::changes),
            sum(outcomes, Outcome::lost),
            sum(outcomes, Outcome::wrong),
            sum(outcomes, Outcome::letters),
            recoveries[recoveries.length / 2],
            recoveries[recoveries.length - 1],
            stall == 0 ? "–" : stall);
  }

  private static long sum(List<Outcome> outcomes, ToLongFunction<Outcome> what) {
    return outcomes.stream().mapToLong(what).sum();
  }
}
