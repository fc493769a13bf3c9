package io.caravan;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;

/** Which sources central tracks, as far as doorbells have named them. */
public final class Sources {
  private static final String TRACKED = "select caravan.sources()::jsonb ?? ?";
  private static final long PAUSE_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final Set<String> known = ConcurrentHashMap.newKeySet();
  private DataSource central;
  private long askAgainAt = System.nanoTime();
  private boolean canBeAsked = true;

  /** Knows Caravan itself, which rings when it has begun to listen. */
  public Sources() {
    known.add("caravan");
  }

  /** Where central is. */
  public void setCentral(DataSource central) {
    this.central = central;
  }

  /**
   * Whether central tracks a source. Central is asked about names that are new, but once a second
   * at most: forged ones must not cost much. While it cannot be asked, any name will do.
   */
  public synchronized boolean know(String source) {
    if (known.contains(source)) {
      return true;
    }
    if (System.nanoTime() - askAgainAt >= 0) {
      try {
        canBeAsked = true;
        if (isTracked(source)) {
          known.add(source);
        }
      } catch (SQLException e) {
        canBeAsked = false;
      }
      askAgainAt = System.nanoTime() + PAUSE_NANOS;
    }
    return known.contains(source) || !canBeAsked;
  }

  private boolean isTracked(String source) throws SQLException {
    try (Connection connection = central.getConnection();
        PreparedStatement question = connection.prepareStatement(TRACKED)) {
      question.setString(1, source);
      try (ResultSet answer = question.executeQuery()) {
        return answer.next() && answer.getBoolean(1);
      }
    }
  }
}
