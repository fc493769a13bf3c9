package io.caravan.client;

import static java.util.stream.Collectors.joining;

import io.caravan.client.Table.ForeignKey;
import io.caravan.client.Table.Reference;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * Finds the rows of a page that reference a row which neither the client has nor the page brings.
 * No order of the others lets them in.
 */
final class Orphans {
  private final Statements statements;

  Orphans(Statements statements) {
    this.statements = statements;
  }

  /**
   * A query over the rows of one target, which returns the keys of the orphans among them. Empty
   * where the mapping fills no foreign key of which the hub can tell.
   */
  Optional<String> of(Target target) {
    List<String> conditions =
        statements.table(target).foreignKeys().stream()
            .filter(ForeignKey::isVisible)
            .filter(key -> fills(target, key.columns().stream().map(Reference::column).toList()))
            .map(key -> isOrphan(target, key))
            .toList();
    return conditions.isEmpty()
        ? Optional.empty()
        : Optional.of(
            """
            select b.key::text as key
            from (
              %s
            ) as b
            where %s"""
                .formatted(statements.brought(target), String.join("\n  or ", conditions)));
  }

  private boolean fills(Target target, List<String> columns) {
    return statements.columns(target).containsAll(columns);
  }

  private String isOrphan(Target child, ForeignKey key) {
    StringBuilder condition = new StringBuilder();
    for (Reference pair : key.columns()) {
      condition.append(name("b", child, pair.column())).append(" is not null and ");
    }
    condition.append(
        missing(
            key.table() + " as p",
            key,
            pair -> "p." + Statements.quoted(pair.referenced()),
            child));
    List<String> referenced = key.columns().stream().map(Reference::referenced).toList();
    for (Target parent : statements.targets()) {
      if (key.parents().contains(statements.table(parent).id()) && fills(parent, referenced)) {
        condition
            .append(" and ")
            .append(
                missing(
                    "(\n  " + statements.brought(parent) + "\n) as p",
                    key,
                    pair -> name("p", parent, pair.referenced()),
                    child));
      }
    }
    return condition.toString();
  }

  private String missing(
      String from, ForeignKey key, Function<Reference, String> referenced, Target child) {
    return key.columns().stream()
        .map(
            pair ->
                "%s %s %s"
                    .formatted(
                        referenced.apply(pair), pair.equality(), name("b", child, pair.column())))
        .collect(joining(" and ", "not exists (select from " + from + " where ", ")"));
  }

  /** A column of the rows that a target takes in. */
  private String name(String rows, Target target, String column) {
    List<String> columns = statements.columns(target);
    int keys = columns.size() - target.columns().size();
    int place = columns.indexOf(column);
    return rows + "." + (place < keys ? "k" + place : "v" + (place - keys));
  }
}
