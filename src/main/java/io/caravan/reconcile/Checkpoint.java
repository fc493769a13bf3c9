package io.caravan.reconcile;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * All that a hub must know to go on with a run. Central keeps it as JSON; the suspected keys are in
 * its table {@code caravan_internal.suspect}.
 *
 * @param phase what the run does next
 * @param comparison what both sides must know
 * @param scope the rows that are digested or listed
 * @param known what is known of all rows
 * @param central what central has answered so far to the question for a digest
 * @param client what the client has answered so far
 * @param listed how many of the buckets in the scope were listed and looked into
 * @param atOnce how many of them hold few rows
 * @param after the noted key after which to look for orphans; empty: from the beginning
 */
record Checkpoint(
    Phase phase,
    Comparison comparison,
    Scope scope,
    Known known,
    Sum central,
    Sum client,
    int listed,
    int atOnce,
    String after) {
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .disable(MapperFeature.AUTO_DETECT_IS_GETTERS)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  /** Nothing is known yet. */
  static final Checkpoint BEGINNING =
      new Checkpoint(
          Phase.SURVEY,
          new Comparison(0, "", 0, List.of(), Map.of(), Set.of(), List.of(), List.of()),
          new Scope(0, 0, List.of(), 0, false, false, List.of()),
          new Known(0, 0, DigestPart.UNKNOWN, SeededDigest.NONE),
          Sum.NONE,
          Sum.NONE,
          0,
          0,
          "");

  /**
   * Reads a checkpoint.
   *
   * @param json as central keeps it; null: the run begins
   */
  static Checkpoint parse(String json) throws SQLException {
    return json == null ? BEGINNING : read(json, Checkpoint.class);
  }

  /** Reads what {@link #json} has written. */
  static <T> T read(String json, Class<T> type) throws SQLException {
    try {
      return JSON.readValue(json, type);
    } catch (JsonProcessingException e) {
      throw new SQLException("central's " + type.getSimpleName() + " can't be read", e);
    }
  }

  /** As central keeps it. */
  static String json(Object value) {
    return JSON.valueToTree(value).toString();
  }

  /** The same in another phase, of which nothing is done yet. */
  Checkpoint at(Phase next, Scope inScope) {
    if (!phase.leadsTo(next)) {
      throw new IllegalStateException(phase + " does not lead to " + next);
    }
    return new Checkpoint(next, comparison, inScope, known, Sum.NONE, Sum.NONE, 0, 0, "");
  }

  Checkpoint at(Phase next) {
    return at(next, scope);
  }

  /** This is to be compared. */
  Checkpoint comparing(Comparison what) {
    return new Checkpoint(phase, what, scope, known, central, client, listed, atOnce, after);
  }

  Checkpoint knowing(Known now) {
    return new Checkpoint(phase, comparison, scope, now, central, client, listed, atOnce, after);
  }

  Checkpoint answered(Sum byCentral, Sum byClient) {
    return new Checkpoint(
        phase, comparison, scope, known, byCentral, byClient, listed, atOnce, after);
  }

  Checkpoint listing(int buckets) {
    return new Checkpoint(phase, comparison, scope, known, central, client, listed, buckets, after);
  }

  Checkpoint listedUpTo(int bucket) {
    return new Checkpoint(phase, comparison, scope, known, central, client, bucket, atOnce, after);
  }

  Checkpoint omitting(List<String> keys) {
    Scope without = scope.omitting(keys);
    return new Checkpoint(
        phase, comparison, without, known, central, client, listed, atOnce, after);
  }

  /** How many buckets of a list are left. */
  int left() {
    return phase == Phase.LIST ? scope.within().size() - listed : 0;
  }

  /** Whether both sides have answered the question for a digest. */
  boolean isDigested() {
    return central.isComplete() && client.isComplete();
  }

  /** How much of a digest is done, from 0 to 1. */
  double share() {
    return Math.min(central.share(), client.share());
  }

  Checkpoint checkingAfter(String key) {
    return new Checkpoint(phase, comparison, scope, known, central, client, listed, atOnce, key);
  }

  /**
   * What is known of all rows.
   *
   * @param refused how many keys were left out from the beginning
   * @param compared how many rows central has
   * @param noted how many keys the client has noted as central's; {@link DigestPart#UNKNOWN}
   * @param held the digest of all rows of the client, its local ones among them; of no buckets
   *     until it is known
   */
  record Known(long refused, long compared, long noted, SeededDigest held) {
    Known notes(long keys) {
      return new Known(refused, compared, keys, held);
    }
  }
}
