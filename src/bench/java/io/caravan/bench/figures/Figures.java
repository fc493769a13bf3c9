package io.caravan.bench.figures;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/** What benchmarks have measured. A later file's figures replace those of an earlier one. */
final class Figures {
  private final List<Figure> figures = new ArrayList<>();

  /**
   * Reads files that {@code mvn -Pbench} has written.
   *
   * @throws IOException if one is missing, or is no such file
   */
  static Figures read(List<Path> files) throws IOException {
    Figures all = new Figures();
    for (Path file : files) {
      for (JsonNode node : new ObjectMapper().readTree(file.toFile()).path("figures")) {
        all.add(
            new Figure(
                node.path("section").asText(),
                node.path("case").asText(),
                node.path("contender").asText(),
                node.path("measure").asText(),
                node.path("median").asDouble(),
                node.path("ratio").asDouble(Double.NaN)));
      }
    }
    return all;
  }

  /** What was measured in a section, in the order of the files. */
  List<String> cases(String section) {
    return figures.stream()
        .filter(figure -> figure.section().equals(section))
        .map(Figure::what)
        .distinct()
        .toList();
  }

  /** The median; empty if it was not measured. */
  OptionalDouble median(String section, String what, String contender, String measure) {
    Optional<Figure> found = find(section, what, contender, measure);
    return found.isPresent() ? OptionalDouble.of(found.get().median()) : OptionalDouble.empty();
  }

  /** What it is of the reference's; empty if either was not measured. */
  OptionalDouble ratio(String section, String what, String contender, String measure) {
    Optional<Figure> found = find(section, what, contender, measure);
    return found.isPresent() && !Double.isNaN(found.get().ratio())
        ? OptionalDouble.of(found.get().ratio())
        : OptionalDouble.empty();
  }

  private Optional<Figure> find(String section, String what, String contender, String measure) {
    Figure wanted = new Figure(section, what, contender, measure, Double.NaN, Double.NaN);
    return figures.stream().filter(wanted::isOfTheSame).findFirst();
  }

  private void add(Figure figure) {
    for (int n = 0; n < figures.size(); n++) {
      if (figures.get(n).isOfTheSame(figure)) {
        figures.set(n, figure);
        return;
      }
    }
    figures.add(figure);
  }
}
