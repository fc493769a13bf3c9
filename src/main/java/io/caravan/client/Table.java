package io.caravan.client;

import static java.util.stream.Collectors.toSet;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A table of a client, as its database's catalog describes it.
 *
 * @param id by which the database tells it from one that was made anew under the same name
 * @param file where its rows are; another one when it was rewritten
 * @param name as SQL names it, with its schema
 * @param columns by name
 * @param indexes that keep values unique, and exclusion constraints
 * @param foreignKeys by which it references other tables, or itself
 * @param cascades whether the removal of a row touches rows that reference it
 * @param defers whether constraints may be checked as late as at the commit
 * @param isSecured whether row security applies to the hub's role
 * @param hidesRows whether it may hide rows from a removal, which would then seem done
 */
public record Table(
    long id,
    long file,
    String name,
    Map<String, Column> columns,
    List<Index> indexes,
    List<ForeignKey> foreignKeys,
    boolean cascades,
    boolean defers,
    boolean isSecured,
    boolean hidesRows) {

  /** The ids of the tables that it references. */
  Set<Long> parents() {
    return foreignKeys.stream().flatMap(key -> key.parents().stream()).collect(toSet());
  }

  /** Whether a column is part of a foreign key. */
  boolean references(String column) {
    return foreignKeys.stream()
        .flatMap(key -> key.columns().stream())
        .anyMatch(pair -> pair.column().equals(column));
  }

  /**
   * A column.
   *
   * @param type as a cast names it
   * @param category PostgreSQL's category of its base type, for instance {@code N}: numbers
   * @param base its base type, for instance that of a domain
   * @param modifier of its type, as PostgreSQL keeps the length of a text or the digits of a
   *     number; -1: none
   * @param exact the base type with its modifier
   * @param isTrusted whether the casts of its base type can't be anybody's: only a superuser makes
   *     a type like it
   * @param notNull whether it has to have a value
   * @param equality the operator that compares it, with its schema
   */
  public record Column(
      String type,
      String category,
      String base,
      int modifier,
      String exact,
      boolean isTrusted,
      boolean notNull,
      String equality) {}

  /**
   * What keeps rows from having the same values.
   *
   * @param columns that it looks at
   * @param isKey whether an upsert can rely on it: it is unique over its columns, in all rows
   * @param isLate whether it is checked no sooner than at the end of a statement
   * @param computes whether it looks at expressions over its columns
   */
  public record Index(List<String> columns, boolean isKey, boolean isLate, boolean computes) {}

  /**
   * What lets a row in only where another row is there.
   *
   * @param table the name of the other row's table, as SQL has it
   * @param parents the ids of that table and of its partitions
   * @param columns of the foreign key
   * @param isVisible whether the hub's role can see by itself if a row is refused because the other
   *     one is not there
   */
  public record ForeignKey(
      String table, List<Long> parents, List<Reference> columns, boolean isVisible) {}

  /**
   * A column of a foreign key.
   *
   * @param column of the table that references
   * @param referenced the column of the other table
   * @param equality the operator that compares the other table's column with this one, with its
   *     schema
   */
  public record Reference(String column, String referenced, String equality) {}
}
