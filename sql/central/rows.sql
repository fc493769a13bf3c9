-- The functions by which the rows of a source are read.

-- Makes the functions of one source:
--   typed_N(key)    a key whose values may be of other JSON types, as it is in the log
-- and a view, rows_N: the propagated columns, in their base types, and where each row is stored.
-- They belong to the owner of the schema, whoever tracks the table. Over the view, and so with the rights of whoever calls
-- them:
--   scan_N()        the keys and rows in the order of the key
--   scan_N(after)   those that follow a key
--   found_N(key)    the row with this key; its columns are the texts of the values, v1, v2, … in the order in which
--                   caravan_internal.tracked has the columns; so are those of the others
--   spelled_N(key)  if keys may be equal and written differently: the row with an equal key, and its key
-- Relies on: a body that begins with `return` or `begin atomic` is bound to columns, not to their names. So renaming
-- a column never breaks reading, and dropping one is refused. And such a body holds nobody up who changes other columns,
-- as the table's row type in a signature would: PostgreSQL refuses to rewrite a table whose row type is used.
create or replace function caravan_internal.make_functions(source caravan.source)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set client_min_messages = warning  -- suppresses "does not exist, skipping"
as $$
declare
  n constant int := source.id;
  readers text[];
  key_columns text;
  key_of text;
  typed_key text;
  finds text;
  exactly text;
  follows text;
  after_key text;
  texts text;
  names text;
begin
  select string_agg(format('t.%I', name), ', ' order by position),
    format('jsonb_build_array(%s)', string_agg(case when caravan_internal.is_plain_in_json(type) then format('t.%I', name)
      else caravan_internal.text_of(format('t.%I', name), type) end, ', ' order by position)),
    format('jsonb_build_array(%s)', string_agg(case
      when kind <> 'catalog' then format('key ->> %s', position - 1)
      when caravan_internal.is_plain_in_json(type) then format('(key ->> %s)::%s', position - 1, type)
      else format('(key ->> %s)::%s::text', position - 1, type)
    end, ', ' order by position)),
    string_agg(format('t.%I operator(%I.=) %s', name, schema,
      caravan_internal.key_part_value('found_' || n || '.key', position, type, kind)), ' and ' order by position),
    string_agg(format(' and (%s) collate "C" = (found_%s.key ->> %s) collate "C"', caravan_internal.text_of(format('t.%I', name), type), n,
      position - 1), '' order by position) filter (where loose)
  into key_columns, key_of, typed_key, finds, exactly
  from caravan_internal.key_parts(source.relation, source.key);
  follows := caravan_internal.follows(source, 'scan_' || n || '.after');

  execute format($f$
    create or replace function caravan_internal.typed_%1$s(key jsonb) returns jsonb
    language sql stable
    return %2$s
  $f$, n, typed_key);

  -- Expressions of a mapping are computed over it with the rights of the hub, which may read just this.
  -- Who was allowed to read it stays so.
  readers := array(
    select a.grantee::regrole::text
    from pg_class c, aclexplode(c.relacl) as a
    where c.oid = to_regclass('caravan_internal.rows_' || n) and a.privilege_type = 'SELECT' and a.grantee not in (0, c.relowner)
  ) || to_regrole('caravan_hub')::text;
  execute format('drop function if exists caravan_internal.found_%1$s, caravan_internal.spelled_%1$s,
    caravan_internal.scan_%1$s(jsonb, int), caravan_internal.scan_%1$s(), caravan_internal.scan_%1$s(jsonb)', n);
  execute format('drop view if exists caravan_internal.rows_%s', n);
  execute format('create view caravan_internal.rows_%s as select t.ctid as "caravan.ctid", %s from only %s as t', n, (
    select string_agg(format('t.%1$I::%2$s as %1$I', c, caravan_internal.column_type(source.relation, c)), ', ' order by position)
    from unnest(source.columns) with ordinality as u (c, position)
  ), source.relation);
  readers := array_remove(readers, null);
  if readers <> '{}' then
    execute format('grant select on caravan_internal.rows_%s to %s', n, array_to_string(readers, ', '));
  end if;

  execute format('revoke all on function caravan_internal.typed_%1$s from public', n);

  -- PostgreSQL makes them part of the query that calls them, and computes the values that it takes.
  select string_agg(caravan_internal.bounded_text_of(format('t.%I', c), caravan_internal.column_type(source.relation, c)), ', '
      order by position),
    string_agg(format('v%s text', position), ', ' order by position)
  into texts, names
  from jsonb_object_keys(jsonb_object(source.columns, source.types)) with ordinality as u (c, position);
  execute format($f$
    create function caravan_internal.found_%1$s(key jsonb) returns table (%3$s)
    language sql stable
    begin atomic
      select %4$s from caravan_internal.rows_%1$s as t where %2$s;
    end
  $f$, n, finds || coalesce(exactly, ''), names, texts);
  if exactly is not null then
    execute format($f$
      create function caravan_internal.spelled_%1$s(key jsonb) returns table (spelled jsonb, %3$s)
      language sql stable
      begin atomic
        select %5$s, %4$s from caravan_internal.rows_%1$s as t where %2$s;
      end
    $f$, n, replace(finds, 'found_' || n || '.key', 'spelled_' || n || '.key'), names, texts, key_of);
    execute format('revoke all on function caravan_internal.spelled_%1$s from public;
      grant execute on function caravan_internal.spelled_%1$s to public', n);
  end if;
  execute format('revoke all on function caravan_internal.found_%1$s from public;
    grant execute on function caravan_internal.found_%1$s to public', n);

  foreach after_key in array array['', 'after jsonb'] loop
    execute format($f$
      create function caravan_internal.scan_%1$s(%2$s) returns table (key jsonb, %4$s)
      language sql stable
      begin atomic
        select %6$s, %5$s from caravan_internal.rows_%1$s as t %3$s order by %7$s;
      end
    $f$, n, after_key, case when after_key <> '' then 'where ' || follows end, names, texts, key_of, key_columns);
    execute format('revoke all on function caravan_internal.scan_%1$s(%2$s) from public;
    grant execute on function caravan_internal.scan_%1$s(%2$s) to public',
      n, after_key);
  end loop;
end
$$;

-- The text form of a value. PostgreSQL can't write a bytea of more than half a gigabyte as text. The hub takes no row of even
-- half that size, so it needs to know no more of it than its size.
create or replace function caravan_internal.bounded_text_of(value text, type text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when type::regtype = 'bytea'::regtype
    then format('case when octet_length(%1$s) > 500000000 then repeat(''.'', octet_length(%1$s)) else %1$s::text end', value)
    else caravan_internal.text_of(value, type) end
$$;

-- A value of a key, as it is in the log, in its column's type. Casts between PostgreSQL's own types and a superuser's are
-- a superuser's; a cast to an enum could be its owner's. Null where an enum no longer has the value.
create or replace function caravan_internal.key_part_value(key text, "position" bigint, type text, kind text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select format(case kind
    when 'enum' then '(select e from unnest(enum_range(null::%3$s)) as e where concat(e) = %1$s ->> %2$s)'
    else '(%1$s ->> %2$s)::%3$s'
  end, key, "position" - 1, type)
$$;

-- A condition that is true for rows that follow a key. PostgreSQL finds the rows by an index where it compares rows with
-- one operator; with those of several schemas, it finds them by the first column. Raises an error where an enum no longer
-- has the value, because an initial load must not end there.
create or replace function caravan_internal.follows(source caravan.source, key text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  part record;
  columns text;
  "values" text;
  schemas text[];
  condition text;
begin
  for part in
    select *, case kind
      when 'enum' then format('(select r.k from jsonb_to_record(jsonb_build_object(''k'', %s -> %s)) as r (k %s))',
        key, position - 1, type)
      else caravan_internal.key_part_value(key, position, type, kind) end as value
    from caravan_internal.key_parts(source.relation, source.key)
    order by position desc
  loop
    columns := concat_ws(', ', format('t.%I', part.name), columns);
    "values" := concat_ws(', ', part.value, "values");
    schemas := schemas || part.schema;
    condition := case when condition is null then format('t.%1$I operator(%2$I.>) %3$s', part.name, part.schema, part.value)
      else format('t.%1$I operator(%2$I.>=) %3$s and (t.%1$I operator(%2$I.>) %3$s or %4$s)',
        part.name, part.schema, part.value, condition) end;
  end loop;
  return case when schemas[1] = all (schemas) then format('(%s) operator(%I.>) (%s)', columns, schemas[1], "values")
    else condition end;
end
$$;

create or replace function caravan_internal.drop_functions(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  one regprocedure;
begin
  for one in
    select p.oid from pg_proc p
    where pronamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace)
      and proname ~ ('^(log_[a-z]+|typed|respelled|spelled|scan|find|found|row|moves|key)_' || source.id || '$')
  loop
    -- An older Caravan's functions depend on each other.
    if exists (select from pg_proc where oid = one) then
      execute format('drop function %s cascade', one);
    end if;
  end loop;
  execute format('drop view if exists caravan_internal.rows_%s', source.id);
end
$$;

-- Drops what an older Caravan had made for a source.
create or replace function caravan_internal.drop_former_functions(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  former constant text := (
    select string_agg(oid::regprocedure::text, ', ')
    from pg_proc
    where pronamespace = 'caravan'::regnamespace
      and proname ~ ('^(log_[a-z]+|respelled|find|row|moves|key)_' || source.id || '$')
  );
begin
  if former is not null then
    execute 'drop function ' || former;
  end if;
end
$$;
