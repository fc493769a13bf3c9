package io.caravan.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * What tells one mapping of a source from another: the MD5 of its targets, written as PostgreSQL
 * writes {@code jsonb}. A client whose mapping has another one is loaded again.
 */
final class Fingerprint {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Comparator<String> BY_LENGTH_THEN_BYTES =
      Comparator.comparing(
          (String name) -> name.getBytes(StandardCharsets.UTF_8),
          Comparator.<byte[]>comparingInt(bytes -> bytes.length)
              .thenComparing(Arrays::compareUnsigned));

  private Fingerprint() {}

  /**
   * The fingerprint of what a mapping says of one source.
   *
   * @param mapping an array of targets, as JSON
   */
  static String of(String mapping, String source) {
    try {
      List<String> targets = new ArrayList<>();
      for (JsonNode target : JSON.readTree(mapping)) {
        if (target.path("source").asText().equals(source)) {
          targets.add(written(target));
        }
      }
      byte[] text = String.join(",", targets).getBytes(StandardCharsets.UTF_8);
      return HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(text));
    } catch (JsonProcessingException | NoSuchAlgorithmException e) {
      throw new IllegalArgumentException(e);
    }
  }

  private static String written(JsonNode json) {
    if (json.isObject()) {
      List<Map.Entry<String, JsonNode>> entries = new ArrayList<>(json.properties());
      entries.sort(Map.Entry.comparingByKey(BY_LENGTH_THEN_BYTES));
      List<String> parts = new ArrayList<>();
      entries.forEach(e -> parts.add(quoted(e.getKey()) + ": " + written(e.getValue())));
      return "{" + String.join(", ", parts) + "}";
    }
    return quoted(json.asText());
  }

  private static String quoted(String text) {
    StringBuilder quoted = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> quoted.append("\\\"");
        case '\\' -> quoted.append("\\\\");
        case '\b' -> quoted.append("\\b");
        case '\f' -> quoted.append("\\f");
        case '\n' -> quoted.append("\\n");
        case '\r' -> quoted.append("\\r");
        case '\t' -> quoted.append("\\t");
        default -> quoted.append(c < ' ' ? "\\u%04x".formatted((int) c) : String.valueOf(c));
      }
    }
    return quoted.append('"').toString();
  }
}
