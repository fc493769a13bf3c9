package io.caravan.reconcile;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The hashes of a row, as SQL over its values: what both sides of a comparison must compute in the
 * same way. Another database would need a hash of its own here, and the same one in PostgreSQL.
 *
 * <p>They are of PostgreSQL's text forms (the numbers 1.0 and 1.00 are equal, and not the same), as
 * bytes: the same whatever the collations of the two databases are, and in PostgreSQL 15 to 18. All
 * names are qualified: in central, the expressions of a mapping are in the same query, and find
 * theirs in the search path of the hub.
 *
 * <p>Relies on: hashtextextended mixes all 64 bits of its seed in. So neither values that have
 * changed places within a row nor values that have moved to another row cancel each other out.
 */
final class Hashes {
  private static final Set<String> INTEGERS = Set.of("smallint", "integer", "bigint");

  private Hashes() {}

  /** Whether a key of columns of these types is one integer. */
  static boolean isInteger(List<String> types) {
    return types.size() == 1 && INTEGERS.contains(types.get(0));
  }

  /**
   * The hash of a key. The hashes of 16 consecutive integers have their lowest 14 bits in common:
   * so the rows of a bucket are found in an index, and are near each other where rows came in the
   * order of the key.
   */
  static String ofKey(List<String> values, List<String> types, long seed) {
    if (isInteger(types)) {
      String key = values.get(0);
      return "(%s operator(pg_catalog.#) ((%s::bigint operator(pg_catalog.&) 15) operator(pg_catalog.<<) 14))"
          .formatted(ofNeighbours(key + "::bigint operator(pg_catalog.>>) 4", seed), key);
    }
    return chained(values, number(seed));
  }

  /** The hash of 16 integers that follow each other, by what they are divided by 16. */
  static String ofNeighbours(String sixteenth, long seed) {
    return "pg_catalog.hashint8extended(%s, %s)".formatted(sixteenth, number(seed));
  }

  /**
   * The hash of a row. It begins with the key and with which of the values are null: these are
   * hashed as empty texts.
   */
  static String ofRow(List<String> key, List<String> types, List<String> values, long seed) {
    StringBuilder start = new StringBuilder("(");
    start.append(
        isInteger(types)
            ? "%s::bigint operator(pg_catalog.#) %s".formatted(key.get(0), number(seed))
            : chained(key, number(seed)));
    for (int i = 0; i < values.size(); i++) {
      start.append(
          " operator(pg_catalog.#) case when (%s) is null then pg_catalog.hashint8extended(%d, 0) else 0 end"
              .formatted(values.get(i), i + 1));
    }
    List<String> hashed = new ArrayList<>(values);
    if (hashed.isEmpty()) {
      hashed.add("''");
    }
    return chained(hashed, start.append(")").toString());
  }

  /** That of each value is the seed of the next one's. */
  private static String chained(List<String> values, String start) {
    String hash = start;
    for (String value : values) {
      hash =
          "pg_catalog.hashtextextended(coalesce((%s)::text, '') collate \"C\", %s)"
              .formatted(value, hash);
    }
    return hash;
  }

  private static String number(long number) {
    return "'%d'::bigint".formatted(number);
  }
}
