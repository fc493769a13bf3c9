-- Which tables of a client are compared, what has been asked for them, and of which of them there are doubts.
--
-- Central keeps of the runs that compare a client with it: which one is due, which hub works for it, how far it is, and which
-- keys are suspected. What a run asks, decides and repairs is in Java, io.caravan.reconcile.Reconciliation: it works in small
-- steps, each of which ends with caravan_internal.keep_on, so that another hub can go on where one has died.

-- Requests that were made before anything was known of a client are of its targets from now on, the first of which takes
-- the place of the request.
create or replace function caravan_internal.place_requests(client text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  early caravan.reconciliation;
begin
  for early in
    select * from caravan.reconciliation r
    where r.client = place_requests.client and r.state = 'requested' and r.target = '*'
    for update skip locked
  loop
    insert into caravan.reconciliation (client, source, target, reason, key, dry_run)
    select v.client, v.source, v.target, early.reason, early.key, early.dry_run
    from caravan.verification v
    where v.client = place_requests.client and early.source in ('*', v.source)
    order by v.source, v.target
    offset 1;
    update caravan.reconciliation r
    set source = v.source, target = v.target
    from (
      select v.source, v.target
      from caravan.verification v
      where v.client = place_requests.client and early.source in ('*', v.source)
      order by v.source, v.target
      limit 1
    ) as v
    where r.id = early.id;
  end loop;
end
$$;

-- Notes which targets a client has, forgets those that it no longer has, and ends what runs for them.
create or replace function caravan_internal.note_targets(client text, mapping jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  targets constant text[] := array(
    select format('%s > %s', t ->> 'source', t ->> 'table') from jsonb_array_elements(mapping) as t
  );
begin
  insert into caravan.verification (client, source, target)
  select note_targets.client, s.name, t ->> 'table'
  from jsonb_array_elements(mapping) as t
  join caravan.source s on s.name = t ->> 'source'
  on conflict do nothing;
  perform caravan_internal.place_requests(client);
  delete from caravan.verification v
  where v.client = note_targets.client and format('%s > %s', v.source, v.target) <> all (targets);
  update caravan.reconciliation r
  set state = 'stopped', ended_at = clock_timestamp(), notes = notes || 'it is not mapped'::text
  where r.client = note_targets.client and r.state in ('requested', 'running')
    and format('%s > %s', r.source, r.target) <> all (targets);
end
$$;

-- A client may have rows of these sources that central has no more, and of which the log says nothing. The reason is `epoch`:
-- its cursor is of another history, or the source was untracked meanwhile; or `truncate`: it could not empty its table. It will
-- be compared. To be called before the cursor moves on. Runs under way begin again. One that waits for a person has not seen
-- what there is to decide about now, and what a person has confirmed was of another history. What the client refuses is not
-- compared, and may be gone, too: it is sent once more. The sources are given parents first, and compared children first: as
-- long as a child is there, a client may refuse to delete its parent.
create or replace function caravan_internal.doubt(client text, mapping jsonb, sources text[], reason text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  noted timestamptz;
begin
  perform caravan_internal.check_hub(client, sources);
  perform caravan_internal.note_targets(client, mapping);
  update caravan.reconciliation r
  set checkpoint = null, step = r.step + 1, confirmed = r.confirmed and doubt.reason <> 'epoch'
  where r.client = doubt.client and r.source = any (sources) and r.state in ('requested', 'running');
  update caravan.reconciliation r
  set state = 'stopped', notes = r.notes || 'the client is compared once more'::text
  where r.client = doubt.client and r.source = any (sources) and r.state = 'waiting';
  noted := clock_timestamp();
  update caravan.verification v
  set doubt = doubt.reason,
    doubted_at = noted + (cardinality(sources) - array_position(sources, v.source)) * interval '1 microsecond'
  where v.client = doubt.client and v.source = any (sources);
  perform caravan_internal.requeue(array(
    select d
    from caravan.dead_letter d
    where d.client in (doubt.client, '*') and d.source = any (sources) and d.key is not null and d.state <> 'resolved'
  ));
  perform caravan_internal.ask_hub('reconcile');
end
$$;
comment on function caravan_internal.doubt is 'Has a client compared that may have rows of which the log says nothing';
