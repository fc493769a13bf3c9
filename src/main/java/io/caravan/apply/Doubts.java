package io.caravan.apply;

import io.caravan.CentralFailure;
import java.util.List;
import javax.sql.DataSource;

/**
 * Notes in central that a client may have rows of which the change log says nothing, because
 * central has them no more. They are found by a comparison, and central keeps the doubt until one
 * has come through.
 */
public final class Doubts {
  /** The cursor is of another history of central, or the source was untracked meanwhile. */
  public static final String EPOCH = "epoch";

  /** The client could not empty its table when the source was truncated. */
  public static final String TRUNCATE = "truncate";

  private static final String DOUBT = "select caravan_internal.doubt(?, ?::jsonb, ?, ?)";

  private DataSource central;

  /** Where central is. */
  public void setCentral(DataSource central) {
    this.central = central;
  }

  /**
   * Has a client compared. To be called before its cursor moves on: a hub that dies in between
   * notes it again.
   *
   * @param mapping of the client, as JSON
   * @param sources of which it may have such rows, parents first; empty: nothing is done
   * @param reason one of the above
   * @throws CentralFailure if central can't be reached
   */
  public void note(String client, String mapping, List<String> sources, String reason)
      throws CentralFailure {
    if (!sources.isEmpty()) {
      CentralCall.run(central, DOUBT, client, mapping, sources.toArray(new String[0]), reason);
    }
  }
}
