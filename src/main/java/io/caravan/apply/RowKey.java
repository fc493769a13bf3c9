package io.caravan.apply;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/**
 * Which row of central's: the same one however its key is written as JSON.
 *
 * @param source whose key it is
 * @param key of the row
 */
record RowKey(String source, JsonNode key) {
  // Two keys may differ in digits that a double does not have.
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);

  static RowKey of(String source, String key) {
    try {
      return new RowKey(source, JSON.readTree(key));
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(e);
    }
  }

  static RowKey of(Change change) {
    return of(change.source(), change.key());
  }
}
