package io.caravan.bench.figures;

import static java.util.stream.Collectors.toMap;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What the soak has written of each fault. */
final class Recoveries {
  private final Map<String, List<JsonNode>> faults = new LinkedHashMap<>();

  /**
   * Reads {@code target/faults.json}.
   *
   * @throws IOException if it is missing, or is no such file
   */
  Recoveries(Path file) throws IOException {
    for (JsonNode outcome : new ObjectMapper().readTree(file.toFile())) {
      faults
          .computeIfAbsent(outcome.path("fault").asText(), fault -> new ArrayList<>())
          .add(outcome);
    }
  }

  /** Into docs/faults.md. */
  void into(Page page) {
    page.table(
        "soak",
        List.of(
            "| fault | times | changes | recovery, median ms | worst ms |",
            "|---|--:|--:|--:|--:|"),
        faults.entrySet().stream().map(fault -> row(fault.getKey(), fault.getValue())).toList());
  }

  /** How long it took, each time, from the end of the fault until all clients were equal again. */
  DotPlot plot() {
    return new DotPlot(
        "Time from the end of a fault until all clients are equal to central",
        faults.entrySet().stream()
            .collect(
                toMap(
                    fault -> fault.getKey().replace("`", ""),
                    fault -> millis(fault.getValue()),
                    (one, other) -> one,
                    LinkedHashMap::new)));
  }

  private static Row row(String fault, List<JsonNode> outcomes) {
    List<Double> millis = millis(outcomes);
    long changes = outcomes.stream().mapToLong(outcome -> outcome.path("changes").asLong()).sum();
    return new Row(
        fault,
        List.of(
            "%,d".formatted(outcomes.size()),
            "%,d".formatted(changes),
            "%,.0f".formatted(DotPlot.median(millis)),
            "%,.0f".formatted(Collections.max(millis))));
  }

  private static List<Double> millis(List<JsonNode> outcomes) {
    return outcomes.stream()
        .map(outcome -> Math.max(1, outcome.path("recovery").asDouble()))
        .toList();
  }
}
