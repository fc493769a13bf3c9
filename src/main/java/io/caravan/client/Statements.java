package io.caravan.client;

import static java.util.stream.Collectors.joining;
import static java.util.stream.Collectors.toSet;

import io.caravan.client.Table.Column;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The SQL with which changes are applied to a client's PostgreSQL. A statement takes changes as one
 * parameter, a JSON object: source → [[[42], "Ada", …], [[43]]], the key and the values in the
 * order of {@link Source#columns()}, nothing but the key where the row is gone.
 *
 * <p>All names are qualified: only the expressions of a mapping find theirs in the search path.
 *
 * <p>Whether a key is noted is asked for each row in a subquery of its own: PostgreSQL would join
 * all notes where they are few, with a plan that it keeps when they are many.
 *
 * <p>Relies on: all parts of one statement see the same rows, those of before. What has to happen
 * in an order is forced by a reference: a row is inserted after those of its table that make room
 * for it are gone. Foreign keys are checked at the end of the statement.
 */
public final class Statements {
  // Their equality is that of their text forms: an update never changes how a key is written.
  private static final Set<String> ONE_WAY_TO_WRITE =
      Set.of(
          "smallint",
          "integer",
          "bigint",
          "uuid",
          "text",
          "character varying",
          "boolean",
          "bytea",
          "date",
          "timestamp without time zone",
          "timestamp with time zone");

  private static final String MOVED =
      """
      with moved as (
        update caravan.cursor as c
        set step = %2$s,
          cursor = pg_catalog.jsonb_build_object('filled'::text, c.cursor -> 'filled'::text) || ?::jsonb,
          applied_at = pg_catalog.now()
        where c.client = ?::text and c.step = ?::bigint and (%1$s)
        returning c.step, c.cursor
      ), page as (
        select ?::jsonb as changes from moved
      )""";
  private static final String UNMOVED =
      """
      with page as (
        select ?::jsonb as changes
      )""";

  private static final String HAS_ROW =
      "pg_catalog.jsonb_array_length(change.\"caravan.change\") > 1";

  private final Catalog catalog;
  private final List<Target> all;
  private final List<Target> targets;
  private final Set<Target> mixed;
  private final Map<Target, Long> numbers;
  private final Map<String, Source> sources;
  private final Map<String, Catalog.Type> types;
  // Every page is one: its text is made once for each set of sources that lose rows.
  private final Map<Set<String>, String> pages = new ConcurrentHashMap<>();

  /**
   * For a mapping that fits its sources.
   *
   * @param all the targets of the mapping, parents first
   * @param numbers by which the targets' replicated rows are noted
   * @param sources by name, as a page describes them
   * @param types of central's that the client knows, by their names in central
   */
  public Statements(
      Catalog catalog,
      List<Target> all,
      Map<Target, Long> numbers,
      Map<String, Source> sources,
      Map<String, Catalog.Type> types) {
    this.catalog = catalog;
    this.all = all;
    this.targets = all.stream().filter(t -> sources.containsKey(t.source())).toList();
    this.numbers = numbers;
    this.sources = sources;
    this.types = types;
    mixed = targets.stream().filter(this::sharesItsTable).collect(toSet());
  }

  /** The targets that are written to, parents first. */
  public List<Target> targets() {
    return targets;
  }

  /**
   * Whether several targets feed one table, and so may touch the same row: one statement can't
   * write that.
   */
  public boolean areMixed() {
    return !mixed.isEmpty();
  }

  /** Whether other targets feed a table of a source. */
  public boolean isMixed(String source) {
    return mixed.stream().anyMatch(target -> target.source().equals(source));
  }

  private boolean sharesItsTable(Target target) {
    return all.stream().filter(t -> table(t).id() == table(target).id()).count() > 1;
  }

  /** Whether a removal touches rows that reference the removed one. */
  public boolean cascade() {
    return targets.stream().anyMatch(target -> table(target).cascades());
  }

  /** Whether constraints may be checked as late as at the commit. */
  public boolean defer() {
    return targets.stream().anyMatch(target -> table(target).defers());
  }

  /**
   * Applies changes and moves the cursor, if it still stands where it stood: a transaction of its
   * own. Parameters: the new cursor as JSON, the client, its step, the changes. Returns one row:
   * step and cursor, null where nothing was written because the client stands elsewhere or a table
   * is no longer what it was; whether all are; written and removed.
   *
   * @param gone the sources of which rows are gone
   */
  public String page(Set<String> gone) {
    return pages.computeIfAbsent(
        gone,
        g ->
            MOVED.formatted(areAsTheyWere(), StoredPosition.NEXT_STEP)
                + changes(losing(g), targets, true));
  }

  /**
   * Applies changes. Parameter: the changes. Returns one row: written and removed.
   *
   * @param gone the sources of which rows are gone
   */
  public String all(Set<String> gone) {
    return UNMOVED + changes(losing(gone), targets, false);
  }

  /**
   * How rows are loaded in bulk that are new to their tables, parents first; empty where something
   * has to be computed or looked at for each.
   */
  public List<BulkLoad> bulkLoads() {
    boolean canCopy =
        targets.stream()
            .allMatch(
                t ->
                    !mixed.contains(t)
                        && !t.isFiltered()
                        && !table(t).isSecured()
                        && sources
                            .get(t.source())
                            .columns()
                            .keySet()
                            .containsAll(t.columns().values()));
    return canCopy ? targets.stream().map(this::bulkLoad).toList() : List.of();
  }

  private BulkLoad bulkLoad(Target target) {
    Source source = sources.get(target.source());
    List<String> order = List.copyOf(source.columns().keySet());
    List<String> names = new ArrayList<>(keyColumns(target));
    List<Integer> values = new ArrayList<>();
    for (int k = 0; k < names.size(); k++) {
      String name = source.key().get(k);
      values.add(isPadded(source, name) ? -1 - k : order.indexOf(name) + 1);
    }
    target
        .columns()
        .forEach(
            (column, from) -> {
              names.add(column);
              values.add(order.indexOf(from) + 1);
            });
    String sql =
        "copy %s (%s) from stdin"
            .formatted(
                table(target).name(),
                names.stream().map(Statements::quoted).collect(joining(", ")));
    return new BulkLoad(
        target.source(), sql, values, target.isCentrals() ? null : numbers.get(target));
  }

  /** The text of a padded value has lost its padding. */
  private static boolean isPadded(Source source, String column) {
    return source.columns().get(column).equals("bpchar");
  }

  /** Writes the rows of one target. Parameter: the changes. Returns one row: written, removed. */
  public String upsert(Target target) {
    return UNMOVED + changes(List.of(), List.of(target), false);
  }

  /** Removes what is gone from one target. Parameter: the changes. Returns written and removed. */
  public String remove(Target target) {
    return UNMOVED + changes(List.of(target), List.of(), false);
  }

  /** Removes all rows of a target that came from central. Returns one row: written, removed. */
  public String clear(Target target) {
    String removal =
        target.isCentrals()
            ? "with d as (delete from %s returning 1)".formatted(table(target).name())
            : """
              with gone as (delete from caravan.replicated as o where o.target = %s returning coalesce(o.spelled, o.canonical_key)::jsonb as key),
              d as (delete from %s as t using gone where %s%s returning 1)"""
                .formatted(
                    number(target),
                    table(target).name(),
                    matches(target, "gone.key"),
                    notElsewhere(target, "gone.key"));
    return removal + "\nselect 0 as written, (select pg_catalog.count(*) from d) as removed";
  }

  /**
   * Takes the unique values from rows that are about to get others, and gives them some that are in
   * nobody's way. Parameter: the changes. Empty where that can't be done.
   */
  public Optional<String> vacate(Target target) {
    Map<String, String> values = new FreeValues(table(target), target).all();
    return values.isEmpty()
        ? Optional.empty()
        : Optional.of(
            UNMOVED
                + """

                update %s as t
                set %s
                from (
                  select b.key, pg_catalog.row_number() over () as n
                  from (
                    %s
                  ) as b
                ) as x
                where %s"""
                    .formatted(
                        table(target).name(),
                        values.entrySet().stream()
                            .map(e -> quoted(e.getKey()) + " = " + e.getValue())
                            .collect(joining(", ")),
                        brought(target),
                        matches(target, "x.key")));
  }

  /**
   * Finds the rows that reference what neither the client has nor the changes bring. Parameter: the
   * changes. Returns their keys as JSON. Empty where the mapping fills no foreign key.
   */
  public Optional<String> orphans(Target target) {
    return new Orphans(this).of(target).map(query -> UNMOVED + "\n" + query);
  }

  private String changes(List<Target> removing, List<Target> writing, boolean moves) {
    StringBuilder sql = new StringBuilder();
    List<String> written = new ArrayList<>();
    List<String> removed = new ArrayList<>();
    Map<Long, List<String>> removedFrom = new HashMap<>();
    for (Target target : removing) {
      int number = targets.indexOf(target);
      sql.append(removal(target, number));
      removed.add("d" + number);
      removedFrom.computeIfAbsent(table(target).id(), id -> new ArrayList<>()).add("d" + number);
    }
    for (Target target : writing) {
      int number = targets.indexOf(target);
      sql.append(upsert(target, number, removedFrom.getOrDefault(table(target).id(), List.of())));
      written.add("u" + number);
      if (mayBeRespelled(target)) {
        written.add("s" + number);
      }
    }
    String moved =
        "(select step from moved) as step, (select cursor::text from moved) as cursor, (%s) as fits, "
            .formatted(areAsTheyWere());
    return sql.append("\nselect ")
        .append(moves ? moved : "")
        .append("%s as written, %s as removed".formatted(sum(written), sum(removed)))
        .toString();
  }

  /**
   * Whether no table was made again or rewritten, as for a column of another type: casts to its old
   * type could round values. And whether row security hides no more than it did.
   */
  private String areAsTheyWere() {
    return targets.stream()
        .map(this::table)
        .distinct()
        .map(
            t ->
                "coalesce(pg_catalog.pg_relation_filenode(%1$d::oid), 0::oid) = %2$d::oid and pg_catalog.row_security_active(%1$d::oid) = %3$s"
                    .formatted(t.id(), t.file(), t.isSecured()))
        .reduce("true", (one, other) -> one + " and " + other);
  }

  /** The targets from which rows go: their keys are gone, or the rows may have left the filter. */
  private List<Target> losing(Set<String> gone) {
    return targets.stream().filter(t -> gone.contains(t.source()) || t.isFiltered()).toList();
  }

  private String upsert(Target target, int i, List<String> after) {
    Table table = table(target);
    List<String> keys = keyColumns(target);
    List<String> columns = List.copyOf(target.columns().keySet());
    Set<String> assigned = new LinkedHashSet<>(columns);
    keys.stream()
        .filter(name -> !ONE_WAY_TO_WRITE.contains(table.columns().get(name).type()))
        .forEach(assigned::add);
    String names = columns(target).stream().map(Statements::quoted).collect(joining(", "));
    StringBuilder values = new StringBuilder();
    for (int k = 0; k < keys.size(); k++) {
      values.append(k == 0 ? "" : ", ").append("b.k").append(k);
    }
    for (int v = 0; v < columns.size(); v++) {
      values.append(", b.v").append(v);
    }
    String conflict =
        assigned.isEmpty()
            ? "nothing"
            : "update set %s where row(%s)::record operator(pg_catalog.*<>) row(%s)::record"
                .formatted(
                    each(assigned, "%1$s = excluded.%1$s"),
                    each(assigned, "t.%s"),
                    each(assigned, "excluded.%s"));
    List<String> conditions = new ArrayList<>();
    if (!after.isEmpty()) {
      conditions.add(sum(after) + " >= 0");
    }
    if (mayBeRespelled(target)) {
      conditions.add("not exists (select from s%d as s where s.key = b.key)".formatted(i));
    }
    String where = conditions.isEmpty() ? "" : "\n  where " + String.join(" and ", conditions);
    String note =
        target.isCentrals()
            ? ""
            : """
              , n%1$d as (
                insert into caravan.replicated (target, canonical_key, spelled)
                select %2$s, %3$s, %6$s from %5$s as b
                where %4$s is null
              )"""
                .formatted(
                    i,
                    number(target),
                    note(target, "b.key"),
                    noted(target),
                    keys(target, i),
                    spelled(target));
    return """
        , b%1$d as (
          %2$s
        )%3$s%10$s, u%1$d as (
          insert into %4$s as t (%5$s) overriding system value
          select %6$s from b%1$d as b%7$s
          on conflict (%8$s) do %9$s
          returning 1
        )"""
        .formatted(
            i,
            brought(target),
            note,
            table.name(),
            names,
            values,
            where,
            keys.stream().map(Statements::quoted).collect(joining(", ")),
            conflict,
            mayBeRespelled(target) ? respelling(target, i, after) : "");
  }

  /** Whether the client takes a key of numbers for texts. */
  private boolean mayBeRespelled(Target target) {
    return IntStream.range(0, target.key().size()).anyMatch(k -> isNumberAsText(target, k));
  }

  private boolean isNumberAsText(Target target, int k) {
    Source source = sources.get(target.source());
    return NumberSpellings.areTexts(
        source.columns().get(source.key().get(k)),
        table(target).columns().get(keyColumns(target).get(k)));
  }

  /**
   * Rows whose key is only written in another way now keep what else they have. Where there is one
   * that is written so, the others stay.
   */
  private String respelling(Target target, int i, List<String> after) {
    List<String> keys = keyColumns(target);
    List<String> columns = List.copyOf(target.columns().keySet());
    List<String> there = new ArrayList<>();
    List<String> assigned = new ArrayList<>();
    for (int k = 0; k < keys.size(); k++) {
      String name = quoted(keys.get(k));
      Column column = table(target).columns().get(keys.get(k));
      there.add("e.%s %s b.k%d".formatted(name, column.equality(), k));
      if (isNumberAsText(target, k)) {
        assigned.add("%s = b.k%d".formatted(name, k));
      }
    }
    for (int v = 0; v < columns.size(); v++) {
      assigned.add("%s = b.v%d".formatted(quoted(columns.get(v)), v));
    }
    String isNoted = target.isCentrals() ? "" : " and " + noted(target) + " is not null";
    return """
        , s%1$d as (
          update %2$s as t set %3$s
          from b%1$d as b
          where %4$s and not exists (select from %2$s as e where %5$s)%6$s%7$s
          returning b.key
        )"""
        .formatted(
            i,
            table(target).name(),
            String.join(", ", assigned),
            matches(target, "b.key"),
            String.join(" and ", there),
            isNoted,
            after.isEmpty() ? "" : " and " + sum(after) + " >= 0");
  }

  /** The note of a row that comes, if there is one. */
  private String noted(Target target) {
    return "(select o.target from caravan.replicated as o where o.target = %s and o.canonical_key = %s)"
        .formatted(number(target), note(target, "b.key"));
  }

  /** How central spells the key, where that is not how it is noted. */
  private String spelled(Target target) {
    Source source = sources.get(target.source());
    return NotedKey.mayBeSpelled(source.key(), source.columns())
        ? "nullif((b.key)::text, %s)".formatted(note(target, "b.key"))
        : "null::text";
  }

  /** Takes the rows' keys from the page once more: that costs less than keeping the rows. */
  private String keys(Target target, int i) {
    return target.isFiltered()
        ? "b" + i
        : "(select change.\"caravan.change\" -> 0 as key from %s where %s)"
            .formatted(elements(target.source()), HAS_ROW);
  }

  private String note(Target target, String key) {
    Source source = sources.get(target.source());
    return NotedKey.of(source.key(), source.columns(), key);
  }

  /** The rows that a target takes in: k0, …, v0, … and key, as central has it. */
  String brought(Target target) {
    Source source = sources.get(target.source());
    Table table = table(target);
    StringBuilder select = new StringBuilder("select ");
    List<String> keys = keyColumns(target);
    List<String> order = List.copyOf(source.columns().keySet());
    for (int k = 0; k < keys.size(); k++) {
      String name = source.key().get(k);
      // Of keys that are equal and written differently, 1.0 and 1.00, the row has its own. The text
      // of a padded one has lost its padding.
      String value =
          source.columns().get(name).equals("bpchar")
              ? "-> 0 ->> " + k
              : "->> " + (order.indexOf(name) + 1);
      select.append(
          "(change.\"caravan.change\" %s)::%s as k%d, "
              .formatted(value, table.columns().get(keys.get(k)).type(), k));
    }
    List<String> computed = new ArrayList<>();
    int v = 0;
    for (Map.Entry<String, String> column : target.columns().entrySet()) {
      String type = table.columns().get(column.getKey()).type();
      int position = order.indexOf(column.getValue());
      if (position >= 0) {
        select.append(
            "(change.\"caravan.change\" ->> %d)::%s as v%d, ".formatted(position + 1, type, v));
      } else {
        computed.add("(%s)::%s as v%d".formatted(QuestionMarks.escape(column.getValue()), type, v));
        select.append("computed.v%d, ".formatted(v));
      }
      v++;
    }
    if (target.isFiltered()) {
      computed.add("(%s) as passes".formatted(QuestionMarks.escape(target.where())));
    }
    return select
        .append("change.\"caravan.change\" -> 0 as key\n  from ")
        .append(elements(target.source()))
        .append(computed.isEmpty() ? "" : lateral(computed, source))
        .append("\n  where ")
        .append(HAS_ROW)
        .append(target.isFiltered() ? " and computed.passes" : "")
        .toString();
  }

  private String removal(Target target, int i) {
    Table table = table(target);
    Source source = sources.get(target.source());
    String isGone = "pg_catalog.jsonb_array_length(change.\"caravan.change\") = 1";
    String computed = "";
    if (target.isFiltered()) {
      String passes =
          "coalesce((%s), false) as passes".formatted(QuestionMarks.escape(target.where()));
      computed = lateral(List.of(passes), source);
      isGone = "(" + isGone + " or not computed.passes)";
    }
    String keys =
        """
        , x%d as (
          select change."caravan.change" -> 0 as key
          from %s%s
          where %s
        )"""
            .formatted(i, elements(target.source()), computed, isGone);
    if (target.isCentrals()) {
      return keys
          + """
            , d%1$d as (
              delete from %2$s as t using x%1$d as x where %3$s returning 1
            )"""
              .formatted(i, table.name(), matches(target, "x.key"));
    }
    return keys
        + """
          , o%1$d as (
            delete from caravan.replicated as o using x%1$d as x where o.target = %2$s and o.canonical_key = %6$s
            returning coalesce(o.spelled, o.canonical_key)::jsonb as key
          ), d%1$d as (
            delete from %3$s as t using o%1$d as o where %4$s%5$s returning 1
          )"""
            .formatted(
                i,
                number(target),
                table.name(),
                matches(target, "o.key"),
                notElsewhere(target, "o.key"),
                note(target, "x.key"));
  }

  /** Keeps the rows that another target of the same table has, too. */
  private String notElsewhere(Target target, String key) {
    String others =
        all.stream()
            .filter(t -> table(t).id() == table(target).id())
            .map(this::number)
            .filter(number -> !number.equals(number(target)))
            .distinct()
            .collect(joining(", "));
    return others.isEmpty()
        ? ""
        : " and not exists (select from caravan.replicated as other where other.target in (%s) and other.canonical_key = %s)"
            .formatted(others, note(target, key));
  }

  private static String elements(String source) {
    return "page, pg_catalog.jsonb_array_elements(page.changes -> %s::text) as change (\"caravan.change\")"
        .formatted(literal(source));
  }

  /** What is computed over the source's columns. A type that the client does not know is text. */
  private String lateral(List<String> computed, Source source) {
    StringBuilder row = new StringBuilder();
    int position = 1;
    for (Map.Entry<String, String> column : source.columns().entrySet()) {
      Catalog.Type type = types.get(column.getValue());
      row.append(position == 1 ? "" : ", ")
          .append(
              "(change.\"caravan.change\" ->> %d)::%s as %s"
                  .formatted(
                      position, type == null ? "text" : type.name(), quoted(column.getKey())));
      position++;
    }
    return "\n  cross join lateral (\n    select %s\n    from (select %s) as source_row\n  ) as computed"
        .formatted(String.join(", ", computed), row);
  }

  /** Whether a row of the table has a key of central's. */
  private String matches(Target target, String key) {
    Table table = table(target);
    Source source = sources.get(target.source());
    List<String> keys = keyColumns(target);
    List<String> conditions = new ArrayList<>();
    for (int k = 0; k < keys.size(); k++) {
      Column column = table.columns().get(keys.get(k));
      String type = source.columns().get(source.key().get(k));
      String text = "(%s ->> %d)".formatted(key, k);
      String value =
          isNumberAsText(target, k)
              ? "any (%s::%s[])".formatted(NumberSpellings.of(type, text), column.base())
              : text + "::" + column.type();
      conditions.add("t.%s %s %s".formatted(quoted(keys.get(k)), column.equality(), value));
    }
    return String.join(" and ", conditions);
  }

  /** The columns of the table's key, in the order of the source's. */
  private List<String> keyColumns(Target target) {
    return target.keyColumns(sources.get(target.source()).key());
  }

  /** The columns of the table that a target fills: those of the key, and then the others. */
  List<String> columns(Target target) {
    return Stream.concat(keyColumns(target).stream(), target.columns().keySet().stream()).toList();
  }

  private String number(Target target) {
    return "'%d'::bigint".formatted(numbers.get(target));
  }

  Table table(Target target) {
    return catalog.tables().get(target.table());
  }

  private static String sum(List<String> parts) {
    return parts.isEmpty()
        ? "0"
        : parts.stream()
            .map(part -> "(select pg_catalog.count(*) from " + part + ")")
            .collect(joining(" + "));
  }

  private static String each(Collection<String> names, String format) {
    return names.stream().map(name -> format.formatted(quoted(name))).collect(joining(", "));
  }

  public static String quoted(String name) {
    return "\"" + name.replace("\"", "\"\"") + "\"";
  }

  private static String literal(String text) {
    return (text.contains("\\") ? " E'" : "'")
        + text.replace("\\", "\\\\").replace("'", "''")
        + "'";
  }
}
