package io.caravan.jdbc;

import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Why a database refuses something, in words of our own: the kind of error, and the names that the
 * database gives in fields of their own. Its message may quote row data, above all in other
 * languages and where a trigger has written it.
 *
 * @param schema of the table; empty where the database names none, as for the others
 * @param table that refuses
 * @param column that refuses
 * @param constraint that is violated
 */
record Names(String schema, String table, String column, String constraint) {
  private static final Map<String, String> KINDS =
      Map.ofEntries(
          Map.entry("21000", "the same row occurs twice"),
          Map.entry("22001", "a text is too long"),
          Map.entry("22003", "a number is out of range"),
          Map.entry("22007", "a text is not a valid date or time"),
          Map.entry("22008", "a date or time is out of range"),
          Map.entry("22012", "division by zero"),
          Map.entry("22021", "a character is not valid in the encoding"),
          Map.entry("22P02", "a text is not a valid value of the type"),
          Map.entry("22P03", "a value is not valid for the type"),
          Map.entry("22P05", "a character is not in the database's encoding"),
          Map.entry("23502", "a value is missing"),
          Map.entry("23503", "a referenced row is missing, or the row is still referenced"),
          Map.entry("23505", "another row has the unique value"),
          Map.entry("23514", "a check is violated"),
          Map.entry("23P01", "another row conflicts with it"),
          Map.entry("44000", "a row is outside its view"),
          Map.entry("54000", "a value is too large"),
          Map.entry("55P03", "a lock was not available in time"),
          Map.entry("57014", "the statement timeout has passed, or somebody has canceled it"),
          Map.entry("P0001", "a trigger or a function refuses it"),
          Map.entry("21", "the same row occurs twice"),
          Map.entry("22", "a value does not fit"),
          Map.entry("23", "a constraint is violated"),
          Map.entry("40", "another transaction conflicted with it"),
          Map.entry("42", "a name or a right is missing, or a statement is wrong"),
          Map.entry("53", "a resource is used up"),
          Map.entry("54", "a value is too large"),
          Map.entry("55", "something is not ready or in use"),
          Map.entry("57", "the server was shut down, or somebody has intervened"));

  /** The error in a few words. */
  String say(String sqlState) {
    String kind =
        KINDS.getOrDefault(sqlState, KINDS.getOrDefault(sqlState.substring(0, 2), "an error"));
    String relation = schema.isEmpty() ? table : schema + "." + table;
    String names =
        Stream.of(
                named("constraint ", constraint),
                named("column ", column),
                named("table ", relation))
            .filter(name -> !name.isEmpty())
            .collect(Collectors.joining(", "));
    return names.isEmpty() ? kind + " (" + sqlState + ")" : kind + ": " + names;
  }

  private static String named(String kind, String name) {
    return name.isEmpty() ? "" : kind + name;
  }
}
