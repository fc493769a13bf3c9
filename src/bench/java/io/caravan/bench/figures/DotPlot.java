package io.caravan.bench.figures;

import java.util.List;
import java.util.Map;

/** A row of dots for each kind, and a bar at their median. */
final class DotPlot {
  private static final int LEFT = 400;
  private static final int WIDTH = 820;
  private static final int TOP = 64;
  private static final int ROW = 20;
  private static final int MARGIN = 40;

  private final String title;
  private final Map<String, List<Double>> millis;

  /** Of milliseconds by kind. */
  DotPlot(String title, Map<String, List<Double>> millis) {
    this.title = title;
    this.millis = millis;
  }

  /** Draws it. */
  Svg draw() {
    int bottom = TOP + ROW * millis.size();
    Svg svg = new Svg(WIDTH, bottom + MARGIN, title);
    Scale across =
        Scale.ofPowers(
            millis.values().stream().flatMap(List::stream).toList(), LEFT, WIDTH - MARGIN);
    for (double power : across.powers()) {
      double x = across.at(power);
      svg.line("grid", x, TOP - ROW / 2.0, x, bottom)
          .text(x, bottom + 18, "soft middle", Written.round(power / 1000) + " s");
    }
    double y = TOP;
    for (Map.Entry<String, List<Double>> kind : millis.entrySet()) {
      svg.text(LEFT - 12, y + 4, "end", kind.getKey());
      for (double value : kind.getValue()) {
        svg.dot("dot faint caravan", across.at(value), y, Written.value(value) + " ms");
      }
      double median = median(kind.getValue());
      svg.line("median caravan", across.at(median), y - 7, across.at(median), y + 7);
      y += ROW;
    }
    return svg;
  }

  /** The upper one of two in the middle. */
  static double median(List<Double> values) {
    return values.stream().sorted().skip(values.size() / 2).findFirst().orElseThrow();
  }
}
