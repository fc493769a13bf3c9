package io.caravan.client;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What an older release left in a cursor is understood as it was meant. */
class OldSweepTest {
  private static final List<String> MAPPED = List.of("users", "orders", "tags");

  @Test
  void aCursorWithoutOneLeavesNothingInDoubt() {
    assertThat(OldSweep.in(null, MAPPED)).isEmpty();
    assertThat(OldSweep.in("{\"epoch\": \"1\", \"snapshot\": \"3:3:\"}", MAPPED)).isEmpty();
  }

  @Test
  void afterAnotherHistoryItGoesOnWithTheSourcesThatFollow() {
    assertThat(sweep("\"source\": \"orders\", \"after\": [7]"))
        .contains(new OldSweep(List.of("orders", "tags"), List.of()));
  }

  @Test
  void whatAPersonConfirmedIsConfirmedForTheSourceThatWasAsked() {
    assertThat(sweep("\"source\": \"orders\", \"confirmed\": true"))
        .contains(new OldSweep(List.of("orders", "tags"), List.of("orders")));
  }

  @Test
  void sourcesThatWereTrackedAgainAreTheOnlyOnes() {
    assertThat(sweep("\"source\": \"tags\", \"then\": [\"users\"]"))
        .contains(new OldSweep(List.of("users", "tags"), List.of()));
  }

  @Test
  void allThatWereTruncatedAreConfirmed() {
    assertThat(
            sweep(
                "\"source\": \"users\", \"then\": [\"tags\"], \"cleared\": true, \"confirmed\": true"))
        .contains(new OldSweep(List.of("users", "tags"), List.of("users", "tags")));
  }

  @Test
  void aSourceThatIsNoLongerMappedLeavesAllOthersInDoubt() {
    assertThat(sweep("\"source\": \"posts\", \"confirmed\": true"))
        .contains(new OldSweep(MAPPED, List.of()));
    assertThat(sweep("\"source\": \"users\", \"then\": [\"posts\"]"))
        .contains(new OldSweep(List.of("users"), List.of()));
  }

  private static Optional<OldSweep> sweep(String of) {
    return OldSweep.in("{\"sweep\": {%s}}".formatted(of), MAPPED);
  }
}
