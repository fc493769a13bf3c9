package io.caravan.apply;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.util.RawValue;
import io.caravan.CentralFailure;
import io.caravan.client.Cursor;
import java.util.List;
import javax.sql.DataSource;

/** The changes that clients refuse, which central keeps until they are resolved. */
public final class DeadLetters {
  /** The client for whom a change is refused that breaks the contract of its source. */
  public static final String ALL = "*";

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String STORE =
      "select caravan_internal.store_dead_letters(?, ?::jsonb, '[]', ?)";
  private static final String RESOLVE = "select caravan_internal.resolve(?, ?::jsonb, ?::jsonb)";
  private static final String RESEND = "select caravan_internal.resend(?, ?::jsonb)";

  private DataSource central;

  /** Where central is. */
  public void setCentral(DataSource central) {
    this.central = central;
  }

  /**
   * Stores changes.
   *
   * @param client that refuses them; {@link #ALL} for all
   * @param most how many dead letters a client may have
   * @throws CentralFailure if that would be more, or if central can't be reached
   */
  public void store(String client, List<Refusal> refused, int most) throws CentralFailure {
    CentralCall.run(central, STORE, client, json(refused), most);
  }

  /**
   * A client has taken the changes of a page, so they are no dead letters any more.
   *
   * @param page as JSON
   * @param refused those that it has not taken
   */
  public void resolve(String client, String page, List<Refusal> refused) throws CentralFailure {
    CentralCall.run(central, RESOLVE, client, page, json(refused));
  }

  /**
   * Sends a client again what it may have taken, or may take now: nobody knows, because a hub has
   * died in between.
   */
  public void resend(String client, Cursor cursor) throws CentralFailure {
    CentralCall.run(central, RESEND, client, cursor.json());
  }

  private static String json(List<Refusal> refusals) {
    ArrayNode list = JSON.createArrayNode();
    for (Refusal refusal : refusals) {
      list.addObject()
          .put("source", refusal.change().source())
          .put("sqlstate", refusal.sqlState())
          .put("message", refusal.message())
          .putRawValue("key", new RawValue(refusal.change().key()));
    }
    return list.toString();
  }
}
