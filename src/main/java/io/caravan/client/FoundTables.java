package io.caravan.client;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * What there is of Caravan's tables in a client's database, and what is missing.
 *
 * @param role of the hub, as SQL names it
 * @param hasSchema whether there is a schema {@code caravan}
 * @param mayUse whether the hub's role may use the schema
 * @param tables in the schema, ours and those of older releases
 * @param usable those of the tables that the hub's role may read and write
 * @param columns of the tables, each with its table's name before a dot
 */
record FoundTables(
    String role,
    boolean hasSchema,
    boolean mayUse,
    Set<String> tables,
    Set<String> usable,
    Set<String> columns) {

  private static final String NOTES = "replicated";
  private static final List<String> OURS = List.of("cursor", NOTES);
  // Older releases noted keys as jsonb: first in the table owned by numbers of targets, later where
  // they are now.
  private static final String OWNED = "owned";
  private static final String NUMBERED_NOTES = "numbered";
  private static final String JSON_NOTES = "json_notes";

  private static final String FIND =
      """
      select pg_catalog.quote_ident(current_user), s.id is not null,
        coalesce(pg_catalog.has_schema_privilege(s.id, 'usage'), false),
        array(select c.relname::pg_catalog.text from pg_catalog.pg_class c where c.relnamespace = s.id and c.relkind in ('r', 'p')),
        array(
          select c.relname::pg_catalog.text
          from pg_catalog.pg_class c
          where c.relnamespace = s.id and c.relkind in ('r', 'p')
            and pg_catalog.has_table_privilege(c.oid, 'select') and pg_catalog.has_table_privilege(c.oid, 'insert')
            and pg_catalog.has_table_privilege(c.oid, 'update') and pg_catalog.has_table_privilege(c.oid, 'delete')
        ),
        array(
          select pg_catalog.format('%s.%s', c.relname, a.attname)
          from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid
          where c.relnamespace = s.id and c.relkind in ('r', 'p') and not a.attisdropped
        )
      from (select (select n.oid from pg_catalog.pg_namespace n where n.nspname = 'caravan')) as s (id)
      """;

  /** Looks into the catalog, for which the hub's role needs no rights. */
  static FoundTables in(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(FIND)) {
      row.next();
      return new FoundTables(
          row.getString(1),
          row.getBoolean(2),
          row.getBoolean(3),
          Set.of((String[]) row.getArray(4).getArray()),
          Set.of((String[]) row.getArray(5).getArray()),
          Set.of((String[]) row.getArray(6).getArray()));
    }
  }

  /** The statements that make what is missing. */
  List<String> missing() {
    List<String> missing = new ArrayList<>();
    if (!hasSchema) {
      missing.add("create schema caravan");
    }
    if (!tables.contains("cursor")) {
      missing.add(
          "create table caravan.cursor (client text primary key, step bigint not null default 0, cursor jsonb, applied_at timestamptz not null default now(), tables jsonb)");
    } else if (!columns.contains("cursor.tables")) {
      missing.add("alter table caravan.cursor add tables jsonb");
    }
    if (notesJson()) {
      if (tables.contains(JSON_NOTES)) {
        missing.add("drop table caravan." + JSON_NOTES);
      }
      missing.add("alter table caravan." + NOTES + " rename to " + JSON_NOTES);
    }
    // The key comes first in the index: it is what differs from row to row.
    if (lacksNotes()) {
      missing.add(
          "create table caravan.replicated (target bigint, canonical_key text collate \"C\", spelled text, primary key (canonical_key, target))");
    }
    if (tables.contains(OWNED)) {
      if (tables.contains(NUMBERED_NOTES)) {
        missing.add("drop table caravan." + NUMBERED_NOTES);
      }
      missing.add("alter table caravan." + OWNED + " rename to " + NUMBERED_NOTES);
    }
    return missing;
  }

  /** Whether keys are noted as {@code jsonb}. */
  private boolean notesJson() {
    return columns.contains(NOTES + ".key");
  }

  private boolean lacksNotes() {
    return notesJson() || !tables.contains(NOTES);
  }

  /** The same with the rights that the hub's role needs, if somebody else runs them. */
  List<String> ownersPart() {
    List<String> statements = missing();
    if (!mayUse) {
      statements.add("grant usage on schema caravan to " + role);
    }
    List<String> closed =
        OURS.stream()
            .filter(name -> !usable.contains(name) || (name.equals(NOTES) && lacksNotes()))
            .map("caravan."::concat)
            .toList();
    if (!closed.isEmpty()) {
      statements.add(
          "grant select, insert, update, delete on %s to %s"
              .formatted(String.join(", ", closed), role));
    }
    return statements;
  }

  /** Whether there may be notes that are still to be moved, and what their numbers mean. */
  boolean hasNumberedNotes() {
    return tables.containsAll(Set.of(NUMBERED_NOTES, "target"));
  }

  /** Whether there may be notes as {@code jsonb} that are still to be moved. */
  boolean hasJsonNotes() {
    return tables.contains(JSON_NOTES);
  }

  /** Tables of older releases that are no longer needed once the notes are moved. */
  List<String> leftovers() {
    return Stream.of(NUMBERED_NOTES, "target", "prepared", JSON_NOTES)
        .filter(tables::contains)
        .map("caravan."::concat)
        .toList();
  }
}
