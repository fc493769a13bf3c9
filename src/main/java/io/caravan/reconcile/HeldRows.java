package io.caravan.reconcile;

import static java.util.stream.Collectors.joining;

import io.caravan.client.Statements;
import io.caravan.client.Table;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * A query for the rows that a client holds of a target, for {@link Buckets}. The columns of its key
 * are k0, k1, … Without the rows whose key is null, which central can't have.
 */
final class HeldRows {
  private static final String ROWS =
      """
      select t.ctid as place, %s as key_hash, %s as row_hash, array[%s] as key_text, null::jsonb as key, %s
      from %s as t
      %s
      where %s%s%s
      """;
  private static final String IS_NOTED =
      """
       and exists (
        select from (select coalesce(n.spelled, n.canonical_key)::jsonb as key from caravan.replicated as n where n.target = ?) as o
        where (%s) & '%d'::bigint = any (?::bigint[]) and %s
      )""";

  private final Table table;
  private final long number;
  private final List<String> keyColumns = new ArrayList<>();
  private final List<Type> keyTypes = new ArrayList<>();
  private final List<String> values = new ArrayList<>();

  /**
   * The rows of a table.
   *
   * @param number by which the target's keys are noted
   */
  HeldRows(Comparison comparison, Table table, long number) {
    this.table = table;
    this.number = number;
    for (Column column : comparison.key()) {
      keyColumns.add("t." + Statements.quoted(column.name()));
      keyTypes.add(type(column.name()));
    }
    for (Column column : comparison.columns()) {
      values.add(type(column.name()).comparable("t." + Statements.quoted(column.name())));
    }
  }

  Table table() {
    return table;
  }

  /** The part that begins at a block. */
  Parts parts(Connection connection, Scope scope, long from, long most) throws SQLException {
    String key = keyColumns.get(0).substring("t.".length());
    return Parts.of(
        connection, scope, table.id(), table.name(), key, List.of(typeNames()), from, most);
  }

  /** The query for the rows in some parts, without what is omitted. */
  Sql in(List<String> omitted, Scope scope, Parts parts) {
    List<String> key = each(n -> keyTypes.get(n).comparable(keyColumns.get(n)));
    Sql rows =
        Sql.join(
            ROWS,
            Hashes.ofKey(key, typeNames(), scope.seed()),
            Hashes.ofRow(key, typeNames(), values, scope.seed()),
            keyTexts(n -> keyColumns.get(n) + "::" + keyTypes.get(n).name()),
            String.join(", ", each(n -> keyColumns.get(n) + " as k" + n)),
            table.name(),
            parts.join(keyColumns.get(0)),
            String.join(" and ", each(n -> keyColumns.get(n) + " is not null")),
            areNotOmitted(omitted),
            scope.replicated() ? areNoted(scope) : "");
    return Sql.join("select * from (%s) as r where %s", rows, parts.condition("place"));
  }

  /** The condition that the table's row has this key of central's. */
  String haveKey(String key) {
    return haveKey(keyColumns::get, key);
  }

  /** The same, of columns of other names. */
  String haveKey(IntFunction<String> columns, String key) {
    return String.join(" and ", each(n -> keyTypes.get(n).isInKey(columns.apply(n), key, n)));
  }

  private Sql areNoted(Scope scope) {
    List<String> noted =
        each(
            n -> {
              Type type = keyTypes.get(n);
              String value = type.inKey("o.key", n);
              return type.isTrusted() ? type.comparable(value + "::" + type.exact()) : value;
            });
    return Sql.of(
        IS_NOTED.formatted(
            Hashes.ofKey(noted, typeNames(), scope.seed()),
            (1L << scope.bits()) - 1,
            haveKey("o.key")),
        number,
        scope.within());
  }

  private Sql areNotOmitted(List<String> texts) {
    return texts.isEmpty()
        ? Sql.of("")
        : Sql.of(
            " and array[%s]::text <> all (?::text[])"
                .formatted(keyTexts(n -> keyColumns.get(n) + "::" + keyTypes.get(n).name())),
            texts);
  }

  /**
   * Those keys that can be keys of this table, each as the text of an array of texts. What a client
   * refuses may be a key: then no row has it.
   */
  List<String> omitted(Connection connection, List<String> keys) throws SQLException {
    return keys.isEmpty() ? List.of() : held(connection, keys);
  }

  private List<String> held(Connection connection, List<String> keys) throws SQLException {
    String texts =
        keyTexts(
            n -> {
              Type type = keyTypes.get(n);
              return type.isTrusted()
                  ? type.inKey("k.key", n) + "::" + type.exact()
                  : type.inKey("k.key", n);
            });
    String sql =
        "select array[%s]::text from (select u.text::jsonb as key from unnest(?::text[]) as u (text)) as k"
            .formatted(texts);
    List<String> held = new ArrayList<>();
    Savepoint before = connection.setSavepoint();
    try {
      Sql.of(sql, keys).each(connection, row -> held.add(row.getString(1)));
      return held;
    } catch (SQLException e) {
      if (e.getSQLState() == null || !e.getSQLState().startsWith("22")) {
        throw e;
      }
      connection.rollback(before);
    }
    if (keys.size() == 1) {
      return List.of();
    }
    held.clear();
    held.addAll(held(connection, keys.subList(0, keys.size() / 2)));
    held.addAll(held(connection, keys.subList(keys.size() / 2, keys.size())));
    return held;
  }

  /** The key's values as texts, of values of its types. */
  private String keyTexts(IntFunction<String> value) {
    return each(
            n -> {
              Type type = keyTypes.get(n);
              return "(%s)::text".formatted(type.comparable(value.apply(n)));
            })
        .stream()
        .collect(joining(", "));
  }

  private List<String> typeNames() {
    return keyTypes.stream().map(Type::name).toList();
  }

  private List<String> each(IntFunction<String> made) {
    List<String> all = new ArrayList<>();
    for (int n = 0; n < keyColumns.size(); n++) {
      all.add(made.apply(n));
    }
    return all;
  }

  private Type type(String name) {
    Table.Column column = table.columns().get(name);
    return new Type(column.base(), column.exact(), column.isTrusted(), column.equality());
  }
}
