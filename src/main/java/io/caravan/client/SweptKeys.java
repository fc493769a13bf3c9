package io.caravan.client;

import static java.util.stream.Collectors.joining;

import com.fasterxml.jackson.databind.JsonNode;
import io.caravan.Fault;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * The keys that a client shows to central while it is swept: after another history, it may hold
 * rows of which central knows nothing any more. They are those of its table where all rows are
 * central's, else those that are noted.
 */
public final class SweptKeys {
  private static final String OF_TABLE =
      "select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(%1$s)) from (select %2$s from %3$s where %4$s order by %2$s limit ?) as k";
  private static final String NOTED =
      """
      select pg_catalog.jsonb_agg(k.key)
      from (select o.key from caravan.replicated as o where o.target = %s%s order by o.key limit ?) as k
      """;

  private SweptKeys() {}

  /**
   * The next keys.
   *
   * @param sweep the source, its key, which of its targets, after which key; as a cursor has it
   * @param most how many at most
   * @return {"keys": [[42], …], "targets": how many the source has, "total": how many keys this one
   *     has, at its beginning}
   * @throws Fault if row security may hide some of them
   */
  public static String next(
      Connection connection, String client, Mapping mapping, JsonNode sweep, int most)
      throws SQLException, Fault {
    List<Target> targets =
        mapping.targets().stream()
            .filter(target -> target.source().equals(sweep.path("source").asText()))
            .toList();
    Target target = targets.get(sweep.path("target").asInt());
    connection.setAutoCommit(false);
    try (Statement settings = connection.createStatement()) {
      settings.execute("set local search_path = pg_catalog, pg_temp");
      Catalog catalog = Catalog.read(connection, List.of(target.table()));
      new MappingCheck(new Mapping(List.of(target)), catalog).check();
      Table table = catalog.tables().get(target.table());
      String after = sweep.path("after").isArray() ? sweep.path("after").toString() : "";
      String number = "'%d'::bigint".formatted(TargetNumber.of(client, mapping).get(target));
      List<String> key = new ArrayList<>();
      sweep.path("key").forEach(name -> key.add(name.asText()));
      String keys =
          target.isCentrals()
              ? ofTable(target.keyColumns(key), table, !after.isEmpty())
              : NOTED.formatted(number, after.isEmpty() ? "" : " and o.key > ?::jsonb");
      String counted =
          target.isCentrals() ? table.name() : "caravan.replicated as o where o.target = " + number;
      return "{\"keys\": %s, \"targets\": %d, \"total\": %s}"
          .formatted(
              keys(connection, keys, after, most),
              targets.size(),
              after.isEmpty() ? count(connection, counted) : "null");
    } finally {
      connection.rollback();
      connection.setAutoCommit(true);
    }
  }

  private static String ofTable(List<String> columns, Table table, boolean isAfter) {
    String names = columns.stream().map(Statements::quoted).collect(joining(", "));
    List<String> values = new ArrayList<>();
    List<String> position = new ArrayList<>();
    for (String name : columns) {
      Table.Column column = table.columns().get(name);
      boolean isText = "AC".contains(column.category()) || column.base().equals("jsonb");
      values.add(Statements.quoted(name) + (isText ? "::text" : ""));
      position.add(
          "((select a.key from after as a) ->> %d)::%s".formatted(position.size(), column.type()));
    }
    return (isAfter ? "with after (key) as (select ?::jsonb) " : "")
        + OF_TABLE.formatted(
            String.join(", ", values),
            names,
            table.name(),
            isAfter
                ? "(%s) > (%s)".formatted(names, String.join(", ", position))
                : "(%s) is not null".formatted(names));
  }

  private static String keys(Connection connection, String sql, String after, int most)
      throws SQLException {
    try (PreparedStatement query = connection.prepareStatement(sql)) {
      if (!after.isEmpty()) {
        query.setString(1, after);
      }
      query.setInt(after.isEmpty() ? 1 : 2, most);
      try (ResultSet row = query.executeQuery()) {
        row.next();
        return row.getString(1) == null ? "[]" : row.getString(1);
      }
    }
  }

  private static String count(Connection connection, String counted) throws SQLException {
    try (Statement query = connection.createStatement();
        ResultSet row = query.executeQuery("select pg_catalog.count(*) from " + counted)) {
      row.next();
      return row.getString(1);
    }
  }
}
