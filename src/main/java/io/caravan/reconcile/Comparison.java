package io.caravan.reconcile;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What both sides must know to compute the same of equal rows.
 *
 * @param number of the target in the client's mapping, from 0
 * @param rows the view over the source's rows, in central's schema {@code caravan}
 * @param relation the id of the source's table in central
 * @param sourceKey the columns of the source's key
 * @param types of the source's columns
 * @param known the columns of the source whose type the client has, too
 * @param key the columns of the target's key, in the order of the source's key
 * @param columns the other columns of the target that are compared
 */
public record Comparison(
    int number,
    String rows,
    long relation,
    List<String> sourceKey,
    Map<String, String> types,
    Set<String> known,
    List<Column> key,
    List<Column> columns) {

  /** The same without some columns. */
  public Comparison without(Set<String> names) {
    List<Column> others =
        columns.stream().filter(column -> !names.contains(column.name())).toList();
    return new Comparison(number, rows, relation, sourceKey, types, known, key, others);
  }
}
