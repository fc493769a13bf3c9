package io.caravan.bench.figures;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** A drawing that reads well on a light page and on a dark one. */
final class Svg {
  private static final String STYLE =
      """
      <style>
        text { font: 12px system-ui, sans-serif; fill: #1f2328; }
        .title { font-weight: 600; font-size: 14px; }
        .soft { fill: #59636e; }
        .end { text-anchor: end; }
        .middle { text-anchor: middle; }
        .grid { stroke: #d1d9e0; stroke-width: 1; }
        .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
        .dot { stroke: none; }
        .faint { fill-opacity: 0.45; }
        .median { stroke-width: 3; }
        line.caravan, polyline.caravan { stroke: #0969da; } circle.caravan { fill: #0969da; }
        line.native, polyline.native { stroke: #1a7f37; } circle.native { fill: #1a7f37; }
        line.polling, polyline.polling { stroke: #bc4c00; } circle.polling { fill: #bc4c00; }
        line.article, polyline.article { stroke: #8250df; } circle.article { fill: #8250df; }
        @media (prefers-color-scheme: dark) {
          text { fill: #f0f6fc; }
          .soft { fill: #9198a1; }
          .grid { stroke: #3d444d; }
          line.caravan, polyline.caravan { stroke: #58a6ff; } circle.caravan { fill: #58a6ff; }
          line.native, polyline.native { stroke: #3fb950; } circle.native { fill: #3fb950; }
          line.polling, polyline.polling { stroke: #f0883e; } circle.polling { fill: #f0883e; }
          line.article, polyline.article { stroke: #bc8cff; } circle.article { fill: #bc8cff; }
        }
      </style>
      """;

  private final int width;
  private final int height;
  private final String title;
  private final StringBuilder body = new StringBuilder();

  /**
   * An empty one.
   *
   * @param title says what it shows, also to those who do not see it
   */
  Svg(int width, int height, String title) {
    this.width = width;
    this.height = height;
    this.title = title;
    text(16, 24, "title", title);
  }

  Svg text(double x, double y, String classes, String text) {
    return add("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>", x, y, classes, escaped(text));
  }

  Svg line(String classes, double x1, double y1, double x2, double y2) {
    return add(
        "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
        classes, x1, y1, x2, y2);
  }

  /** A line through points, as the attribute of SVG has them. */
  Svg path(String classes, String points) {
    return add("<polyline class=\"%s\" points=\"%s\"/>", classes, points);
  }

  /**
   * A dot.
   *
   * @param tip what is shown to who points at it
   */
  Svg dot(String classes, double x, double y, String tip) {
    return add(
        "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>%s</title></circle>",
        classes, x, y, escaped(tip));
  }

  /** Writes it. */
  void write(Path file) throws IOException {
    Files.writeString(file, toString());
  }

  @Override
  public String toString() {
    return """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">
        """
            .formatted(width, height, width, height, escaped(title))
        + STYLE
        + body
        + "</svg>\n";
  }

  private Svg add(String element, Object... values) {
    body.append(String.format(Locale.ROOT, element, values)).append('\n');
    return this;
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;");
  }
}
