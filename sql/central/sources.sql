-- What others ask of the sources: how they are described, and whether they can still be read.

-- The names of the sources, as a JSON array.
create or replace function caravan_internal.sources()
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(json_agg(name order by name), '[]')::text from caravan.source
$$;
comment on function caravan_internal.sources is 'The names of the sources';

-- The sources as a page describes them: {"public.users": {"key": ["id"], "columns": {"id": "bigint", "name": "text"}}}.
create or replace function caravan_internal.descriptions()
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_object_agg(name, jsonb_build_object('key', key, 'columns', jsonb_object(columns, types))), '{}')
  from caravan.source
$$;
comment on function caravan_internal.descriptions is 'The sources with their keys and columns';

-- These sources as a page describes them, for caravan_internal.source_of_run. Whoever tracks a source with other columns
-- replaces the functions that find its rows. A query that began before finds the new functions, but the old columns in
-- caravan.source: for that query this raises an error.
create or replace function caravan_internal.describe(names text[])
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  description jsonb;
  anew text;
begin
  select coalesce(jsonb_object_agg(name, jsonb_build_object('key', key, 'columns', jsonb_object(columns, types))), '{}'),
    min(name) filter (where columns is distinct from caravan_internal.columns_of(id))
  into description, anew
  from caravan.source
  where name = any (names);
  if anew is not null then
    raise exception 'the source % was tracked with other columns just now', anew
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  return description;
end
$$;

-- For the progress of an initial load. Counts only where PostgreSQL has no estimate yet.
create or replace function caravan_internal.estimated_rows(source caravan.source)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  rows bigint := (select reltuples from pg_class where oid = source.relation);
begin
  if rows <= 0 then
    execute format('select count(*) from only %s', source.relation) into rows;
  end if;
  return rows;
end
$$;

-- The columns whose values the rows of a source have. Made again whenever a source is: so also a query that began before,
-- and sees the old columns in caravan.source, learns of it.
create or replace function caravan_internal.make_columns_of()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock('caravan.source'::regclass::int, 0);
  execute format($f$
    create or replace function caravan_internal.columns_of(source integer) returns text[]
    language sql
    immutable
    return case source %s end
  $f$, (
    select coalesce(string_agg(format('when %s then %L::text[]', id, columns), ' '), 'when null then null::text[]')
    from caravan.source
  ));
  revoke all on function caravan_internal.columns_of from public;
end
$$;

do $$
begin
  perform caravan_internal.make_columns_of();
end
$$;

-- Whether the functions of a source are gone: those that find its rows go with the table, or with a column of it, if that
-- is dropped with CASCADE.
create or replace function caravan_internal.is_lost(source int)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select to_regprocedure(format('caravan_internal.found_%s(jsonb)', source)) is null
$$;

-- Whoever reads changes may see a source that was untracked a moment ago. Its rows are not gone.
create or replace function caravan_internal.find_untracked(source integer)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'source % is no longer tracked', source using errcode = 'object_not_in_prerequisite_state';
end
$$;

-- Says what has become of a source that is lost.
create or replace function caravan_internal.refuse_lost(source caravan.source)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  again constant text := format('select caravan.track(%L, %L)', source.name, array(
    select c
    from unnest(source.columns) with ordinality as u (c, position)
    where not exists (select from pg_class where oid = source.relation)
      or exists (select from pg_attribute where attrelid = source.relation and attname = c and not attisdropped)
    order by position
  ));
begin
  if caravan_internal.columns_of(source.id) is null then
    perform caravan_internal.find_untracked(source.id);
  elsif exists (select from pg_class where oid = source.relation) then
    raise exception 'columns of the source % were dropped in central', source.name
      using errcode = 'CV006', hint = 'Track it again, with the columns that it still has: ' || again;
  elsif to_regclass(source.name) is not null then
    raise exception 'the table % is not the one that is tracked: that was dropped', source.name
      using errcode = 'CV006', hint = 'Track the new one: ' || again;
  end if;
  raise exception 'the table of the source % was dropped', source.name
    using errcode = 'CV006',
      hint = format('select caravan.untrack(%L); or make the table again, and %s', source.name, again);
end
$$;
