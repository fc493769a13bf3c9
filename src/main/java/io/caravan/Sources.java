package io.caravan;

import com.fasterxml.jackson.databind.JsonNode;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;

/**
 * Which sources central tracks. One of them is Caravan itself, which rings when it has begun to
 * listen.
 */
public final class Sources {
  private static final String CARAVAN = "caravan";
  private static final String TRACKED =
      "select jsonb_array_elements_text(caravan.sources()::jsonb)";
  private static final String COLUMNS =
      "select s.key, c from jsonb_each(caravan.columns()) as s,"
          + " jsonb_array_elements_text(s.value) as c";
  private static final long PAUSE_NANOS = TimeUnit.SECONDS.toNanos(1);

  private Set<String> known = Set.of(CARAVAN);
  private DataSource central;
  private long askAgainAt = System.nanoTime();
  private boolean canBeAsked = true;
  private Map<String, List<String>> columns = Map.of();
  private long columnsAt = System.nanoTime() - PAUSE_NANOS;

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
   * The columns of a source that are propagated, as they were a second ago at most; none of a
   * source that is not tracked.
   */
  synchronized List<String> columns(String source) throws SQLException {
    if (System.nanoTime() - columnsAt >= PAUSE_NANOS) {
      Map<String, List<String>> all = new HashMap<>();
      try (Connection connection = central.getConnection();
          Statement question = connection.createStatement();
          ResultSet answer = question.executeQuery(COLUMNS)) {
        while (answer.next()) {
          all.computeIfAbsent(answer.getString(1), name -> new ArrayList<>())
              .add(answer.getString(2));
        }
      }
      columns = all;
      columnsAt = System.nanoTime();
    }
    return columns.getOrDefault(source, List.of());
  }

  private Set<String> tracked() throws SQLException {
    Set<String> tracked = new HashSet<>(Set.of(CARAVAN));
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
