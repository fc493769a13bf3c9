package io.caravan.client;

import io.caravan.Fault;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Holds a mapping against the tables that it names. */
public final class MappingCheck {
  private static final String MEND = "Mend the mapping or the table; the client goes on by itself.";

  private final Mapping mapping;
  private final Catalog catalog;

  /** A mapping, and what the client's database has. */
  public MappingCheck(Mapping mapping, Catalog catalog) {
    this.mapping = mapping;
    this.catalog = catalog;
  }

  /**
   * Checks all that can be told without the sources.
   *
   * @throws Fault if a table, a column or an index is missing, if a column is fed twice, or if the
   *     rows of a table can't be told apart
   */
  public void check() throws Fault {
    for (Target target : mapping.targets()) {
      check(target);
    }
  }

  /**
   * Checks a target against its source.
   *
   * @param source as a page describes it
   * @param types of central's that the client knows, by their names in central
   * @throws Fault if the key is incomplete, or a column can't hold the value
   */
  public void check(Target target, Source source, Map<String, Catalog.Type> types) throws Fault {
    if (target.key().size() != source.key().size()
        || !new HashSet<>(source.key()).equals(new HashSet<>(target.key().values()))) {
      throw wrong(
          target,
          "its \"key\" does not name the source's key (" + String.join(", ", source.key()) + ")",
          MEND);
    }
    for (Map.Entry<String, String> entry : target.columns().entrySet()) {
      String type = source.columns().get(entry.getValue());
      Table.Column column = catalog.tables().get(target.table()).columns().get(entry.getKey());
      if (type != null
          && types.containsKey(type)
          && neverFits(types.get(type).category(), column.category())) {
        throw wrong(
            target,
            "the column \"%s\" is %s, and %s of central is %s"
                .formatted(entry.getKey(), column.type(), entry.getValue(), type),
            MEND);
      }
    }
  }

  /**
   * Checks that the sources that fill one table have keys that are written alike: by their keys it
   * is told whether a row that one of them loses is now another's.
   *
   * @param sources by name, as a page describes them
   * @param types of central's that the client knows, by their names in central
   * @throws Fault if two of them have keys of different kinds
   */
  public void checkKeysOfSiblings(Map<String, Source> sources, Map<String, Catalog.Type> types)
      throws Fault {
    List<Target> before = new ArrayList<>();
    for (Target target : mapping.targets()) {
      if (sources.containsKey(target.source())) {
        for (Target sibling : before) {
          if (id(sibling) == id(target)) {
            checkKeys(sibling, target, sources, types);
          }
        }
        before.add(target);
      }
    }
  }

  private static void checkKeys(
      Target one, Target other, Map<String, Source> sources, Map<String, Catalog.Type> types)
      throws Fault {
    Set<String> columns = new HashSet<>(other.key().keySet());
    columns.retainAll(one.key().keySet());
    for (String column : columns) {
      String type = typeOfKey(one, column, sources);
      String otherType = typeOfKey(other, column, sources);
      if (!kind(type, types).equals(kind(otherType, types))) {
        throw wrong(
            other,
            "the key of %s is %s, and that of %s, which fills the same table, is %s"
                .formatted(other.source(), otherType, one.source(), type),
            "Give both keys the same type.");
      }
    }
  }

  /** The type in central of what goes to a column of the table's key. */
  private static String typeOfKey(Target target, String column, Map<String, Source> sources) {
    return sources.get(target.source()).columns().get(target.key().get(column));
  }

  /** Numbers and texts are written alike, whatever their size. */
  private static String kind(String type, Map<String, Catalog.Type> types) {
    String category = types.containsKey(type) ? types.get(type).category() : "";
    return Set.of("N", "S").contains(category) ? category : type;
  }

  /** The targets, those of parents before those of the children that reference them. */
  public List<Target> parentsFirst() {
    Map<Long, Integer> depths = depths();
    List<Target> targets = new ArrayList<>(mapping.targets());
    targets.sort(Comparator.comparing(target -> depths.get(id(target))));
    return targets;
  }

  private void check(Target target) throws Fault {
    Table table = catalog.tables().get(target.table());
    if (table == null) {
      throw wrong(
          target,
          "there is no table " + target.table(),
          "Make it, or mend the mapping: it names a table with its schema, e.g. public.members.");
    }
    Set<String> named = new HashSet<>();
    for (Set<String> columns : List.of(target.key().keySet(), target.columns().keySet())) {
      for (String column : columns) {
        if (!table.columns().containsKey(column)) {
          throw wrong(
              target, "the table %s has no column \"%s\"".formatted(table.name(), column), MEND);
        } else if (!named.add(column)) {
          throw wrong(
              target, "the column \"%s\" is in \"key\" and in \"columns\"".formatted(column), MEND);
        }
      }
    }
    List<Table.Index> keys =
        table.indexes().stream()
            .filter(index -> index.isKey())
            .filter(index -> new HashSet<>(index.columns()).equals(target.key().keySet()))
            .toList();
    String columns = String.join(", ", target.key().keySet());
    if (keys.isEmpty()) {
      throw wrong(
          target,
          "there is no unique index on (" + columns + ")",
          "create unique index on %s (%s)".formatted(table.name(), columns));
    } else if (keys.stream().allMatch(Table.Index::isLate)) {
      throw wrong(
          target,
          "the constraint on (%s) of %s is deferrable, so no row can be written by this key"
              .formatted(columns, table.name()),
          "Drop it and add it again without DEFERRABLE.");
    }
    if (table.hidesRows()) {
      throw wrong(
          target,
          "row-level security may hide rows of " + table.name() + " from the hub",
          "Give the hub's role BYPASSRLS, or give the table policies for select and delete that are true for all rows.");
    }
    long same = mapping.targets().stream().filter(other -> id(other) == table.id()).count();
    if (same > 1 && target.isCentrals()) {
      throw wrong(
          target,
          "several entries fill this table, so not all of its rows can be this one's",
          "Leave out \"rows\" in all of them, or say \"shared\".");
    }
  }

  /** How many tables above each one reference each other; circles end where they began. */
  private Map<Long, Integer> depths() {
    Map<Long, Integer> depths = new HashMap<>();
    Map<Long, Table> tables = new HashMap<>();
    for (Table table : catalog.tables().values()) {
      depths.put(table.id(), 0);
      tables.put(table.id(), table);
    }
    for (int round = 1; round < tables.size(); round++) {
      for (Table child : tables.values()) {
        for (long parent : child.parents()) {
          if (parent != child.id() && tables.containsKey(parent)) {
            depths.merge(child.id(), depths.get(parent) + 1, Math::max);
          }
        }
      }
    }
    return depths;
  }

  private long id(Target target) {
    Table table = catalog.tables().get(target.table());
    return table == null ? 0 : table.id();
  }

  /** Whether no text of a value's type is one of the column's: numbers, say, are never arrays. */
  private static boolean neverFits(String value, String column) {
    String plain = "BDINTV";
    String compound = "ACGR";
    if ((plain.contains(value) && compound.contains(column))
        || (compound.contains(value) && plain.contains(column))) {
      return true;
    }
    return "BDIT".contains(value)
        && plain.contains(column)
        && !value.equals(column)
        && !(value.equals("D") && column.equals("T"));
  }

  private static Fault wrong(Target target, String what, String hint) {
    return new Fault(Fault.MAPPING, target.title() + ": " + what + ". " + hint);
  }
}
