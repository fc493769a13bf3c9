package io.caravan.reconcile;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What central knows of the types of a source's columns and of a client's.
 *
 * @param ofSource by the columns of the source
 * @param ofClient by the columns of the client's table, those that central knows
 * @param asText the columns of the source whose values have to be texts in a key, as the log has
 *     them
 * @param enums the columns of the client's table that are enums in central, too
 */
record CentralTypes(
    Map<String, Type> ofSource,
    Map<String, Type> ofClient,
    List<String> asText,
    List<String> enums) {

  // The hub need not have any rights on a type's schema: so a function resolves the names.
  // Relies on: only a superuser can make an operator class.
  private static final String READ =
      """
      select u.n, t.name, t.exact, t.is_trusted, t.equality, t.is_enum, t.as_text
      from rows from (unnest(?::text[]), unnest(?::bigint[])) with ordinality as u (name, modifier, n)
      join lateral (
        select format_type(t.oid, -1) as name, format_type(t.oid, u.modifier::int) as exact, t.typtype = 'e' as is_enum,
          t.typnamespace <> 'pg_catalog'::regnamespace or t.typcategory in ('A', 'C') or t.typname = 'jsonb' as as_text,
          t.typnamespace = 'pg_catalog'::regnamespace or t.typtype = 'b' and has_schema_privilege(t.typnamespace, 'usage')
            and (t.typcategory <> 'A' or exists (
              select from pg_type as e
              where e.oid = t.typelem and e.typtype = 'b' and has_schema_privilege(e.typnamespace, 'usage')
            )) as is_trusted,
          coalesce((
            select format('operator(%I.%s)', n.nspname, o.oprname)
            from pg_opclass as c
            join pg_am as a on a.oid = c.opcmethod and a.amname = 'btree'
            join pg_amop as p on p.amopfamily = c.opcfamily and p.amoplefttype = t.oid and p.amoprighttype = t.oid and p.amopstrategy = 3
            join pg_operator as o on o.oid = p.amopopr
            join pg_namespace as n on n.oid = o.oprnamespace
            where c.opcintype = t.oid and c.opcdefault
          ), 'operator(pg_catalog.=)') as equality
        from pg_type as t
        where t.oid = caravan_internal.type_named(u.name)
      ) as t on true
      """;

  /**
   * Asks for them.
   *
   * @param connection whose search path has nothing but PostgreSQL's own
   */
  static CentralTypes of(Connection connection, Comparison comparison) throws SQLException {
    List<String> columns = new ArrayList<>();
    List<String> names = new ArrayList<>();
    List<Long> modifiers = new ArrayList<>();
    comparison
        .types()
        .forEach(
            (column, type) -> {
              columns.add(column);
              names.add(type);
              modifiers.add(-1L);
            });
    int ofSource = columns.size();
    List<Column> clients = new ArrayList<>(comparison.key());
    clients.addAll(comparison.columns());
    for (Column column : clients) {
      columns.add(column.name());
      names.add(column.type());
      modifiers.add((long) column.modifier());
    }
    CentralTypes types =
        new CentralTypes(new HashMap<>(), new HashMap<>(), new ArrayList<>(), new ArrayList<>());
    Sql.of(READ, names, modifiers)
        .each(
            connection,
            row -> {
              int n = row.getInt(1) - 1;
              boolean isSources = n < ofSource;
              Type type =
                  new Type(row.getString(2), row.getString(3), row.getBoolean(4), row.getString(5));
              (isSources ? types.ofSource : types.ofClient).put(columns.get(n), type);
              if (isSources && row.getBoolean(7)) {
                types.asText.add(columns.get(n));
              } else if (!isSources && row.getBoolean(6)) {
                types.enums.add(columns.get(n));
              }
            });
    return types;
  }

  /** A type of the client's, if central has it. */
  Optional<Type> known(Column column) {
    return Optional.ofNullable(ofClient.get(column.name()));
  }
}
