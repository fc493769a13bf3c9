package io.caravan.reconcile;

import java.util.Map;
import java.util.OptionalLong;

/**
 * What a client has by some keys.
 *
 * @param cursor where the client stands with these rows, as JSON; empty: it has no cursor
 * @param rows by the keys that were asked for; without those that have neither a row nor a note
 */
public record ClientRows(String cursor, Map<String, Row> rows) {
  /**
   * What a client has by a key.
   *
   * @param hash of the row's values; empty: only the key is noted
   * @param keyText the key as the client writes it; empty without a row
   * @param isReplicated whether the key is noted as central's
   */
  public record Row(OptionalLong hash, String keyText, boolean isReplicated) {}
}
