package io.caravan.contract;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import io.caravan.Json;
import io.caravan.client.Source;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;

/** Which sources central tracks. */
public final class Sources {
  private static final String TRACKED =
      "select jsonb_array_elements_text(caravan_internal.sources()::jsonb)";
  private static final String DESCRIPTIONS = "select caravan_internal.descriptions()";
  private static final long PAUSE_NANOS = TimeUnit.SECONDS.toNanos(1);

  private Set<String> known = Set.of();
  private DataSource central;
  private long askAgainAt = System.nanoTime();
  private boolean canBeAsked = true;
  private Map<String, Source> described = Map.of();
  private long describedAt = System.nanoTime() - PAUSE_NANOS;

  /** Where central is. */
  public void setCentral(DataSource central) {
    this.central = central;
  }

  /** Whether a doorbell is of a source that central tracks, as far as is known. */
  public boolean isOfOne(JsonNode doorbell) {
    return know(doorbell.path("source").asText());
  }

  /**
   * Whether central tracks a source. Central is asked about names that are new, but once a second
   * at most: forged ones must not cost much. While it cannot be asked, any name will do.
   */
  private synchronized boolean know(String source) {
    if (known.contains(source)) {
      return true;
    }
    if (System.nanoTime() - askAgainAt >= 0) {
      try {
        known = tracked();
        canBeAsked = true;
      } catch (SQLException e) {
        canBeAsked = false;
      }
      askAgainAt = System.nanoTime() + PAUSE_NANOS;
    }
    return known.contains(source) || !canBeAsked;
  }

  /**
   * A source as central described it a second ago at most; empty where it is not tracked.
   *
   * @throws SQLException if central can't be asked
   */
  synchronized Optional<Source> described(String source) throws SQLException {
    if (System.nanoTime() - describedAt >= PAUSE_NANOS) {
      try (Connection connection = central.getConnection();
          Statement question = connection.createStatement();
          ResultSet answer = question.executeQuery(DESCRIPTIONS)) {
        answer.next();
        described = Json.read(answer.getString(1), new TypeReference<>() {});
      } catch (JsonProcessingException e) {
        throw new SQLException("central's descriptions can't be read", e);
      }
      describedAt = System.nanoTime();
    }
    return Optional.ofNullable(described.get(source));
  }

  private Set<String> tracked() throws SQLException {
    Set<String> tracked = new HashSet<>();
    try (Connection connection = central.getConnection();
        Statement question = connection.createStatement();
        ResultSet answer = question.executeQuery(TRACKED)) {
      while (answer.next()) {
        tracked.add(answer.getString(1));
      }
    }
    return tracked;
  }
}
