-- The key and the columns of a source: which a table has, of which types, and whose code their values need.

-- The columns of a table's primary key. Raises an error with a hint if the table can't be a source.
create or replace function caravan_internal.primary_key(source regclass)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant "char" := (select relkind from pg_class where oid = source);
  persistence constant "char" := (select relpersistence from pg_class where oid = source);
  key constant text[] := (
    select array_agg(a.attname::text order by k.position)
    from pg_index i
    cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = source and i.indisprimary and k.position <= i.indnkeyatts
  );
  can_wait constant name := (
    select conname from pg_constraint where conrelid = source and contype = 'p' and condeferrable
  );
begin
  if kind = 'p' then
    raise exception '% is partitioned and cannot be a source', source
      using errcode = 'feature_not_supported',
        detail = 'ATTACH and DETACH PARTITION change the rows of a partitioned table and fire no trigger.',
        hint = 'Track the partitions, each as a source of its own.';
  elsif kind <> 'r' then
    raise exception '% is not a table and cannot be a source', source
      using errcode = 'wrong_object_type', hint = 'Track the table that holds the rows.';
  elsif persistence = 't' then
    raise exception '% is temporary and cannot be a source', source
      using errcode = 'feature_not_supported', hint = 'Track a permanent table.';
  elsif persistence = 'u' then
    raise exception '% is unlogged and cannot be a source', source
      using errcode = 'feature_not_supported',
        detail = 'PostgreSQL empties it after a crash and fires no trigger.',
        hint = format('alter table %s set logged', source);
  elsif key is null then
    raise exception '% has no primary key', source
      using errcode = 'invalid_table_definition', hint = format('alter table %s add primary key (…)', source);
  elsif can_wait is not null then
    raise exception '% has a deferrable primary key and cannot be a source', source
      using errcode = 'feature_not_supported',
        detail = 'Two rows may have the same key until a transaction ends, and the log could not tell them apart.',
        hint = format('alter table %1$s drop constraint %2$I; alter table %1$s add constraint %2$I primary key (%3$s)',
          source, can_wait, (select string_agg(quote_ident(c), ', ') from unnest(key) as c));
  end if;
  return key;
end
$$;

-- The columns to propagate, those of the key first and each once.
create or replace function caravan_internal.propagated(source regclass, key text[], columns text[])
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  name text;
  generated "char";
begin
  if columns is null then
    raise exception 'the columns of % are missing', source
      using errcode = 'null_value_not_allowed', hint = 'Name those to propagate: ''{name, email}''.';
  end if;
  foreach name in array columns loop
    select attgenerated into generated
    from pg_attribute
    where attrelid = source and attname = name and attnum > 0 and not attisdropped;
    if not found then
      raise exception '% has no column "%"', source, name
        using errcode = 'undefined_column',
          hint = 'Its columns: ' || (
            select string_agg(quote_ident(attname), ', ' order by attnum)
            from pg_attribute where attrelid = source and attnum > 0 and not attisdropped
          );
    elsif generated = 'v' then
      raise exception 'column "%" of % is a virtual generated column and cannot be propagated', name, source
        using errcode = 'feature_not_supported',
          hint = 'Propagate the columns that it is computed from, or make it STORED.';
    end if;
  end loop;
  return key || array(
    select c from unnest(columns) with ordinality as u (c, position)
    where c <> all (key)
    group by c order by min(position)
  );
end
$$;

-- The base type of a column, as it is written in SQL: a client need not know central's domains.
create or replace function caravan_internal.column_type(source regclass, column_name text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
  with recursive base (oid) as (
    select atttypid from pg_attribute where attrelid = source and attname = column_name
    union all
    select t.typbasetype from base join pg_type t using (oid) where t.typtype = 'd'
  )
  select format_type(oid, -1) from base join pg_type t using (oid) where t.typtype <> 'd'
$$;

-- The columns of a key, and by whose code their values are looked up. A SECURITY DEFINER function must not run code of
-- whoever owns a type: casts, operators, constraints of domains. So a type is one of these:
--   catalog    it is PostgreSQL's own
--   enum       its operators and its text form are PostgreSQL's own
--   extension  it and its operators, which are in `schema`, belong to a superuser (citext)
-- Raises what other types lack. `loose` are those whose values may be equal and written differently. (Those of numbers,
-- 1.0 and 1.00, are the same key in the log.)
create or replace function caravan_internal.key_parts(source regclass, key text[])
returns table ("position" bigint, name text, type text, kind text, schema text, loose boolean)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  t record;
  why text;
begin
  for t in
    select k.n, k.c, b.oid as type_oid, b.typtype, b.typcategory, b.typname, nspname, r.rolsuper
    from unnest(key) with ordinality as k (c, n)
    join pg_type b on b.oid = caravan_internal.column_type(source, k.c)::regtype
    join pg_namespace n on n.oid = b.typnamespace
    join pg_roles r on r.oid = b.typowner
    order by k.n
  loop
    why := null;
    if t.nspname = 'pg_catalog' and t.typtype <> 'c' then
      kind := 'catalog';
    elsif t.typtype = 'e' and exists (select from pg_cast where castsource = t.type_oid and castcontext = 'i') then
      why := 'It has an implicit cast, whose owner could run code with the rights of Caravan.';
    elsif t.typtype = 'e' then
      kind := 'enum';
    elsif t.typtype <> 'b' or t.typcategory = 'A' then
      why := 'Its values contain values of other types, whose owners could run code with the rights of Caravan.';
    elsif not t.rolsuper then
      why := 'It belongs to a role that is no superuser, and that could run code with the rights of Caravan.';
    elsif 3 > (
      select count(*)
      from pg_operator o
      join pg_proc p on p.oid = o.oprcode
      join pg_roles ro on ro.oid = o.oprowner
      join pg_roles rp on rp.oid = p.proowner
      where o.oprname in ('=', '>', '>=') and o.oprleft = t.type_oid and o.oprright = t.type_oid
        and o.oprnamespace = t.nspname::regnamespace and ro.rolsuper and rp.rolsuper
    ) then
      why := 'It has no operators =, > and >= of its own, made by a superuser.';
    else
      kind := 'extension';
    end if;
    if why is not null then
      raise exception 'column "%" of % is of the type %, which cannot be a key''s', t.c, source, t.type_oid::regtype
        using errcode = 'feature_not_supported', detail = why,
          hint = 'Make the primary key of another column, and this one unique.';
    end if;
    "position" := t.n;
    name := t.c;
    type := caravan_internal.column_type(source, t.c);
    schema := case when kind = 'extension' then t.nspname else 'pg_catalog' end;
    loose := kind = 'extension' or type = 'interval' or exists (
      select from pg_attribute a join pg_collation c on c.oid = attcollation
      where attrelid = source and attname = t.c and not collisdeterministic
    );
    return next;
  end loop;
end
$$;

-- The text form of a value, by its type's output function. A cast to text could be somebody's own.
create or replace function caravan_internal.text_of(value text, type text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format(case when typnamespace = 'pg_catalog'::regnamespace then '%1$s::text'
    else 'case num_nulls(%1$s) when 0 then concat(%1$s) end' end, value)
  from pg_type
  where oid = type::regtype
$$;

-- Whether an element of a JSON array keeps a value of the type as it is; otherwise its text form does, so that a cast
-- makes it the same again.
create or replace function caravan_internal.is_plain_in_json(type text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select typnamespace = 'pg_catalog'::regnamespace and typcategory not in ('A', 'C') and typname <> 'jsonb'
  from pg_type
  where oid = type::regtype
$$;
