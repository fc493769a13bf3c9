-- Which hub works for a run, and from where another one could go on with it.

-- The run that a hub is to work for now; run is null if there is none. `percent` of a core may go into verifying. Of several
-- hubs one works for a client at a time. Another takes over when it has not been heard of for `patience`. If the client's
-- mapping has changed, the run begins again.
--   checkpoint  where to go on; null: at the beginning
--   equal_at    until when all that the client maps was shown to be equal to central; null: never
create or replace function caravan_internal.claim_run(
  client text, mapping jsonb, hub text, scheduled_at timestamptz, percent numeric, patience interval default '2 minutes',
  out run bigint, out step bigint, out source text, out target text, out reason text, out key jsonb, out dry_run boolean,
  out confirmed boolean, out checkpoint jsonb, out equal_at timestamptz
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  chosen caravan.reconciliation;
begin
  perform caravan_internal.check_hub(client, array(select t ->> 'source' from jsonb_array_elements(mapping) as t));
  perform caravan_internal.note_targets(client, mapping);
  select case when bool_and(v.equal_at is not null) then min(v.equal_at) end into equal_at
  from caravan.verification v where v.client = claim_run.client;

  select * into chosen
  from caravan.reconciliation r
  where r.client = claim_run.client and r.state = 'running'
  for update skip locked;
  if not found then
    if exists (select from caravan.reconciliation r where r.client = claim_run.client and r.state = 'running') then
      return;  -- another hub is just about to go on with it
    end if;
    chosen := caravan_internal.due_run(client, scheduled_at, percent);
  elsif chosen.hub <> hub and chosen.alive_at between clock_timestamp() - patience and clock_timestamp() then
    return;  -- its hub is alive. An alive_at in the future is a rest, as an older release noted it: that run is taken over
  end if;
  if chosen.id is null then
    return;
  end if;

  if chosen.checkpoint is null or chosen.mapping is distinct from md5(mapping::text) then
    delete from caravan_internal.suspect s where s.run = chosen.id;
    chosen.checkpoint := null;
    chosen.started_at := clock_timestamp();
    chosen.notes := '{}';
  end if;
  update caravan.reconciliation r
  set state = 'running', hub = claim_run.hub, alive_at = clock_timestamp(), step = r.step + 1, started_at = chosen.started_at,
    mapping = md5(claim_run.mapping::text), checkpoint = chosen.checkpoint, notes = chosen.notes
  where r.id = chosen.id
  returning r.id, r.step, r.source, r.target, r.reason, r.key, r.dry_run, r.confirmed, r.checkpoint
  into run, step, source, target, reason, key, dry_run, confirmed, checkpoint;
exception
  when unique_violation then
    null;  -- another hub was quicker
end
$$;
comment on function caravan_internal.claim_run is 'The run that a hub is to work for, to compare a client';

-- Notes that a hub goes on with a run; first of all in each transaction that writes for the run. `step` grows; null: the run
-- is no longer this hub's, because another one has gone on with it, or somebody has stopped it.
--   checkpoint  from where another hub could go on; null: the last checkpoint stays, and so does the count of failures
--   rested      how long the run has rested since the last time; that was no work
--   awaited     whether somebody waits for another run of the client
create or replace function caravan_internal.keep_on(
  run bigint, hub text, inout step bigint, checkpoint jsonb default null, share numeric default null,
  rested interval default '0', out awaited boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan_internal.check_run(run);
  update caravan.reconciliation r
  set step = r.step + 1, worked = r.worked + (clock_timestamp() - r.alive_at - keep_on.rested), alive_at = clock_timestamp(),
    failures = case when keep_on.checkpoint is null then r.failures else 0 end,
    checkpoint = coalesce(keep_on.checkpoint, r.checkpoint), share = coalesce(keep_on.share, r.share)
  where r.id = keep_on.run and r.step = keep_on.step and r.hub = keep_on.hub and r.state = 'running'
  returning r.step, caravan_internal.is_requested(r.client) into step, awaited;
end
$$;
comment on function caravan_internal.keep_on is 'Notes that a hub goes on with a run, and from where another one could';
