package io.caravan.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Measures Caravan beside the alternatives: {@code mvn -q -Pbench}, with the properties of {@link
 * Options}. Prints tables, and writes {@code target/bench.json}.
 */
class Benchmark {
  /** In the order in which they run. */
  static final Map<String, Section> SECTIONS = new LinkedHashMap<>();

  static {
    SECTIONS.put("overhead", new Overhead());
    SECTIONS.put("latency", new Latency());
    SECTIONS.put("profile", new Profile());
    SECTIONS.put("shared", new SharedReads());
    SECTIONS.put("dead", new DeadClient());
    SECTIONS.put("far", new FarClient());
    SECTIONS.put("throughput", new Throughput());
    SECTIONS.put("absence", new Absence());
    SECTIONS.put("footprint", new Footprint());
    SECTIONS.put("many", new ManyClients());
    SECTIONS.put("load", new InitialLoad());
    SECTIONS.put("reconcile", new Reconciling());
    SECTIONS.put("beside", new BesideComparing());
    SECTIONS.put("apply", new ApplyCost());
    SECTIONS.put("read", new ReadCost());
    SECTIONS.put("trigger", new TriggerForms());
    SECTIONS.put("digests", new DigestForms());
    SECTIONS.put("compact", new Compacting());
  }

  @Test
  @Timeout(value = 1, unit = TimeUnit.DAYS)
  void measuresCaravanBesideTheAlternatives() {
    run(Options.fromSystem(), System.out, Path.of("target/bench.json"));
  }

  /** Prints tables as they are measured, and writes all at the end. */
  static void run(Options options, PrintStream out, Path json) {
    assertThat(SECTIONS).containsKeys(options.only().toArray(String[]::new));
    try (Stage stage = new Stage(options.rows())) {
      Report report = new Report(out, environment(stage, options));
      SECTIONS.forEach(
          (name, section) -> {
            if (options.only().contains(name)) {
              section.run(stage, options, report);
            }
          });
      report.write(json);
    }
  }

  private static Map<String, Object> environment(Stage stage, Options options) {
    Map<String, Object> environment = new LinkedHashMap<>();
    environment.put("at", Instant.now().toString());
    environment.put("postgres", stage.server());
    environment.put("java", Runtime.version().toString());
    environment.put("cores", Runtime.getRuntime().availableProcessors());
    environment.put("processor", processor());
    environment.put("settings", Stage.settings());
    environment.put("options", options.toString());
    return environment;
  }

  private static String processor() {
    try {
      return Files.readAllLines(Path.of("/proc/cpuinfo")).stream()
          .filter(line -> line.startsWith("model name"))
          .map(line -> line.replaceFirst(".*: ", ""))
          .findFirst()
          .orElse("unknown");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
