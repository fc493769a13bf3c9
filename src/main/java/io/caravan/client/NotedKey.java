package io.caravan.client;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * How a key of central's is noted: as the text of a JSON array, in which no number has trailing
 * zeros after its point, because 1.0 and 1.00 are the same key. PostgreSQL compares such texts
 * several times faster than {@code jsonb}. Where central spells the key differently, this spelling
 * is noted, too.
 */
public final class NotedKey {
  private static final Set<String> WITH_FRACTIONS = Set.of("numeric", "real", "double precision");

  private NotedKey() {}

  /**
   * The text, as an expression in SQL.
   *
   * @param columns of the source's key
   * @param types of the source's columns in central
   * @param key a {@code jsonb} array, as an expression in SQL
   */
  public static String of(List<String> columns, Map<String, String> types, String key) {
    if (!mayBeSpelled(columns, types)) {
      return "(%s)::text".formatted(key);
    }
    List<String> parts = new ArrayList<>();
    for (int k = 0; k < columns.size(); k++) {
      parts.add(
          WITH_FRACTIONS.contains(types.get(columns.get(k)))
              ? "pg_catalog.trim_scale((%s ->> %d)::numeric)".formatted(key, k)
              : "%s -> %d".formatted(key, k));
    }
    return "pg_catalog.jsonb_build_array(%s)::text".formatted(String.join(", ", parts));
  }

  /** Whether central may spell one key in several ways. */
  static boolean mayBeSpelled(List<String> columns, Map<String, String> types) {
    return columns.stream().map(types::get).anyMatch(WITH_FRACTIONS::contains);
  }

  /** A number as it is in such a text. */
  public static String number(String number) {
    return new BigDecimal(number).stripTrailingZeros().toPlainString();
  }
}
