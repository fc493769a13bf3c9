package io.caravan.bench.figures;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;
import org.xml.sax.InputSource;

/** The documentation's tables and plots are made of what was measured. */
class FiguresTest {
  private static final String FIGURE =
      """
      {"section": "%s", "case": "%s", "contender": "%s", "measure": "%s", "median": %s, "ratio": %s}""";

  @TempDir private Path folder;
  private Path readme;
  private Path benchmark;
  private Path faults;
  private MakeFigures figures;

  @BeforeEach
  void copyTheDocumentation() throws IOException {
    readme = Files.copy(Path.of("README.md"), folder.resolve("README.md"));
    benchmark = Files.copy(Path.of("docs/benchmark.md"), folder.resolve("benchmark.md"));
    faults = Files.copy(Path.of("docs/faults.md"), folder.resolve("faults.md"));
    figures = new MakeFigures(folder, readme);
  }

  @Test
  void aTableHasWhatWasMeasuredAndKeepsTheRowsOfWhichNothingWas() throws IOException {
    String before = Files.readString(benchmark);

    figures.ofBenchmark(
        measured(
            latency("50 changes/s to 3 clients", "caravan", "3.14159"),
            latency("7 changes/s to 1 clients", "native", "12345.6")));

    assertThat(Files.readString(benchmark))
        .contains("| 50 changes/s to 3 clients | – | – | – | 3.1 / – |\n")
        .contains("| 7 changes/s to 1 client | – | – | 12,300 / – | – |\n")
        .contains(line(before, "| 2,000 changes/s to 10 clients |"))
        .contains(line(before, "| 1,000 rows that are new |"));
  }

  @Test
  void theReadmesFiguresAreOfTheSamePlace() throws IOException {
    String before = Files.readString(readme);

    figures.ofBenchmark(
        measured(
            latency("50 changes/s to 3 clients", "caravan", "3.6"),
            latency("50 changes/s to 3 clients", "native", "0.94"),
            FIGURE.formatted(
                "overhead",
                "updates of a row by 8 writers",
                "caravan",
                "updates/s, tracked column",
                "5000",
                "0.434")));

    assertThat(Files.readString(readme))
        .contains("50 changes/s to 3 clients (p50 / p99) | 3.6 / – ms | 0.94 / – ms |\n")
        .contains("of what they are without replication | 0.43 | – |\n")
        .contains(line(before, "| to compare 1,000,000 rows"));
  }

  @Test
  void aLaterFileReplacesTheFiguresOfAnEarlierOne() throws IOException {
    Path one = json("one.json", latency("50 changes/s to 3 clients", "caravan", "9"));
    Path other = json("other.json", latency("50 changes/s to 3 clients", "caravan", "4"));

    assertThat(
            Figures.read(List.of(one, other))
                .median("latency", "50 changes/s to 3 clients", "caravan", "p50, ms"))
        .hasValue(4);
  }

  @Test
  void aPlotHasALineForEachContenderAndAPanelForEachNumberOfClients() throws Exception {
    figures.ofBenchmark(
        measured(
            latency("50 changes/s to 3 clients", "caravan", "3"),
            latency("500 changes/s to 3 clients", "caravan", "4"),
            latency("50 changes/s to 3 clients", "native", "1"),
            latency("500 changes/s to 3 clients", "native", "2"),
            latency("50 changes/s to 10 clients", "native", "2"),
            latency("500 changes/s to 10 clients", "native", "3"),
            latency("50 changes/s to 99 clients", "native", "2")));

    Document latency = svg("latency.svg");
    assertThat(latency.getElementsByTagName("polyline").getLength()).isEqualTo(3);
    assertThat(latency.getDocumentElement().getTextContent())
        .contains("3 clients", "10 clients", "Caravan, 500: 4.0 ms", "prefers-color-scheme: dark")
        .doesNotContain("99 clients");
    assertThat(svg("clients.svg").getElementsByTagName("polyline").getLength()).isEqualTo(2);
    assertThat(Files.readString(benchmark)).contains("](latency.svg)", "](clients.svg)");
  }

  @Test
  void aPlotOfTooFewFiguresIsNotMade() throws IOException {
    figures.ofBenchmark(measured(latency("50 changes/s to 3 clients", "caravan", "3")));

    assertThat(folder.resolve("latency.svg")).doesNotExist();
  }

  @Test
  void aRecoveryIsADotInTheRowOfItsFault() throws Exception {
    Path outcomes = folder.resolve("faults.json");
    Files.writeString(
        outcomes,
        """
        [{"fault": "the hub is killed (`kill -9`) and started again", "changes": 600, "recovery": 7000},
         {"fault": "the hub is killed (`kill -9`) and started again", "changes": 500, "recovery": 9000},
         {"fault": "a source is truncated", "changes": 3, "recovery": 0}]
        """);

    figures.ofSoak(new Recoveries(outcomes));

    assertThat(svg("recovery.svg").getElementsByTagName("circle").getLength()).isEqualTo(3);
    assertThat(Files.readString(faults))
        .contains("](recovery.svg)")
        .contains(
            "| the hub is killed (`kill -9`) and started again | 2 | 1,100 | 9,000 | 9,000 |\n")
        .contains("| a source is truncated | 1 | 3 | 1 | 1 |\n");
  }

  @Test
  void aPageThatLacksAPartIsNamedWithTheLineThatItLacks() throws IOException {
    Files.writeString(benchmark, "# Benchmark\n");

    assertThatThrownBy(() -> figures.ofBenchmark(measured(latency("1", "caravan", "1"))))
        .hasMessageContaining("benchmark.md lacks the line <!-- made: overhead -->");
  }

  private Figures measured(String... all) throws IOException {
    return Figures.read(List.of(json("bench.json", all)));
  }

  private Path json(String name, String... all) throws IOException {
    return Files.writeString(
        folder.resolve(name), "{\"figures\": [" + String.join(",", all) + "]}");
  }

  private static String latency(String what, String contender, String median) {
    return FIGURE.formatted("latency", what, contender, "p50, ms", median, "null");
  }

  private static String line(String text, String start) {
    return text.lines().filter(line -> line.startsWith(start)).findFirst().orElseThrow();
  }

  private Document svg(String name) throws Exception {
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(Files.readString(folder.resolve(name)))));
  }
}
