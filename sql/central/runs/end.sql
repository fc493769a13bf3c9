-- How a run ends.

-- Ends a run.
create or replace function caravan_internal.end_run(run bigint, state text, note text default null)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(end_run.run);
  update caravan.reconciliation r
  set state = end_run.state, ended_at = clock_timestamp(), notes = r.notes || array_remove(array[end_run.note], null),
    checkpoint = null
  where r.id = end_run.run;
  delete from caravan_internal.suspect s where s.run = end_run.run
$$;
comment on function caravan_internal.end_run is 'Ends a run';

-- Ends a run that has come through. The client is shown to be equal as of its beginning, if all its rows and columns were
-- compared, and none is refused at present.
create or replace function caravan_internal.finish_run(
  run bigint, is_equal boolean, repaired bigint default 0, skipped bigint default 0, notes text[] default '{}'
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  r caravan.reconciliation;
begin
  perform caravan_internal.check_run(run);
  update caravan.reconciliation c
  set repaired = finish_run.repaired, skipped = c.skipped + finish_run.skipped, notes = c.notes || finish_run.notes
  where c.id = finish_run.run
  returning * into r;
  if is_equal and r.key is null and r.notes = '{}' and not exists (
    select from caravan.dead_letter d
    where d.client in (r.client, '*') and d.source = r.source and d.state in ('retrying', 'open')
  ) and not exists (
    select from caravan.source s where s.name = r.source and caravan_internal.replaced_by_another(s) is not null
  ) then
    update caravan.verification v
    set equal_at = r.started_at
    where v.client = r.client and v.source = r.source and v.target = r.target;
  end if;
  if is_equal and r.key is null and not r.dry_run then
    update caravan.verification v
    set doubt = null, doubted_at = null
    where v.client = r.client and v.source = r.source and v.target = r.target and v.doubted_at < r.started_at;
  end if;
  -- What was repaired was sent to every client, and may have made room for others there.
  if repaired > 0 then
    perform caravan_internal.requeue_dependent();
  end if;
  -- Of those that have only verified, the last one is enough.
  delete from caravan.reconciliation o
  where o.client = r.client and o.source = r.source and o.target = r.target and o.id < r.id
    and (o.reason = 'verify' and o.state in ('done', 'stopped') and o.missing + o.stale + o.surplus = 0
      or o.ended_at < now() - interval '90 days');
  perform caravan_internal.end_run(run, 'done');
end
$$;
comment on function caravan_internal.finish_run is 'Ends a run that has come through';

-- A run failed. It is tried again; the fifth failure since its last checkpoint ends it.
create or replace function caravan_internal.run_failed(run bigint, hub text, cause text)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(run_failed.run);
  update caravan.reconciliation c
  set failures = failures + 1, notes = case when failures >= 4 then notes || cause else notes end,
    state = case when failures >= 4 then 'failed' else state end,
    ended_at = case when failures >= 4 then clock_timestamp() end
  where c.id = run_failed.run and c.hub = run_failed.hub and c.state = 'running'
$$;
comment on function caravan_internal.run_failed is 'Counts a failure of a run, and ends it after the fifth';
