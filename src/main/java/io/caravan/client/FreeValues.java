package io.caravan.client;

import static java.util.stream.Collectors.joining;

import io.caravan.client.Table.Column;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Values that are in nobody's way, for rows that let go of their unique ones: SQL over {@code x.n},
 * the number of a row of a page. They last for a moment within a transaction.
 */
final class FreeValues {
  private static final int RANDOM_BITS = 128;
  private static final Set<String> FLOATS = Set.of("real", "double precision");
  private static final Map<String, String> MOST =
      Map.of(
          "smallint", "32767::numeric",
          "integer", "2147483647::numeric",
          "bigint", "9223372036854775807::numeric");

  private final Table table;
  private final Target target;

  FreeValues(Table table, Target target) {
    this.table = table;
    this.target = target;
  }

  /**
   * A value for a column of each index that lets a value occur but once: for one that may be null
   * or is no reference, if there is one, and for all where the index computes what it looks at.
   * Nothing for an index where that can't be done.
   */
  Map<String, String> all() {
    Map<String, String> values = new LinkedHashMap<>();
    for (Table.Index index : table.indexes()) {
      List<String> mapped = index.columns().stream().filter(target.columns()::containsKey).toList();
      if (index.computes()) {
        Map<String, String> places = new LinkedHashMap<>();
        mapped.forEach(
            name -> place(name, mapped, index).ifPresent(value -> places.put(name, value)));
        if (places.size() == mapped.size()) {
          places.forEach(values::putIfAbsent);
        }
      } else if (mapped.stream().noneMatch(values::containsKey)) {
        mapped.stream()
            .sorted(Comparator.comparing(this::isLastChoice))
            .filter(name -> place(name, List.of(name), index).isPresent())
            .findFirst()
            .ifPresent(name -> values.put(name, place(name, List.of(name), index).orElseThrow()));
      }
    }
    return values;
  }

  private int isLastChoice(String name) {
    Column column = table.columns().get(name);
    return (hasFewValues(column) ? 4 : 0)
        + (table.references(name) ? 2 : 0)
        + (column.notNull() ? 1 : 0);
  }

  /** Whether all its values may be in use. */
  private static boolean hasFewValues(Column column) {
    boolean isShort =
        column.category().equals("V") && column.modifier() >= 0 && column.modifier() < RANDOM_BITS;
    return column.notNull() && (column.category().equals("E") || isShort);
  }

  /**
   * A value for a column.
   *
   * @param like columns that are looked at together: those of the same type get the same value, so
   *     that a range from one to the other is empty
   * @param index that lets the value occur but once
   */
  private Optional<String> place(String name, List<String> like, Table.Index index) {
    Column column = table.columns().get(name);
    if (!column.notNull()) {
      return Optional.of("null");
    }
    List<String> same =
        like.stream().filter(l -> table.columns().get(l).base().equals(column.base())).toList();
    String base = column.base();
    String most =
        base.equals("numeric") ? mostOfDigits(column.modifier()) : MOST.getOrDefault(base, "");
    if (!most.isEmpty()) {
      return Optional.of(
          "(case when %1$s::numeric + x.n::numeric < %3$s then %1$s::numeric + x.n::numeric else %2$s::numeric - x.n::numeric end)::%4$s"
              .formatted(
                  extreme("greatest", "max", same), extreme("least", "min", same), most, base));
    }
    String top = extreme("greatest", "max", same);
    if (FLOATS.contains(base)) {
      return Optional.of(top + " + x.n::double precision");
    } else if (base.startsWith("time") || base.equals("interval")) {
      return Optional.of(top + " + x.n::double precision * interval '1 s'");
    }
    return switch (base) {
      case "money" -> Optional.of(top + " + x.n::int::money");
      case "date" -> Optional.of(top + " + x.n::int");
      case "inet" -> Optional.of(top + " + x.n");
      case "uuid" -> Optional.of("pg_catalog.gen_random_uuid()");
      case "bytea" -> Optional.of("pg_catalog.decode(" + random() + ", 'hex')");
      case "jsonb" -> Optional.of("pg_catalog.to_jsonb(pg_catalog.gen_random_uuid())");
      default ->
          switch (column.category()) {
            case "S" -> text(column, name);
            case "E" -> Optional.of(unused(labels(base), name));
            case "V" -> Optional.of(bits(column.modifier(), name));
            case "A" -> Optional.of(array(base, name));
            // Only a unique index takes an empty range for a value.
            case "R" -> index.isKey() ? range(base, name) : Optional.of("'empty'");
            default -> Optional.empty();
          };
    };
  }

  private static String labels(String type) {
    return "pg_catalog.unnest(pg_catalog.enum_range(null::%s)) as few (v)".formatted(type);
  }

  private String bits(int length, String name) {
    String random = "('x' || %s)::bit(%d)".formatted(random(), RANDOM_BITS);
    if (length < 0) {
      return random + "::bit varying";
    } else if (length >= RANDOM_BITS) {
      return random + "::bit(" + length + ")";
    }
    return unused(
        "(select distinct i::bit(%d) as v from pg_catalog.generate_series(0, 499) as i) as few"
            .formatted(length),
        name);
  }

  /** Longer than those that there are. */
  private String array(String type, String name) {
    return "pg_catalog.array_fill(null::%s, array[x.n::int + coalesce((select pg_catalog.max(pg_catalog.cardinality(o.%s)) from %s as o), 0)])"
        .formatted(type.replaceFirst("\\[]$", ""), Statements.quoted(name), table.name());
  }

  /** Above those that there are. */
  private Optional<String> range(String type, String name) {
    String value =
        switch (type) {
          case "int4range" -> "coalesce(%s, 0) + 2 * x.n::int";
          case "int8range" -> "coalesce(%s, 0::bigint) + 2::bigint * x.n";
          case "numrange" -> "coalesce(%s, 0::numeric) + x.n::numeric";
          case "daterange" -> "coalesce(%s, '2000-01-01'::date) + 2 * x.n::int";
          case "tsrange" ->
              "coalesce(%s, '2000-01-01'::timestamp) + x.n::double precision * interval '1 s'";
          case "tstzrange" ->
              "coalesce(%s, '2000-01-01'::timestamptz) + x.n::double precision * interval '1 s'";
          default -> "";
        };
    String isFinite =
        type.startsWith("int") || type.startsWith("num")
            ? ""
            : " and pg_catalog.isfinite(pg_catalog.upper(o.%1$s))";
    String top =
        ("(select pg_catalog.max(pg_catalog.upper(o.%1$s)) from %2$s as o where not pg_catalog.upper_inf(o.%1$s)"
                + isFinite
                + ")")
            .formatted(Statements.quoted(name), table.name());
    return value.isEmpty()
        ? Optional.empty()
        : Optional.of(
            "(select pg_catalog.%1$s(free.v, free.v, '[]') from (select %2$s) as free (v))"
                .formatted(type, value.formatted(top)));
  }

  private Optional<String> text(Column column, String name) {
    int length = column.modifier() - 4;
    if (length > 4) {
      return Optional.of("pg_catalog.left(%s, %d)".formatted(random(), length));
    } else if (length > 0) {
      // So short that at random it would soon be somebody's.
      return Optional.of(
          unused(
              "(select distinct pg_catalog.left(pg_catalog.md5(i::text), %d) as v from pg_catalog.generate_series(1, 500) as i) as few"
                  .formatted(length),
              name));
    }
    return Optional.of(random());
  }

  /** One of few values of the column's base type that no row has. */
  private String unused(String few, String name) {
    return """
    (
      select free.v
      from (select v from %1$s) as free (v)
      where not exists (select from %2$s as o where o.%3$s::%4$s = free.v)
      order by 1
      offset (x.n - 1::bigint) %% 10::bigint
      limit 1
    )"""
        .formatted(few, table.name(), Statements.quoted(name), table.columns().get(name).base());
  }

  private static String random() {
    return "pg_catalog.md5(pg_catalog.random()::text)";
  }

  private static String mostOfDigits(int modifier) {
    if (modifier <= 4) {
      return "1e1000";
    }
    int digits = (modifier - 4) >> 16;
    int scale = (modifier - 4) & 2047;
    return "10::numeric ^ " + (digits - scale) + "::numeric - 1::numeric";
  }

  /** The least or the greatest of the values of some columns. An infinite one has no neighbour. */
  private String extreme(String of, String aggregate, List<String> columns) {
    return columns.stream()
        .map(
            name ->
                "(select pg_catalog.%1$s(o.%2$s) from %3$s as o%4$s)"
                    .formatted(aggregate, Statements.quoted(name), table.name(), finite(name)))
        .collect(joining(", ", of + "(", ")"));
  }

  private String finite(String name) {
    String base = table.columns().get(name).base();
    return base.equals("date") || base.startsWith("timestamp")
        ? " where pg_catalog.isfinite(o." + Statements.quoted(name) + ")"
        : "";
  }
}
