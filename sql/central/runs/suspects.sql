-- The keys that a run suspects to differ, and what is decided about them.

-- Turns a key of a list, an array of texts, into the form that keys have in the log; null if it can't be a key of the
-- source. Has the same settings as the functions that write the log.
create or replace function caravan_internal.typed_key(source int, key jsonb)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
as $$
declare
  typed jsonb;
begin
  execute format('select caravan_internal.typed_%s($1)', source) into typed using key;
  return typed;
exception
  when data_exception then
    return null;
end
$$;

-- Suspects keys: those as they are in the log, and those of a list of the client's, each an array of texts as text. What can be
-- no key of the source is none.
create or replace function caravan_internal.suspect_keys(run bigint, keys text[], key_texts text[] default '{}')
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  source constant int := (
    select s.id from caravan.reconciliation r join caravan.source s on s.name = r.source where r.id = suspect_keys.run
  );
begin
  perform caravan_internal.check_run(run);
  insert into caravan_internal.suspect (run, key)
  select suspect_keys.run, k.key
  from (
    select k::jsonb as key from unnest(keys) as k
    union
    select caravan_internal.typed_key(source, to_jsonb(k::text[])) from unnest(key_texts) as k
  ) as k
  where k.key is not null
  on conflict do nothing;
end
$$;
comment on function caravan_internal.suspect_keys is 'Suspects keys that differ in a list';

-- Suspects keys that the client has noted as central's. What is no key of the source would stop all others, were it to be
-- repaired.
create or replace function caravan_internal.suspect_noted(run bigint, keys text[])
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(suspect_noted.run);
  insert into caravan_internal.suspect (run, key)
  select suspect_noted.run, k::jsonb
  from unnest(keys) as k, caravan.reconciliation r
  join caravan.source s on s.name = r.source
  where r.id = suspect_noted.run and k::jsonb = caravan_internal.typed_key(s.id, k::jsonb)
  on conflict do nothing
$$;
comment on function caravan_internal.suspect_noted is 'Suspects keys that the client has noted without having a row';

-- Finds those of the keys that the client has noted as central's which central has no more. What is no key of the source would
-- stop all others, were it to be repaired.
create or replace function caravan_internal.suspect_gone(run bigint, keys text[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  source constant caravan.source := (
    select s from caravan.reconciliation r join caravan.source s on s.name = r.source where r.id = suspect_gone.run
  );
begin
  perform caravan_internal.check_run(run);
  execute format($q$
    insert into caravan_internal.suspect (run, key, verdict, replicated)
    select $1, k::jsonb, 'surplus', true
    from unnest($2) as k
    where k::jsonb = caravan_internal.typed_key(%1$s, k::jsonb) and not exists (select from caravan_internal.%2$s_%1$s(k::jsonb))
    on conflict do nothing
  $q$, source.id, case when source.loose then 'spelled' else 'found' end) using run, keys;
end
$$;
comment on function caravan_internal.suspect_gone is 'Finds keys that the client has noted and that are gone from central';

-- The keys to check next on both sides: those that were not checked yet, or else those that were changing; at most `most`, and
-- none more than `most_checks` times. And the keys that are not compared.
create or replace function caravan_internal.keys_to_check(
  run bigint, most int, most_checks int, out keys text[], out checks int, out refused text[]
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(keys_to_check.run);
  select coalesce(array_agg(s.key::text), '{}'), coalesce(min(s.checks), 0), (
      select array(select jsonb_array_elements(caravan_internal.refused_keys(r.client, r.source))::text)
      from caravan.reconciliation r where r.id = keys_to_check.run
    )
  from (
    select *
    from caravan_internal.suspect s
    where s.run = keys_to_check.run and s.verdict in ('suspected', 'changing') and s.checks < most_checks
    order by s.checks, s.key
    limit most
  ) as s
$$;
comment on function caravan_internal.keys_to_check is 'The keys that a run checks next';

-- What has become known since both sides were checked: in a later transaction than both checks, so that what could have come
-- between them is in the log by now.
--   changing  those keys of which the log has a change that central's reading or the client's cursor has not seen. All of
--             them if the source was truncated. A cursor that is within a backlog has also seen the entries up to its
--             position there
--   refused   those keys that are not compared
create or replace function caravan_internal.changed_since_check(
  run bigint, keys text[], read pg_snapshot, cursor jsonb,
  out is_comparable boolean, out changing text[], out refused text[]
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- the planner underestimates how many keys there are
set jit = off
as $$
declare
  r constant caravan.reconciliation := (select c from caravan.reconciliation c where c.id = changed_since_check.run);
  source_id constant int := (select s.id from caravan.source s where s.name = r.source);
  seen constant pg_snapshot := cursor ->> 'snapshot';
  upto constant pg_snapshot := cursor #>> '{window,upto}';
  after constant bigint := cursor #>> '{window,after}';
  unseen jsonb[];
begin
  perform caravan_internal.check_run(run);
  is_comparable := caravan_internal.is_comparable(cursor, r.source);
  if not is_comparable then
    return;
  end if;
  unseen := array(
    select c.key
    from caravan.change c
    where c.source = source_id
      and (c.xid >= least(pg_snapshot_xmax(read), pg_snapshot_xmax(seen))
        or c.xid = any (array(select pg_snapshot_xip(read) union all select pg_snapshot_xip(seen))))
      and not (pg_visible_in_snapshot(c.xid, read) and (pg_visible_in_snapshot(c.xid, seen)
        or coalesce(c.id <= after and pg_visible_in_snapshot(c.xid, upto), false)))
  );
  changing := case when array_position(unseen, null) is not null then keys else array(
    select k from unnest(keys) as k where k::jsonb in (select u from unnest(unseen) as u)
  ) end;
  refused := array(
    select k from unnest(keys) as k where k::jsonb in (select jsonb_array_elements(caravan_internal.refused_keys(r.client, r.source)))
  );
end
$$;
comment on function caravan_internal.changed_since_check is 'What has become known since both sides were checked';

-- Keeps what was decided about keys, and returns how many keys are known to differ by now.
--   verdicts    those of caravan_internal.suspect, or equal
--   replicated  whether the client has noted the key as central's
--   spelled     the key as central writes it, if in another way: it is suspected, too
--   key_texts   the key of the client's row as the client writes it
create or replace function caravan_internal.keep_verdicts(
  run bigint, keys text[], verdicts text[], replicated boolean[], spelled text[], key_texts text[]
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- the planner underestimates how many keys there are
set jit = off
as $$
begin
  perform caravan_internal.check_run(run);
  -- A key that central writes in another way: central has no row of this key, and one of the other.
  insert into caravan_internal.suspect (run, key)
  select keep_verdicts.run, k::jsonb from unnest(keep_verdicts.spelled) as k where k is not null
  on conflict do nothing;
  update caravan_internal.suspect s
  set checks = s.checks + 1, verdict = j.verdict, replicated = j.replicated, spelled = j.spelled::jsonb, key_text = j.key_text
  from unnest(keep_verdicts.keys, keep_verdicts.verdicts, keep_verdicts.replicated, keep_verdicts.spelled, keep_verdicts.key_texts)
    as j (key, verdict, replicated, spelled, key_text)
  where s.run = keep_verdicts.run and s.key = j.key::jsonb;
  -- For the client, too, it is the same key, and the same row.
  delete from caravan_internal.suspect s
  using caravan_internal.suspect as right_one
  where s.run = keep_verdicts.run and right_one.run = s.run and right_one.key = s.spelled and right_one.key_text = s.key_text;
  delete from caravan_internal.suspect s where s.run = keep_verdicts.run and s.verdict = 'equal';
  return (
    select count(*)
    from caravan_internal.suspect s
    where s.run = keep_verdicts.run and s.verdict in ('missing', 'stale', 'surplus', 'orphaned')
  );
end
$$;
comment on function caravan_internal.keep_verdicts is 'Keeps what was decided about keys';

-- How many keys are what. unnoted: missing or stale, and the client has not noted them as central's.
create or replace function caravan_internal.tally(
  run bigint, out missing bigint, out stale bigint, out surplus bigint, out orphaned bigint, out local bigint,
  out changing bigint, out skipped bigint, out repaired bigint, out "all" bigint, out unnoted bigint
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(tally.run);
  select count(*) filter (where verdict = 'missing'), count(*) filter (where verdict = 'stale'),
    count(*) filter (where verdict = 'surplus'), count(*) filter (where verdict = 'orphaned'),
    count(*) filter (where verdict = 'local'), count(*) filter (where verdict = 'changing'),
    count(*) filter (where verdict = 'skipped'), count(*) filter (where verdict = 'repaired'), count(*),
    count(*) filter (where verdict in ('missing', 'stale') and not replicated)
  from caravan_internal.suspect s
  where s.run = tally.run
$$;
comment on function caravan_internal.tally is 'How many of the keys of a run are what';
