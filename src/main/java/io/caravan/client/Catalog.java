package io.caravan.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;

/**
 * What a client's PostgreSQL knows of the tables that a mapping names.
 *
 * @param tables by the names that the mapping gives them; those that exist
 */
public record Catalog(Map<String, Table> tables) {
  private static final ObjectMapper JSON = new ObjectMapper();

  // One query, and so one snapshot of the catalog.
  private static final String TABLES =
      """
      select coalesce(pg_catalog.json_object_agg(named.name, pg_catalog.json_build_object(
        'id', named.id::oid::bigint,
        'file', coalesce(pg_catalog.pg_relation_filenode(named.id), 0)::bigint,
        'name', (
          select pg_catalog.format('%I.%I', nspname, relname)
          from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where c.oid = named.id
        ),
        'columns', (
          select pg_catalog.json_object_agg(a.attname, pg_catalog.json_build_object(
            'type', pg_catalog.format_type(a.atttypid, -1),
            'category', t.typcategory,
            'base', pg_catalog.format_type(t.oid, -1),
            'modifier', base.modifier,
            'exact', pg_catalog.format_type(t.oid, base.modifier),
            'isTrusted', t.typnamespace = 'pg_catalog'::regnamespace or t.typtype = 'b' and pg_catalog.has_schema_privilege(n.oid, 'usage')
              and (t.typcategory <> 'A' or exists (
                select from pg_catalog.pg_type e
                where e.oid = t.typelem and e.typtype = 'b' and pg_catalog.has_schema_privilege(e.typnamespace, 'usage')
              )),
            'notNull', a.attnotnull,
            'equality', pg_catalog.format('operator(%I.=)', case t.typtype when 'b' then n.nspname else 'pg_catalog' end)))
          from pg_catalog.pg_attribute a
          cross join lateral (
            with recursive base (type, modifier) as (
              select a.atttypid, a.atttypmod
              union all
              select d.typbasetype, case when base.modifier = -1 then d.typtypmod else base.modifier end
              from base join pg_catalog.pg_type d on d.oid = base.type and d.typtype = 'd'
            )
            select base.type, base.modifier
            from base join pg_catalog.pg_type b on b.oid = base.type and b.typtype <> 'd'
          ) as base
          join pg_catalog.pg_type t on t.oid = base.type
          join pg_catalog.pg_namespace n on n.oid = t.typnamespace
          where a.attrelid = named.id and a.attnum > 0 and not a.attisdropped
        ),
        'indexes', (
          select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'columns', (
              select coalesce(pg_catalog.json_agg(a.attname order by looked.place), '[]')
              from (
                select u.attnum, u.place
                from pg_catalog.unnest(i.indkey::int2[]) with ordinality as u (attnum, place)
                where u.place <= i.indnkeyatts and u.attnum > 0
                union
                select d.refobjsubid::int2, 100
                from pg_catalog.pg_depend d
                where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = i.indexrelid and d.refobjid = i.indrelid
                  and d.refobjsubid > 0 and d.refobjsubid::int2 <> all (i.indkey::int2[])
              ) as looked
              join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = looked.attnum
            ),
            'isKey', i.indisunique and not i.indisexclusion and i.indisvalid and i.indpred is null and i.indexprs is null,
            'isLate', not i.indimmediate,
            'computes', i.indexprs is not null)), '[]')
          from pg_catalog.pg_index i
          where i.indrelid = named.id and (i.indisunique or i.indisexclusion)
        ),
        'foreignKeys', (
          select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'table', pg_catalog.format('%I.%I', n.nspname, p.relname),
            'parents', (
              select pg_catalog.json_agg(part.id::bigint)
              from (select f.confrelid as id union select relid::oid from pg_catalog.pg_partition_tree(f.confrelid)) as part
            ),
            'columns', pair.columns,
            'isVisible', pair.are_equal and pg_catalog.has_table_privilege(f.confrelid, 'select')
              and not pg_catalog.row_security_active(f.confrelid)
              and pg_catalog.jsonb_extract_path_text(pg_catalog.to_jsonb(f), 'conenforced') is distinct from 'false') order by f.oid), '[]')
          from pg_catalog.pg_constraint f
          join pg_catalog.pg_class p on p.oid = f.confrelid
          join pg_catalog.pg_namespace n on n.oid = p.relnamespace
          cross join lateral (
            select
              pg_catalog.json_agg(pg_catalog.json_build_object(
                'column', a.attname,
                'referenced', r.attname,
                'equality', pg_catalog.format('operator(%I.%s)', s.nspname, o.oprname))) as columns,
              pg_catalog.bool_and(o.oprname = '=') as are_equal
            from rows from (pg_catalog.unnest(f.conkey), pg_catalog.unnest(f.confkey), pg_catalog.unnest(f.conpfeqop)) as u (attnum, referenced, operator)
            join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = u.attnum
            join pg_catalog.pg_attribute r on r.attrelid = f.confrelid and r.attnum = u.referenced
            join pg_catalog.pg_operator o on o.oid = u.operator
            join pg_catalog.pg_namespace s on s.oid = o.oprnamespace
          ) as pair
          where f.conrelid = named.id and f.contype = 'f'
            and not exists (select from pg_catalog.pg_constraint w where w.oid = f.conparentid and w.conrelid = f.conrelid)
        ),
        'cascades', exists (
          select from pg_catalog.pg_constraint f
          where f.confrelid = named.id and f.contype = 'f' and f.confdeltype in ('c', 'n', 'd')
        ),
        'defers', exists (
          select from pg_catalog.pg_constraint f
          where named.id in (f.conrelid, f.confrelid) and f.condeferrable
        ) or exists (
          select from pg_catalog.pg_trigger g where g.tgrelid = named.id and g.tgdeferrable
        ),
        'isSecured', pg_catalog.row_security_active(named.id::oid),
        'hidesRows', pg_catalog.row_security_active(named.id::oid) and exists (
          select
          from (values ('r'), ('d')) as needed (command)
          where not exists (
              select from pg_catalog.pg_policy p
              where p.polrelid = named.id and p.polpermissive and p.polcmd in ('*', command)
                and pg_catalog.pg_get_expr(p.polqual, named.id) = 'true'
                and exists (
                  select from pg_catalog.unnest(p.polroles) as r (role) where role = 0 or pg_catalog.pg_has_role(role, 'usage')
                )
            )
            or exists (
              select from pg_catalog.pg_policy p
              where p.polrelid = named.id and not p.polpermissive and p.polcmd in ('*', command)
                and pg_catalog.pg_get_expr(p.polqual, named.id) <> 'true'
                and exists (
                  select from pg_catalog.unnest(p.polroles) as r (role) where role = 0 or pg_catalog.pg_has_role(role, 'usage')
                )
            )
        ))), '{}')
      from (
        select name, pg_catalog.to_regclass(name) as id from pg_catalog.unnest(?::text[]) as u (name)
      ) as named
      where named.id is not null
      """;
  private static final String TYPES =
      """
      select u.name, pg_catalog.format_type(t.oid, -1), t.typcategory
      from pg_catalog.unnest(?::text[]) as u (name)
      join pg_catalog.pg_type t on t.oid = pg_catalog.to_regtype(u.name)
      """;

  /** Reads what there is of these tables. */
  public static Catalog read(Connection connection, Collection<String> tables) throws SQLException {
    try (PreparedStatement query = connection.prepareStatement(TABLES)) {
      query.setArray(1, connection.createArrayOf("text", tables.toArray()));
      try (ResultSet row = query.executeQuery()) {
        row.next();
        return new Catalog(JSON.readValue(row.getString(1), new TypeReference<>() {}));
      }
    } catch (JsonProcessingException e) {
      throw new SQLException("The catalog can't be read: " + e.getOriginalMessage(), e);
    }
  }

  /**
   * Those of these types that the client knows, by the names that they have in central.
   *
   * @param types as central names them
   */
  public static Map<String, Type> types(Connection connection, Collection<String> types)
      throws SQLException {
    try (PreparedStatement query = connection.prepareStatement(TYPES)) {
      query.setArray(1, connection.createArrayOf("text", types.toArray()));
      try (ResultSet row = query.executeQuery()) {
        Map<String, Type> known = new HashMap<>();
        while (row.next()) {
          known.put(row.getString(1), new Type(row.getString(2), row.getString(3)));
        }
        return known;
      }
    }
  }

  /**
   * A type of central's as the client knows it.
   *
   * @param name as a cast names it at the client
   * @param category as PostgreSQL's catalog has it
   */
  public record Type(String name, String category) {}
}
