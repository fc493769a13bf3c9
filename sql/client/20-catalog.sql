-- What sweeping and comparing need to know of a client's tables.

-- The mapping, whose entries that take a source once more to the same table say so: "entry", 2 for the second.
create or replace function caravan.numbered(mapping jsonb)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_agg(case when entry = 1 then target else target || jsonb_build_object('entry', entry) end order by "position")
  from (
    select t as target, p as "position", row_number() over (partition by t -> 'source', t -> 'table' order by p) as entry
    from jsonb_array_elements(mapping) with ordinality as m (t, p)
  ) as entries
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

-- The number of a target, by which its rows are noted, as the hub computes it.
create or replace function caravan.number_of(client text, target jsonb)
returns bigint
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select ('x' || left(md5(convert_to(
    concat_ws(E'\n', client, target ->> 'source', target ->> 'table', coalesce(target ->> 'entry', '1')), 'UTF8')), 16)
  )::bit(64)::bigint
$$;

-- Raises if row security may hide rows of a table: then a deletion would seem done, and what differs would seem equal.
create or replace function caravan.check_visible(relation regclass)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if row_security_active(relation) and exists (
    select
    from (values ('r'), ('d')) as needed (command)
    where not exists (
        select from pg_policy p
        where p.polrelid = relation and p.polpermissive and p.polcmd in ('*', command)
          and pg_get_expr(p.polqual, relation) = 'true'
          and exists (select from unnest(p.polroles) as r where r = 0 or pg_has_role(r, 'usage'))
      )
      or exists (
        select from pg_policy p
        where p.polrelid = relation and not p.polpermissive and p.polcmd in ('*', command)
          and pg_get_expr(p.polqual, relation) <> 'true'
          and exists (select from unnest(p.polroles) as r where r = 0 or pg_has_role(r, 'usage'))
      )
  ) then
    raise exception 'row-level security may hide rows of % from %', relation, current_user
      using errcode = 'CV006',
        hint = format('alter role %I bypassrls, or give it policies for select and delete that are true for all rows', current_user);
  end if;
end
$$;
