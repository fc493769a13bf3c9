package io.caravan.client;

import java.util.Set;

/**
 * How a number can be written that is a key. PostgreSQL takes 1.0 and 1.00 for the same number, and
 * for two texts.
 */
final class NumberSpellings {
  private static final Set<String> FLOATS = Set.of("real", "double precision");
  // How many zeros it may have at its end that say nothing.
  private static final int ZEROS = 20;

  private NumberSpellings() {}

  /**
   * Whether a column of a client takes numbers of this type for texts.
   *
   * @param type of the numbers in central
   */
  static boolean areTexts(String type, Table.Column column) {
    return column.category().equals("S") && (type.equals("numeric") || FLOATS.contains(type));
  }

  /**
   * All texts that stand for a number, as an array in SQL.
   *
   * @param type of the number in central
   * @param text the number, as an expression in SQL
   */
  static String of(String type, String text) {
    return FLOATS.contains(type)
        ? "array[%1$s::%2$s::text, case %1$s when '0'::text then '-0'::text else %1$s end]"
            .formatted(text, type)
        : """
          array(
            select pg_catalog.round(number.n, zeros.scale)::text
            from (select %1$s::numeric) as number (n)
            cross join lateral pg_catalog.generate_series(
              pg_catalog.min_scale(number.n),
              greatest(pg_catalog.scale(number.n), pg_catalog.min_scale(number.n) + %2$d)) as zeros (scale)
            union all
            select %1$s
          )"""
            .formatted(text, ZEROS);
  }
}
