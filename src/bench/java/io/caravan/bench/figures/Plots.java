package io.caravan.bench.figures;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/** The plots that are made of figures. */
final class Plots {
  private static final int FEWEST_POINTS = 2;
  private static final int ENOUGH_POINTS = 3;

  private final Figures figures;
  private final List<Load> loads;

  Plots(Figures figures) {
    this.figures = figures;
    this.loads = Load.of(figures);
  }

  /** Median latency against the rate, a panel for each number of clients; empty: too few rates. */
  Optional<LinePlot> latency() {
    return plot(
        "Median time from commit to commit, by changes a second",
        "changes/s",
        load -> "%,d clients".formatted(load.clients()).replaceFirst("^1 clients", "1 client"),
        Load::rate);
  }

  /** The same against the number of clients, a panel for each rate; empty: too few numbers. */
  Optional<LinePlot> clients() {
    return plot(
        "Median time from commit to commit, by number of clients",
        "clients",
        load -> "%,d changes/s".formatted(load.rate()),
        Load::clients);
  }

  private Optional<LinePlot> plot(
      String title,
      String horizontal,
      Function<Load, String> panel,
      Function<Load, Integer> place) {
    Map<String, List<Load>> panels = new LinkedHashMap<>();
    loads.forEach(
        load -> panels.computeIfAbsent(panel.apply(load), p -> new ArrayList<>()).add(load));
    int most = panels.values().stream().mapToInt(List::size).max().orElse(0);
    int fewest = Math.max(FEWEST_POINTS, Math.min(ENOUGH_POINTS, most));
    panels.values().removeIf(of -> of.size() < fewest);
    Map<String, List<Series>> lines = new LinkedHashMap<>();
    panels.forEach((name, of) -> lines.put(name, lines(of, place)));
    return lines.isEmpty() ? Optional.empty() : Optional.of(new LinePlot(title, horizontal, lines));
  }

  private List<Series> lines(List<Load> loads, Function<Load, Integer> place) {
    List<Series> lines = new ArrayList<>();
    for (Contender contender : Contender.ALL) {
      TreeMap<Integer, Double> points = new TreeMap<>();
      for (Load load : loads) {
        figures
            .median("latency", load.what(), contender.name(), "p50, ms")
            .ifPresent(median -> points.put(place.apply(load), median));
      }
      if (!points.isEmpty()) {
        lines.add(new Series(contender, points));
      }
    }
    return lines;
  }
}
