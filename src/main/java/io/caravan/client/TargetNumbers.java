package io.caravan.client;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The numbers by which a client's replicated rows are noted: one for each entry of its mapping. */
final class TargetNumbers {
  private static final String ADD =
      """
      insert into caravan.target (client, source, relation, entry)
      select ?, u.source, u.relation, u.entry
      from rows from (pg_catalog.unnest(?::text[]), pg_catalog.unnest(?::text[]), pg_catalog.unnest(?::int[]))
        as u (source, relation, entry)
      where not exists (
        select from caravan.target as t
        where t.client = ? and t.source = u.source and t.relation = u.relation and t.entry = u.entry
      )
      on conflict do nothing
      """;
  private static final String ALL =
      "select source, relation, entry, id from caravan.target where client = ?";

  private TargetNumbers() {}

  /** The numbers of a mapping's targets; those that have none yet get one. */
  static Map<Target, Integer> of(Connection connection, String client, Mapping mapping)
      throws SQLException {
    List<String> sources = new ArrayList<>();
    List<String> tables = new ArrayList<>();
    List<Integer> entries = new ArrayList<>();
    Map<List<Object>, Target> targets = new HashMap<>();
    for (Target target : mapping.targets()) {
      List<String> names = List.of(target.source(), target.table());
      int entry = 1;
      while (targets.containsKey(List.of(names, entry))) {
        entry++;
      }
      targets.put(List.of(names, entry), target);
      sources.add(target.source());
      tables.add(target.table());
      entries.add(entry);
    }
    try (PreparedStatement add = connection.prepareStatement(ADD)) {
      add.setString(1, client);
      add.setArray(2, connection.createArrayOf("text", sources.toArray()));
      add.setArray(3, connection.createArrayOf("text", tables.toArray()));
      add.setArray(4, connection.createArrayOf("int", entries.toArray()));
      add.setString(5, client);
      add.executeUpdate();
    }
    Map<Target, Integer> numbers = new HashMap<>();
    try (PreparedStatement all = connection.prepareStatement(ALL)) {
      all.setString(1, client);
      try (ResultSet row = all.executeQuery()) {
        while (row.next()) {
          Target target =
              targets.get(List.of(List.of(row.getString(1), row.getString(2)), row.getInt(3)));
          if (target != null) {
            numbers.put(target, row.getInt(4));
          }
        }
      }
    }
    return Collections.unmodifiableMap(numbers);
  }
}
