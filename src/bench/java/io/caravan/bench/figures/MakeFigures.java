package io.caravan.bench.figures;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Turns what was measured into the tables and plots of the documentation: {@code mvn -q -Pfigures}.
 * It reads {@code target/bench.json}, or the files that {@code -Dfigures.bench} lists, and {@code
 * target/faults.json}, where they are. What was not measured stays as it is.
 */
public final class MakeFigures {
  private final Path docs;
  private final Path readme;

  /**
   * Into these.
   *
   * @param docs the folder
   */
  MakeFigures(Path docs, Path readme) {
    this.docs = docs;
    this.readme = readme;
  }

  /** Runs it in the project's folder. */
  public static void main(String[] args) throws IOException {
    MakeFigures figures = new MakeFigures(Path.of("docs"), Path.of("README.md"));
    List<Path> measured = existing(System.getProperty("figures.bench", "target/bench.json"));
    List<Path> soaked = existing(System.getProperty("figures.faults", "target/faults.json"));
    if (measured.isEmpty() && soaked.isEmpty()) {
      throw new IllegalStateException(
          "nothing was measured: run mvn -q -Pbench, or mvn -Psoak, and then this again");
    }
    if (!measured.isEmpty()) {
      figures.ofBenchmark(Figures.read(measured));
    }
    for (Path file : soaked) {
      figures.ofSoak(new Recoveries(file));
    }
    System.out.println("made of " + measured + " and " + soaked);
  }

  /** What the benchmark has measured. */
  void ofBenchmark(Figures figures) throws IOException {
    Tables tables = new Tables(figures);
    Page page = new Page(readme);
    tables.intoReadme(page);
    page.write();
    page = new Page(docs.resolve("benchmark.md"));
    tables.into(page);
    Plots plots = new Plots(figures);
    draw(
        plots.latency(),
        page,
        "latency.svg",
        "Median latency of each contender by changes a second");
    draw(
        plots.clients(),
        page,
        "clients.svg",
        "Median latency of each contender by number of clients");
    page.write();
  }

  /** What came of the soak's faults. */
  void ofSoak(Recoveries recoveries) throws IOException {
    Page page = new Page(docs.resolve("faults.md"));
    recoveries.into(page);
    recoveries.plot().draw().write(docs.resolve("recovery.svg"));
    page.picture("recovery.svg", "How long each recovery took, by fault", "recovery.svg");
    page.write();
  }

  private void draw(Optional<LinePlot> plot, Page page, String file, String alternative)
      throws IOException {
    if (plot.isPresent()) {
      plot.get().draw().write(docs.resolve(file));
      page.picture(file, alternative, file);
    }
  }

  private static List<Path> existing(String files) {
    return Stream.of(files.split(",")).map(Path::of).filter(Files::exists).toList();
  }
}
