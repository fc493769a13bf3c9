package io.caravan.bench.figures;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * Lines in panels side by side that share a vertical axis; both axes are logarithmic. Each line is
 * named at its end.
 */
final class LinePlot {
  private static final int LEFT = 76;
  private static final int LABELS = 140;
  private static final int PANEL = 250;
  private static final int TOP = 72;
  private static final int BOTTOM = 330;
  private static final int HEIGHT = 384;
  private static final int BETWEEN_LABELS = 15;

  private final String title;
  private final String horizontal;
  private final Map<String, List<Series>> panels;

  /**
   * Of panels by their titles.
   *
   * @param horizontal what the horizontal axis has
   */
  LinePlot(String title, String horizontal, Map<String, List<Series>> panels) {
    this.title = title;
    this.horizontal = horizontal;
    this.panels = panels;
  }

  /** Draws it. */
  Svg draw() {
    int width = LEFT + panels.size() * (PANEL + LABELS);
    Svg svg = new Svg(width, HEIGHT, title);
    Scale vertical = Scale.of(values(), BOTTOM, TOP);
    int left = LEFT;
    for (Map.Entry<String, List<Series>> panel : panels.entrySet()) {
      svg.text(left, TOP - 20, "", panel.getKey());
      grid(svg, vertical, left, left == LEFT);
      lines(svg, panel.getValue(), vertical, left);
      left += PANEL + LABELS;
    }
    return svg;
  }

  /** The panels share the axis, so the first one's numbers do for all. */
  private static void grid(Svg svg, Scale vertical, int left, boolean hasNumbers) {
    for (double power : vertical.powers()) {
      double y = vertical.at(power);
      svg.line("grid", left, y, left + PANEL, y);
      if (hasNumbers) {
        svg.text(left - 8, y + 4, "soft end", Written.round(power) + " ms");
      }
    }
  }

  private void lines(Svg svg, List<Series> lines, Scale vertical, int left) {
    TreeMap<Integer, Double> places = new TreeMap<>();
    lines.forEach(line -> places.putAll(line.points()));
    Scale across = new Scale(places.firstKey(), places.lastKey(), left + 12.0, left + PANEL - 12.0);
    for (int place : places.keySet()) {
      svg.text(across.at(place), BOTTOM + 20, "soft middle", Written.round(place));
    }
    svg.text(left + PANEL / 2.0, BOTTOM + 42, "soft middle", horizontal);
    for (Series line : lines) {
      String colour = line.contender().colour();
      StringBuilder points = new StringBuilder();
      line.points()
          .forEach(
              (place, value) ->
                  points.append(
                      String.format(
                          Locale.ROOT, "%.1f,%.1f ", across.at(place), vertical.at(value))));
      svg.path("line " + colour, points.toString().strip());
      line.points()
          .forEach(
              (place, value) ->
                  svg.dot(
                      "dot " + colour,
                      across.at(place),
                      vertical.at(value),
                      "%s, %,d: %s ms"
                          .formatted(line.contender().label(), place, Written.value(value))));
    }
    names(svg, lines, vertical, left + PANEL);
  }

  /** Names the lines at their ends, from the top down, none over another. */
  private static void names(Svg svg, List<Series> lines, Scale vertical, double x) {
    List<Series> fromTheTop = new ArrayList<>(lines);
    fromTheTop.sort(Comparator.comparing(line -> vertical.at(last(line))));
    double free = 0;
    for (Series line : fromTheTop) {
      double y = Math.max(vertical.at(last(line)), free);
      svg.dot("dot " + line.contender().colour(), x + 4, y, line.contender().label())
          .text(x + 12, y + 4, "", line.contender().label());
      free = y + BETWEEN_LABELS;
    }
  }

  private List<Double> values() {
    return panels.values().stream()
        .flatMap(List::stream)
        .flatMap(line -> line.points().values().stream())
        .toList();
  }

  private static double last(Series line) {
    return line.points().get(line.points().lastKey());
  }
}
