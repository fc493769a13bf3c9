package io.caravan.reconcile;

import static java.util.stream.Collectors.joining;

import io.caravan.client.QuestionMarks;
import io.caravan.client.Statements;
import io.caravan.client.Target;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A query for the rows of a source as a client would hold them, for {@link Buckets}. The columns of
 * the source's key are s0, s1, …
 *
 * <p>Others may create functions and operators in the search path under which it runs, and casts
 * for types of their own. So all that it names but for the expressions of the mapping is
 * PostgreSQL's own and says so.
 */
final class MappedRows {
  private static final String ROWS =
      """
      select "caravan.ctid" as place, %s as key_hash, %s as row_hash, array[%s] as key_text,
        pg_catalog.jsonb_build_array(%s) as key, %s
      from (select "caravan.ctid", %s from caravan_internal.%s %s) as source_row
      where %s
      """;

  private final Comparison comparison;
  private final Target target;
  private final CentralTypes types;
  private final List<String> key;
  private final List<String> keyTypes;
  private final List<String> values;

  /**
   * The rows of a target.
   *
   * @throws SQLException if a column's type can't be computed here
   */
  MappedRows(Comparison comparison, Target target, CentralTypes types) throws SQLException {
    this.comparison = comparison;
    this.target = target;
    this.types = types;
    this.key = mapped(comparison.key(), target.key(), true);
    this.keyTypes = comparison.key().stream().map(this::typeName).toList();
    this.values = mapped(comparison.columns(), target.columns(), false);
  }

  /** The part that begins at a block. */
  Parts parts(Connection connection, Scope scope, long from, long most) throws SQLException {
    String column = comparison.sourceKey().get(0);
    return Parts.of(
        connection,
        scope,
        comparison.relation(),
        "caravan_internal." + Statements.quoted(comparison.rows()),
        Statements.quoted(column),
        List.of(
            List.of(types.ofSource().get(column).name()),
            comparison.key().stream().map(Column::type).toList()),
        from,
        most);
  }

  /** Those keys as they are compared, each as the text of an array of texts. */
  List<String> omitted(Connection connection, List<String> keys) throws SQLException {
    List<String> texts = new ArrayList<>();
    if (!keys.isEmpty()) {
      Sql.of(
              "select array[%s]::text from (select u.text::jsonb as key from unnest(?::text[]) as u (text)) as k"
                  .formatted(
                      sourceKey(
                          (name, n) -> "(%s)::text".formatted(sourceType(name).inKey("k.key", n)))),
              keys)
          .each(connection, row -> texts.add(row.getString(1)));
    }
    return texts;
  }

  /** The query, without what is omitted. */
  Sql in(List<String> omitted, long seed, Parts parts) {
    Sql rows =
        Sql.join(
            ROWS,
            Hashes.ofKey(key, keyTypes, seed),
            Hashes.ofRow(key, keyTypes, values, seed),
            key.stream().map("(%s)::text"::formatted).collect(joining(", ")),
            sourceKey(
                (name, n) ->
                    types.asText().contains(name)
                        ? "(%s)::text".formatted(comparable(name))
                        : comparable(name)),
            sourceKey((name, n) -> "\"caravan.s%1$d\" as s%1$d".formatted(n)),
            sourceRow(),
            Statements.quoted(comparison.rows()),
            parts.join(Statements.quoted(comparison.sourceKey().get(0))),
            condition(omitted));
    return Sql.join("select * from (%s) as r where %s", rows, parts.condition("place"));
  }

  /** The condition that a row r of the query has a key of central's. */
  String haveKey(String key) {
    return String.join(" and ", each((name, n) -> sourceType(name).isInKey("r.s" + n, key, n)));
  }

  private String sourceRow() {
    String columns =
        comparison.types().keySet().stream()
            .map(
                name ->
                    // A type that the client does not know is text there, and in its expressions.
                    comparison.known().contains(name)
                        ? Statements.quoted(name)
                        : "(%s)::text as %s".formatted(comparable(name), Statements.quoted(name)))
            .collect(joining(", "));
    return columns
        + ", "
        + sourceKey((name, n) -> Statements.quoted(name) + " as \"caravan.s" + n + "\"");
  }

  /**
   * A CASE, because the client refuses the omitted rows, and the expressions may fail on them here,
   * too.
   */
  private Sql condition(List<String> omitted) {
    String filter = target.isFiltered() ? QuestionMarks.escape(target.where()) : "true";
    return omitted.isEmpty()
        ? Sql.of(filter)
        : Sql.of(
            "case when array[%s]::text operator(pg_catalog.=) any (?::text[]) then false else (%s) end"
                .formatted(
                    sourceKey((name, n) -> "(%s)::text".formatted(comparable(name))), filter),
            omitted);
  }

  /** The columns of the client's table, each as the hub would write it there. */
  private List<String> mapped(List<Column> columns, Map<String, String> expressions, boolean isKey)
      throws SQLException {
    List<String> mapped = new ArrayList<>();
    for (Column column : columns) {
      mapped.add(mapped(column, expressions.get(column.name()), isKey));
    }
    return mapped;
  }

  private String mapped(Column column, String expression, boolean isKey) throws SQLException {
    Optional<Type> known = types.known(column);
    String bare = comparison.types().get(expression);
    String plain = bare == null ? QuestionMarks.escape(expression) : plain(expression, isKey);
    // A type that central lacks is compared as text: the names of an enum, a text that ignores
    // case.
    if (known.isEmpty() || types.enums().contains(column.name())) {
      return bare == null ? Type.output(plain) : "(%s)::text".formatted(plain);
    }
    Type type = known.get();
    boolean isSame = type.name().equals(bare);
    if (!type.isTrusted() && !isSame) {
      throw new SQLException(
          "anybody may have defined casts to the type %s".formatted(type.name()), "42846");
    } else if (bare == null) {
      return type.comparable("((%s)::%s)::%s".formatted(plain, type.name(), type.exact()));
    } else if (isSame && (column.modifier() == -1 || !type.isTrusted())) {
      return plain;
    } else if (isSame) {
      return type.comparable("(%s)::%s".formatted(plain, type.exact()));
    }
    return type.comparable("((%s)::text::%s)::%s".formatted(plain, type.name(), type.exact()));
  }

  /** A column of the source. One of char(n) has its blanks in a key, and none in a page's row. */
  private String plain(String column, boolean isKey) {
    return sourceType(column).name().equals("bpchar") && !isKey
        ? Statements.quoted(column) + "::text"
        : comparable(column);
  }

  private String comparable(String column) {
    return sourceType(column).comparable(Statements.quoted(column));
  }

  private Type sourceType(String column) {
    return types.ofSource().get(column);
  }

  private String typeName(Column column) {
    return types.known(column).map(Type::name).orElse(column.type());
  }

  private String sourceKey(Made made) {
    return String.join(", ", each(made));
  }

  private List<String> each(Made made) {
    List<String> all = new ArrayList<>();
    for (int n = 0; n < comparison.sourceKey().size(); n++) {
      all.add(made.of(comparison.sourceKey().get(n), n));
    }
    return all;
  }

  private interface Made {
    String of(String column, int n);
  }
}
