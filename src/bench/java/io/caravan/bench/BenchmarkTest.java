package io.caravan.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The benchmark measures what it says. How quick anything is, only the benchmark itself tells. */
@Tag("slow")
class BenchmarkTest {
  private static final String SLOW =
      """
      create function dawdle() returns trigger language plpgsql as $$
      begin
        perform pg_sleep(0.3);
        return new;
      end
      $$;
      create trigger dawdle before update on users for each row when (new.id = 1) execute function dawdle();
      """;

  @Test
  void everyContenderIsMeasuredAndArrivesAfterItsCommit(@TempDir Path folder) throws IOException {
    Options briefly =
        new Options(
            List.of("latency", "profile", "throughput", "many", "load", "reconcile", "apply"),
            true,
            List.of(1),
            List.of(100),
            1,
            Duration.ofMillis(500),
            200,
            100,
            2);
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    Path json = folder.resolve("bench.json");

    Benchmark.run(briefly, new PrintStream(printed, true, StandardCharsets.UTF_8), json);

    JsonNode figures = new ObjectMapper().readTree(json.toFile()).get("figures");
    for (String contender : List.of("native", "article", "caravan")) {
      assertThat(figures)
          .filteredOn(figure -> figure.get("contender").asText().equals(contender))
          .anyMatch(figure -> figure.get("measure").asText().equals("p50, ms"))
          .filteredOn(figure -> !figure.get("measure").asText().contains("in central"))
          .allMatch(figure -> figure.get("median").asDouble() > 0);
    }
    assertThat(printed.toString(StandardCharsets.UTF_8)).contains("× ", "of native", " JIT, ");
  }

  @Test
  void aChangeThatTookAKnownTimeIsMeasuredAsThat() {
    try (Stage stage = new Stage(10);
        Contender script = new ArticleScript(stage, 1)) {
      script.clients().get(0).execute(SLOW);
      script.resume();

      Delivery delivery =
          Delivery.of(
              stage,
              script,
              1,
              1,
              () -> script.central().execute("update users set name = 'new' where id = 1"));

      assertThat(delivery.millis().median()).isBetween(300.0, 3_000.0);
      assertThat(delivery.changes()).isEqualTo(1);
    }
  }

  @Test
  void aSessionWorksForAnUpdateNoLongerThanTheUpdateTakes() {
    try (Stage stage = new Stage(10);
        Contender bare = new Bare(stage);
        Writers writers = new Writers(bare.central(), 1, 10, Writers.TRACKED)) {
      Writers.Pace pace = writers.writeFor(Duration.ofMillis(300));

      assertThat(pace.microsAtWork()).isPositive();
      assertThat(pace.microsAtWork() + pace.microsWaiting()).isLessThan(1e6 / pace.perSecond());
    }
  }

  @Test
  void aClientThatIsNotEqualIsNotMeasured() {
    try (Stage stage = new Stage(10);
        Contender script = new ArticleScript(stage, 1)) {
      script.resume();
      script.clients().get(0).execute("update users set name = 'drift' where id = 7");

      assertThatThrownBy(() -> Waiting.untilInStep(script)).hasMessageContaining("is not equal");
    }
  }

  @Test
  void percentilesAreValuesThatWereMeasured() {
    Sample hundred = Sample.of(IntStream.rangeClosed(1, 100).mapToDouble(n -> 101 - n).toArray());

    assertThat(hundred.percentile(50)).isEqualTo(50);
    assertThat(hundred.percentile(99)).isEqualTo(99);
    assertThat(hundred.percentile(100)).isEqualTo(hundred.max()).isEqualTo(100);
    assertThat(hundred.median()).isEqualTo(50.5);
    assertThat(Sample.of(3, 1, 2).median()).isEqualTo(2);
  }

  @Test
  void ratiosAreOfTheSameTurn() {
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    Report report = new Report(new PrintStream(printed, true, StandardCharsets.UTF_8), Map.of());
    Report.Case slowTurn = report.begin("section", "case", "bare");
    slowTurn.add("bare", "ms", 1).add("caravan", "ms", 2);
    slowTurn.add("bare", "ms", 10).add("caravan", "ms", 20);
    slowTurn.print();

    assertThat(printed.toString(StandardCharsets.UTF_8)).contains("× 2.00 (2.00–2.00) of bare");
  }
}
