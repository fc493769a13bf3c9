package io.caravan.reconcile;

/**
 * A type as one of the databases knows it. Casts and operators of one that is not trusted may be
 * anybody's: an enum, a composite type, a range and their arrays. Only a superuser makes a base
 * type like citext.
 *
 * @param name as a cast names it, without a modifier
 * @param exact the same with a modifier
 * @param isTrusted whether its casts and operators may be used
 * @param equality the operator that compares two of it, with its schema
 */
record Type(String name, String exact, boolean isTrusted, String equality) {

  /**
   * A value of this type in a form that can be compared as text: as it is, or as the text that the
   * type's own output function makes, where a cast could be anybody's, or takes the blanks away
   * that are part of a key in the log (char).
   *
   * <p>Relies on: concat() uses no cast. {@code is distinct from null} is false only for null, not
   * for a row of nulls, and looks for no operator.
   */
  String comparable(String value) {
    return isTrusted && !name.equals("bpchar") ? value : output(value);
  }

  /** The text that the type's output function makes. */
  static String output(String value) {
    return "case when (%1$s) is distinct from null then pg_catalog.concat(%1$s) end"
        .formatted(value);
  }

  /** The n-th value of a key, from 0, in this type; as text where a cast could be anybody's. */
  String inKey(String key, int n) {
    String text = "(%s operator(pg_catalog.->>) %d)".formatted(key, n);
    return isTrusted ? text + "::" + name : text;
  }

  /** The condition that a column of this type has the n-th value of a key. */
  String isInKey(String column, String key, int n) {
    return isTrusted
        ? "%s %s %s".formatted(column, equality, inKey(key, n))
        : "(%s) operator(pg_catalog.=) %s".formatted(comparable(column), inKey(key, n));
  }
}
