-- A mapping says how sources become tables of a client. It is a JSON array of targets:
--   source   the source in central, e.g. "public.users"
--   table    the client's table, e.g. "public.members"
--   key      column of the table -> column of the source's key, e.g. {"user_id": "id"}; needs a unique index
--   columns  column of the table -> expression over the source's columns, e.g. {"mail": "lower(email)"}
--   where    optional: only rows for which this expression is true, e.g. "site = 'blog'"
--   rows     optional: "shared" (default), the table also has rows of its own; "central", all its rows are central's
-- An expression is SQL. One that is just a column's name takes the value as it is, whatever its type.

-- The targets, parents before the children that reference them. `position` is that in the mapping.
create or replace function caravan.targets(mapping jsonb)
returns table (target jsonb, relation regclass, depth int, "position" bigint)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive target (target, relation, "position") as (
    select t, to_regclass(t ->> 'table'), p from jsonb_array_elements(mapping) with ordinality as m (t, p)
  ), level (relation, depth) as (
    select distinct t.relation, 0 from target t
    union
    select c.conrelid, l.depth + 1
    from level l
    join pg_constraint c on c.confrelid = l.relation and c.contype = 'f' and c.conrelid <> c.confrelid
    where c.conrelid in (select t.relation from target t) and l.depth < jsonb_array_length(mapping)
  )
  select t.target, t.relation, max(l.depth), t.position
  from target t
  left join level l on l.relation = t.relation
  group by t.target, t.relation, t.position
$$;

-- The sources of a mapping in the order in which they are to be filled, each with a fingerprint of its targets.
create or replace function caravan.sources(mapping jsonb)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_agg(jsonb_build_object('source', source, 'fingerprint', fingerprint) order by depth, "position")
  from (
    select target ->> 'source' as source, md5(string_agg(target::text, ',' order by "position")) as fingerprint,
      min(depth) as depth, min("position") as "position"
    from caravan.targets(mapping)
    group by target ->> 'source'
  ) as by_source
$$;

-- The type of a column, as a cast needs it. A type modifier is left to the assignment, which refuses a text that is
-- too long where a cast would cut it.
create or replace function caravan.column_type(relation regclass, column_name text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  type text := (
    select format_type(atttypid, -1)
    from pg_attribute
    where attrelid = relation and attname = column_name and attnum > 0 and not attisdropped
  );
begin
  if type is null then
    raise exception 'the table % has no column "%"', relation, column_name using errcode = 'undefined_column';
  end if;
  return type;
end
$$;

-- The table of a target.
create or replace function caravan.table_of(target jsonb)
returns regclass
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation constant regclass := to_regclass(target ->> 'table');
begin
  if relation is null then
    raise exception 'there is no table %', target ->> 'table'
      using errcode = 'undefined_table',
        hint = 'Make it, or mend the mapping: it names a table with its schema, e.g. public.members.';
  end if;
  return relation;
end
$$;

-- Raises what is wrong with a mapping as far as this database can tell: tables and columns that are missing, a column
-- that is fed twice, and keys without the unique index that an upsert needs.
create or replace function caravan.check(mapping jsonb)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  target jsonb;
  relation regclass;
  keys text[];
  twice text;
  hint text;
begin
  for target in select t from jsonb_array_elements(mapping) as t loop
    relation := caravan.table_of(target);
    keys := array(select jsonb_object_keys(target -> 'key'));
    perform caravan.column_type(relation, c) from unnest(keys) as c;
    perform caravan.column_type(relation, c) from jsonb_object_keys(target -> 'columns') as c;
    select c into twice from jsonb_object_keys(target -> 'columns') as c where c = any (keys);
    if found then
      raise exception 'the column "%" is fed twice', twice using errcode = 'duplicate_column';
    end if;
    if not exists (
      select
      from pg_index i
      where i.indrelid = relation and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
        and keys <@ array(select a.attname::text from pg_attribute a where a.attrelid = relation and a.attnum = any ((i.indkey::int2[])[:i.indnkeyatts - 1]))
        and cardinality(keys) = i.indnkeyatts
    ) then
      raise exception 'there is no unique index on (%)', array_to_string(keys, ', ')
        using errcode = 'invalid_column_reference',
          hint = format('create unique index on %s (%s)', relation, array_to_string(keys, ', '));
    end if;
  end loop;
exception
  when syntax_error_or_access_rule_violation then
    get stacked diagnostics hint = pg_exception_hint;
    raise exception 'mapping of % to %: %', target ->> 'source', target ->> 'table', sqlerrm
      using errcode = sqlstate, hint = coalesce(nullif(hint, ''), 'Mend the mapping or the table; the client goes on by itself.');
end
$$;
comment on function caravan.check is 'Raises what is wrong with a mapping';

-- Whether no text of a type is one of another type: numbers, say, are never arrays.
create or replace function caravan.never_fits(value regtype, column_type regtype)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select v in ('B', 'D', 'I', 'N', 'T', 'V') and c in ('A', 'C', 'G', 'R') or v in ('A', 'C', 'G', 'R') and c in ('B', 'D', 'I', 'N', 'T', 'V')
    or v in ('B', 'D', 'I', 'T') and c in ('B', 'D', 'I', 'N', 'T', 'V') and v <> c and (v, c) <> ('D', 'T')
  from (
    select (select typcategory from pg_type where oid = value), (select typcategory from pg_type where oid = column_type)
  ) as categories (v, c)
$$;

-- What makes room when unique values move in a circle (two rows swap): the columns that unique indexes look at, other
-- than those of the key, each with a value that is in nobody's way. Null where that cannot be done.
create or replace function caravan.parked(relation regclass, target jsonb)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with looked_at (attnum) as (
    select unnest(i.indkey::int2[]) from pg_index i where i.indrelid = relation and i.indisunique
    union
    select d.refobjsubid
    from pg_index i
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = i.indexrelid and d.refobjid = relation
    where i.indrelid = relation and i.indisunique
  )
  select case when bool_and(not attnotnull or typcategory = 'S') then string_agg(format('%I = %s', attname,
      case when not attnotnull then 'null'
        when atttypmod > 4 then format('left(md5(random()::text), %s)', atttypmod - 4)
        else 'md5(random()::text)' end), ', ') end
  from looked_at
  join pg_attribute a on a.attrelid = relation and a.attnum = looked_at.attnum
  join pg_type t on t.oid = a.atttypid
  where target -> 'columns' ? attname::text
$$;

-- The number of a target, by which its rows are noted; null: nothing was applied to it yet.
create or replace function caravan.number_of(client text, target jsonb)
returns int
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select t.id
  from caravan.target t
  where t.client = number_of.client and t.source = target ->> 'source' and t.relation = target ->> 'table'
$$;

-- The statements of one target. Each takes the changes of its source as $1, as a page has them, and the target's number
-- as $2.
--   clear     deletes all rows that came from central
--   remove    deletes the keys that are gone or whose rows left the filter
--   upsert    writes the rows that pass the filter, where they differ
--   own       notes the keys of a shared table; null for others
--   park      makes room for unique values that move in a circle; null where it can't be done
--   filtered  whether there is a filter
--   cascades  whether the removal of a row touches others that reference it
-- `source` is what a page says of it: {"key": ["id"], "columns": {"id": "bigint", …}}.
create or replace function caravan.statements(
  target jsonb, source jsonb,
  out clear text, out remove text, out upsert text, out own text, out park text, out filtered boolean, out cascades boolean
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation constant regclass := caravan.table_of(target);
  keys text;        -- k1, k2
  key_values text;  -- (page.change -> 0 ->> 0)::bigint, …
  change_matches text;
  gone_matches text;
  columns text;     -- c1, c2
  new_values text;  -- new.v1, new.v2
  loose_keys text[];  -- of types for which different values are equal (citext)
  assignments text;
  old_row text;
  new_row text;
  expressions text;
  typed_row text;
  incoming text;
  mismatch text;
  hint text;
begin
  select string_agg(quote_ident(name), ', '), string_agg('(page.change -> 0' || value, ', '),
    string_agg(format('t.%I %s (page.change -> 0%s', name, caravan.equality(type::regtype), value), ' and '),
    string_agg(format('t.%I %s (gone.key%s', name, caravan.equality(type::regtype), value), ' and '),
    coalesce(array_agg(name) filter (where type not in ('smallint', 'integer', 'bigint', 'uuid', 'text',
      'character varying', 'boolean', 'bytea', 'date', 'timestamp without time zone', 'timestamp with time zone')), '{}')
  into keys, key_values, change_matches, gone_matches, loose_keys
  from (
    select name, type, format(' ->> %s)::%s', k.position - 1, type) as value
    from jsonb_array_elements_text(source -> 'key') with ordinality as k (source_column, position)
    left join jsonb_each_text(target -> 'key') as m (name, source_column) using (source_column)
    cross join lateral caravan.column_type(relation, name) as type
    order by k.position
  ) as key;

  select format('the column "%s" is %s, and %s of central is %s', name, column_type, expression, value_type)
  into mismatch
  from jsonb_each_text(target -> 'columns') as c (name, expression)
  cross join lateral (select source -> 'columns' ->> expression, caravan.column_type(relation, name)) as t (value_type, column_type)
  where caravan.never_fits(to_regtype(value_type), column_type::regtype)
  limit 1;
  if found then
    raise exception '%', mismatch using errcode = 'datatype_mismatch';
  end if;

  select string_agg(format(', %I', name), '' order by n), string_agg(format(', new.v%s', n), '' order by n),
    string_agg(format('(%s)::%s as v%s, ',
      coalesce(value, expression), caravan.column_type(relation, name), n), '' order by n)
  into columns, new_values, expressions
  from jsonb_each_text(target -> 'columns') with ordinality as c (name, expression, n)
  left join (
    select expression, format('page.change ->> %s', position) as value
    from jsonb_object_keys(source -> 'columns') with ordinality as s (expression, position)
  ) as plain using (expression);

  select string_agg(format('%1$I = excluded.%1$I', name), ', '), string_agg(format('t.%I', name), ', '),
    string_agg(format('excluded.%I', name), ', ')
  into assignments, old_row, new_row
  from (select jsonb_object_keys(target -> 'columns') union select unnest(loose_keys)) as written (name);

  -- A type of central's that this database does not know is text here.
  select string_agg(format('(page.change ->> %s)::%s as %I', position, coalesce(format_type(to_regtype(type), -1), 'text'), name), ', ')
  into typed_row
  from jsonb_each_text(source -> 'columns') with ordinality as c (name, type, position);

  incoming := format($q$
    jsonb_array_elements($1) as page (change)
    cross join lateral (
      select %s jsonb_array_length(page.change) > 1 and coalesce((%s), false) as passes from (select %s) as source_row
    ) as new
  $q$, expressions, coalesce(target ->> 'where', 'true'), typed_row);

  filtered := target ? 'where';
  cascades := exists (
    select from pg_constraint where contype = 'f' and confrelid = relation and confdeltype in ('c', 'n', 'd')
  );
  upsert := format('insert into %s as t (%s %s) overriding system value select %s %s from %s where new.passes on conflict (%s) do ',
    relation, keys, columns, key_values, new_values, incoming, keys)
    || case when assignments is null then 'nothing' else format(
      'update set %s where row(%s)::record operator(pg_catalog.*<>) row(%s)::record', assignments, old_row, new_row
    ) end;

  park := format('update %s as t set ', relation) || caravan.parked(relation, target)
    || format(' from jsonb_array_elements($1) as page (change) where %s', change_matches);

  if target ->> 'rows' = 'central' then
    clear := format('delete from %s', relation);
    remove := format('delete from %s as t using %s where not new.passes and %s',
      relation, incoming, change_matches);
  else
    clear := format($q$
      with gone as (delete from caravan.owned o where o.target = $2 returning o.key)
      delete from %s as t using gone where %s
    $q$, relation, gone_matches);
    remove := format($q$
      with gone as (
        delete from caravan.owned o
        where o.target = $2 and o.key = any (array(select page.change -> 0 from %s where not new.passes))
        returning o.key
      )
      delete from %s as t using gone where %s
    $q$, incoming, relation, gone_matches);
    -- Mostly all of them are noted. Counting those in one walk of the index takes a third of looking for each where they come
    -- in order (PostgreSQL 18), and about the same elsewhere (15).
    own := format($q$
      if exists (
        select from (select array(select page.change -> 0 from %1$s) as keys offset 0) as brought
        where (select count(*) from caravan.owned o where o.key = any (brought.keys) and o.target = $2) < cardinality(brought.keys)
      ) then
        insert into caravan.owned (target, key) select $2, page.change -> 0 from %1$s on conflict do nothing;
      end if
    $q$, case when filtered then incoming || ' where new.passes'
      else 'jsonb_array_elements($1) as page (change) where jsonb_array_length(page.change) > 1' end);
  end if;
exception
  when syntax_error_or_access_rule_violation then
    get stacked diagnostics hint = pg_exception_hint;
    raise exception 'mapping of % to %: %', target ->> 'source', target ->> 'table', sqlerrm
      using errcode = sqlstate, hint = coalesce(nullif(hint, ''), 'Mend the mapping or the table; the client goes on by itself.');
end
$$;
