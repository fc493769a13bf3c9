-- What a run must know: whether the client can be compared, what its source is like, what is not compared.

-- The type of this name; null: there is none. The hub need not have any rights on the type's schema.
create or replace function caravan_internal.type_named(name text)
returns oid
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select to_regtype(name)
$$;
comment on function caravan_internal.type_named is 'The type of this name';

-- Those of some types of a client that central lacks.
create or replace function caravan_internal.unknown_types(types text[])
returns text[]
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select array(select t from unnest(types) as t where to_regtype(t) is null)
$$;
comment on function caravan_internal.unknown_types is 'Which of a client''s types central lacks';

-- Whether a client can be compared at present, by its cursor: it follows this history of central and is loaded. Otherwise
-- much may be missing that it is about to get.
create or replace function caravan_internal.is_comparable(cursor jsonb, source text)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(cursor ->> 'epoch' = caravan_internal.epoch() and caravan_internal.is_known(cursor) and not cursor ? 'fill' and (
    select caravan_internal.is_loaded_from(s, cursor) from caravan.source s where s.name = is_comparable.source
  ), false)
$$;
comment on function caravan_internal.is_comparable is 'Whether a client at a cursor can be compared';

-- The keys of a source that a client refuses, that break its contract, or that were given up: they are not compared.
create or replace function caravan_internal.refused_keys(client text, source text)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(d.key), '[]')
  from caravan.dead_letter d
  where d.client in (refused_keys.client, '*') and d.source = refused_keys.source and d.key is not null
    and d.state <> 'resolved'
$$;

-- What is wrong with a source whose name another table has taken; null: none has. That the tracked table has only been renamed
-- does no harm.
create or replace function caravan_internal.replaced_by_another(tracked caravan.source)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('%s is another table now than the tracked one, which is called %s: track it', tracked.name, tracked.relation)
  where to_regclass(tracked.name) <> tracked.relation
$$;

-- The digest of the client's local rows in the target of a run, as it last was; null: it is not known.
create or replace function caravan_internal.local_digest(run bigint)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(local_digest.run);
  select v.local
  from caravan.reconciliation r
  join caravan.verification v on v.client = r.client and v.source = r.source and v.target = r.target
  where r.id = local_digest.run
$$;
comment on function caravan_internal.local_digest is 'The digest of a client''s local rows';

-- Keeps the digest of the client's local rows. They seldom change: so a comparison need not tell them from the
-- others, as long as it is right.
create or replace function caravan_internal.keep_local_digest(run bigint, local jsonb)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(keep_local_digest.run);
  update caravan.verification v
  set local = keep_local_digest.local
  from caravan.reconciliation r
  where r.id = keep_local_digest.run and v.client = r.client and v.source = r.source and v.target = r.target
$$;
comment on function caravan_internal.keep_local_digest is 'Keeps the digest of a client''s local rows';

-- What a run must know of its source. unfit: why it can't be compared; null: it can.
--   description  key and columns, as a page describes them
--   rows         about how many
--   local        the digest of the client's local rows, as it last was
create or replace function caravan_internal.source_of_run(
  run bigint, out unfit text, out id int, out relation oid, out description jsonb, out rows bigint, out refused text[],
  out local jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  r constant caravan.reconciliation := (select c from caravan.reconciliation c where c.id = source_of_run.run);
  tracked constant caravan.source := (select s from caravan.source s where s.name = r.source);
begin
  perform caravan_internal.check_run(run);
  unfit := case when tracked.id is null then 'it is no longer tracked' else caravan_internal.replaced_by_another(tracked) end;
  if unfit is null then
    id := tracked.id;
    relation := tracked.relation;
    description := caravan_internal.describe(array[r.source]) -> r.source;
    rows := caravan_internal.estimated_rows(tracked);
    refused := array(select jsonb_array_elements(caravan_internal.refused_keys(r.client, r.source))::text);
    local := caravan_internal.local_digest(run);
  end if;
end
$$;
comment on function caravan_internal.source_of_run is 'What a run must know of its source';
