package io.caravan.bench.figures;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A page in Markdown with parts that are made. Such a part stands between {@code <!-- made: name
 * -->} and {@code <!-- end -->}, which readers do not see.
 */
final class Page {
  private static final int HEADING_LINES = 2;

  private final Path file;
  private String text;

  /** Reads it. */
  Page(Path file) throws IOException {
    this.file = file;
    this.text = Files.readString(file);
  }

  /**
   * Brings a table's rows up to date. A row of which nothing was measured stays as it is, and a new
   * one comes last.
   *
   * @param heading the column heads and the line below them
   * @throws IllegalStateException if the page has no such part
   */
  void table(String name, List<String> heading, List<Row> rows) {
    Map<String, String> lines = new LinkedHashMap<>();
    part(name).stream()
        .filter(line -> line.startsWith("|"))
        .skip(HEADING_LINES)
        .forEach(line -> lines.put(Row.labelOf(line), line));
    boolean isMeasured = false;
    for (Row row : rows) {
      if (row.hasFigures()) {
        lines.put(row.label(), row.markdown());
        isMeasured = true;
      }
    }
    if (isMeasured) {
      List<String> table = new ArrayList<>(heading);
      table.addAll(lines.values());
      replace(name, table);
    }
  }

  /** Replaces a part by a picture. */
  void picture(String name, String alternative, String svg) {
    replace(name, List.of("![%s](%s)".formatted(alternative, svg)));
  }

  /** Writes it back. */
  void write() throws IOException {
    Files.writeString(file, text);
  }

  private List<String> part(String name) {
    return text.substring(begin(name), end(name)).lines().toList();
  }

  private void replace(String name, List<String> lines) {
    text =
        text.substring(0, begin(name))
            + String.join("\n", lines)
            + "\n"
            + text.substring(end(name));
  }

  private int begin(String name) {
    String marker = "<!-- made: " + name + " -->\n";
    int at = text.indexOf(marker);
    if (at < 0) {
      throw new IllegalStateException("%s lacks the line %s".formatted(file, marker.strip()));
    }
    return at + marker.length();
  }

  private int end(String name) {
    int at = text.indexOf("<!-- end -->", begin(name));
    if (at < 0) {
      throw new IllegalStateException("%s: nothing ends the part %s".formatted(file, name));
    }
    return at;
  }
}
