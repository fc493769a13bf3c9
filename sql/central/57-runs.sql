-- What central keeps of the runs that compare a client with it: which one is due, which hub works for it, how far it is, and
-- which keys are suspected. What a run asks, decides and repairs is in Java, io.caravan.reconcile.Reconciliation: it works
-- in small steps, each of which ends with caravan.keep_on, so that another hub can go on where one has died.

-- The type of this name; null: there is none. The hub need not have any rights on the type's schema.
create or replace function caravan.type_named(name text)
returns oid
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select to_regtype(name)
$$;
comment on function caravan.type_named is 'The type of this name';

-- Requests that were made before anything was known of a client are of its targets from now on, the first of which takes
-- the place of the request.
create or replace function caravan.place_requests(client text)
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
create or replace function caravan.note_targets(client text, mapping jsonb)
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
  perform caravan.place_requests(client);
  delete from caravan.verification v
  where v.client = note_targets.client and format('%s > %s', v.source, v.target) <> all (targets);
  update caravan.reconciliation r
  set state = 'stopped', ended_at = clock_timestamp(), notes = notes || 'it is not mapped'::text
  where r.client = note_targets.client and r.state in ('requested', 'running')
    and format('%s > %s', r.source, r.target) <> all (targets);
end
$$;

-- Whether a run was stopped because the client was being filled, by what it has noted.
create or replace function caravan.met_a_fill(notes text[])
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select notes && '{the client is not filled yet,the client is being filled anew}'
$$;

-- A client may have rows of these sources that central has no more, and of which the log says nothing. The reason is `epoch`:
-- its cursor is of another history, or the source was untracked meanwhile; or `truncate`: it could not empty its table. It will
-- be compared. To be called before the cursor moves on. Runs under way begin again. One that waits for a person has not seen
-- what there is to decide about now, and what a person has confirmed was of another history. What the client refuses is not
-- compared, and may be gone, too: it is sent once more. The sources are given parents first, and compared children first: as
-- long as a child is there, a client may refuse to delete its parent.
create or replace function caravan.doubt(client text, mapping jsonb, sources text[], reason text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  noted timestamptz;
begin
  perform caravan.check_hub(client, sources);
  perform caravan.note_targets(client, mapping);
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
  perform caravan.touch(array(
    select d
    from caravan.dead_letter d
    where d.client in (doubt.client, '*') and d.source = any (sources) and d.key is not null and d.state <> 'resolved'
  ));
  perform caravan.ask_hub('reconcile');
end
$$;
comment on function caravan.doubt is 'Has a client compared that may have rows of which the log says nothing';

-- The run of a whole table that was begun last; null: none was.
create or replace function caravan.last_run(compared caravan.verification)
returns caravan.reconciliation
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select r
  from caravan.reconciliation r
  where r.client = compared.client and r.source = compared.source and r.target = compared.target and r.key is null
    and r.started_at is not null
  order by r.id desc
  limit 1
$$;

-- When a table may be compared again at the soonest: at once where it was not, soon after a run that met a fill.
create or replace function caravan.rested_at(last caravan.reconciliation)
returns timestamptz
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select last.ended_at + case when caravan.met_a_fill(last.notes) then interval '5 seconds' else interval '1 minute' end
$$;

-- The run for the oldest doubt about a client, if any. The next one has to wait until that is settled, by a person if need be.
-- After a TRUNCATE nobody is asked, nor waited for: it said that all rows go.
create or replace function caravan.run_for_doubt(client text)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  doubted caravan.verification;
  due caravan.reconciliation;
begin
  select v.* into doubted
  from caravan.verification v
  left join lateral caravan.last_run(v) as last on true
  where v.client = run_for_doubt.client and v.doubt is not null
    and not exists (
      select from caravan.verification child
      where child.client = v.client and child.doubted_at < v.doubted_at and (v.doubt = 'epoch' or child.doubt = 'truncate')
    )
    and coalesce(last.started_at < v.doubted_at or last.state <> 'waiting'
      and now() > caravan.rested_at(last), true)
  order by v.doubted_at
  limit 1;
  if not found then
    return null;
  end if;

  delete from caravan.reconciliation r
  where r.client = doubted.client and r.source = doubted.source and r.target = doubted.target
    and r.reason in ('epoch', 'truncate') and r.state = 'stopped' and r.missing + r.stale + r.surplus = 0;
  insert into caravan.reconciliation (client, source, target, reason, confirmed)
  values (doubted.client, doubted.source, doubted.target, doubted.doubt, doubted.doubt = 'truncate')
  returning * into due;
  return due;
end
$$;

-- Which run is due for a client, if any: one that was requested; one because of a doubt; the one that was scheduled last, at
-- `scheduled_at`; one to verify, as often as it takes no more than `percent` of the time, but soon after a fill. Not while
-- one waits for a person.
create or replace function caravan.due_run(client text, scheduled_at timestamptz, percent numeric)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  due caravan.reconciliation;
begin
  select * into due
  from caravan.reconciliation r
  where r.client = due_run.client and r.state = 'requested'
  order by r.id
  limit 1;
  if found then
    return due;
  end if;
  due := caravan.run_for_doubt(client);
  if due.id is not null then
    return due;
  end if;

  select v.source, v.target,
    case when coalesce(last.started_at < scheduled_at, scheduled_at is not null) then 'schedule' else 'verify' end
  into due.source, due.target, due.reason
  from caravan.verification v
  left join lateral caravan.last_run(v) as last on true
  where v.client = due_run.client and last.state is distinct from 'waiting' and (
    last.started_at < scheduled_at or last.started_at is null and scheduled_at is not null
    or percent > 0 and coalesce(now() > greatest(caravan.rested_at(last), case when caravan.met_a_fill(last.notes) then null
      else last.started_at + last.worked * (100 / nullif(percent, 0))::float8 end), true)
  )
  order by last.started_at nulls first
  limit 1;
  if due.source is not null then
    delete from caravan.reconciliation r
    where r.client = due_run.client and r.source = due.source and r.target = due.target and r.reason = 'verify'
      and r.state = 'stopped' and caravan.met_a_fill(r.notes);
    insert into caravan.reconciliation (client, source, target, reason)
    values (due_run.client, due.source, due.target, due.reason)
    returning * into due;
  end if;
  return due;
end
$$;

-- Whether somebody waits for a comparison of a client.
create or replace function caravan.is_requested(client text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from caravan.reconciliation r where r.client = is_requested.client and r.state = 'requested')
$$;

-- The run that a hub is to work for now; run is null if there is none. `percent` of the time may go into verifying. Of several
-- hubs one works for a client at a time; another takes over when it has not been heard of for `patience`. A run whose client
-- has got another mapping begins anew.
--   checkpoint  where to go on; null: at the beginning
--   equal_at    until when all that the client maps was shown to be equal to central; null: never
create or replace function caravan.claim_run(
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
  perform caravan.check_hub(client, array(select t ->> 'source' from jsonb_array_elements(mapping) as t));
  perform caravan.note_targets(client, mapping);
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
    chosen := caravan.due_run(client, scheduled_at, percent);
  elsif chosen.hub <> hub and chosen.alive_at > clock_timestamp() - patience
    or chosen.alive_at > clock_timestamp() and not caravan.is_requested(client)
  then
    return;
  end if;
  if chosen.id is null then
    return;
  end if;

  if chosen.checkpoint is null or chosen.mapping is distinct from md5(mapping::text) then
    delete from caravan.suspect s where s.run = chosen.id;
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
comment on function caravan.claim_run is 'The run that a hub is to work for, to compare a client';

-- Notes that a hub goes on with a run; first of all in each transaction that writes for the run. `step` grows; null: the run
-- is no longer this hub's, because another one has gone on with it, or somebody has stopped it.
--   checkpoint    from where another hub could go on; null: from where it could until now
--   rest_percent  one that only verifies has no hurry, and between two parts of a table it rests until it has taken no more
--                 than this share of the time; unless another one was requested meanwhile. Null: it does not rest
create or replace function caravan.keep_on(
  run bigint, hub text, inout step bigint, checkpoint jsonb default null, share numeric default null,
  rest_percent numeric default null, out rests boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  r caravan.reconciliation;
  rests_until timestamptz;
begin
  perform caravan.check_run(run);
  select * into r
  from caravan.reconciliation c
  where c.id = keep_on.run and c.step = keep_on.step and c.hub = keep_on.hub and c.state = 'running'
  for update;
  if not found then
    step := null;
    return;
  end if;
  r.worked := r.worked + (clock_timestamp() - r.alive_at);
  if not caravan.is_requested(r.client) then
    rests_until := r.started_at + r.worked * (100 / nullif(rest_percent, 0))::float8;
  end if;
  update caravan.reconciliation c
  set step = c.step + 1, worked = r.worked, alive_at = greatest(clock_timestamp(), rests_until), failures = 0,
    checkpoint = coalesce(keep_on.checkpoint, c.checkpoint), share = coalesce(keep_on.share, c.share)
  where c.id = keep_on.run
  returning c.step, c.alive_at > clock_timestamp() into step, rests;
end
$$;
comment on function caravan.keep_on is 'Notes that a hub goes on with a run, and from where another one could';

-- Whether a client can be compared at present, by its cursor: it follows this history of central and is filled. Otherwise
-- much may be missing that it is about to get.
create or replace function caravan.is_comparable(cursor jsonb, source text)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(cursor ->> 'epoch' = caravan.epoch() and caravan.is_known(cursor) and not cursor ? 'fill' and (
    select caravan.is_filled_from(s, cursor) from caravan.source s where s.name = is_comparable.source
  ), false)
$$;
comment on function caravan.is_comparable is 'Whether a client that stands at a cursor can be compared';

-- The keys of a source that a client refuses, that break its contract, or that were given up: they are not compared.
create or replace function caravan.refused_keys(client text, source text)
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
create or replace function caravan.replaced_by_another(tracked caravan.source)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('%s is another table now than the tracked one, which is called %s: track it', tracked.name, tracked.relation)
  where to_regclass(tracked.name) <> tracked.relation
$$;

-- The digest of the client's own rows in the target of a run, as it last was; null: it is not known.
create or replace function caravan.own_digest(run bigint)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(own_digest.run);
  select v.own
  from caravan.reconciliation r
  join caravan.verification v on v.client = r.client and v.source = r.source and v.target = r.target
  where r.id = own_digest.run
$$;
comment on function caravan.own_digest is 'The digest of a client''s own rows';

-- What a run must know of its source. unfit: why it can't be compared; null: it can.
--   description  key and columns, as a page describes them
--   rows         about how many
--   own          the digest of the client's own rows, as it last was
create or replace function caravan.source_of_run(
  run bigint, out unfit text, out id int, out relation oid, out description jsonb, out rows bigint, out refused text[],
  out own jsonb
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
  perform caravan.check_run(run);
  unfit := case when tracked.id is null then 'it is no longer tracked' else caravan.replaced_by_another(tracked) end;
  if unfit is null then
    id := tracked.id;
    relation := tracked.relation;
    description := caravan.describe(array[r.source]) -> r.source;
    rows := caravan.estimated_rows(tracked);
    refused := array(select jsonb_array_elements(caravan.refused_keys(r.client, r.source))::text);
    own := caravan.own_digest(run);
  end if;
end
$$;
comment on function caravan.source_of_run is 'What a run must know of its source';

-- Those of some types of a client that central lacks.
create or replace function caravan.unknown_types(types text[])
returns text[]
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select array(select t from unnest(types) as t where to_regtype(t) is null)
$$;
comment on function caravan.unknown_types is 'Which of a client''s types central lacks';

-- Keeps the digest of the rows that are the client's own. They seldom change: so a comparison need not tell them from the
-- others, as long as it is right.
create or replace function caravan.keep_own_digest(run bigint, own jsonb)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(keep_own_digest.run);
  update caravan.verification v
  set own = keep_own_digest.own
  from caravan.reconciliation r
  where r.id = keep_own_digest.run and v.client = r.client and v.source = r.source and v.target = r.target
$$;
comment on function caravan.keep_own_digest is 'Keeps the digest of a client''s own rows';

-- Keys of a list, arrays of text, as they are in the log; null where it can't be one of the source's. With the settings of
-- those who write the log.
create or replace function caravan.typed_key(source int, key jsonb)
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
  execute format('select caravan.typed_%s($1)', source) into typed using key;
  return typed;
exception
  when data_exception then
    return null;
end
$$;

-- Suspects keys: those as they are in the log, and those of a list of the client's, each an array of texts as text. What can be
-- no key of the source is none.
create or replace function caravan.suspect_keys(run bigint, keys text[], key_texts text[] default '{}')
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
  perform caravan.check_run(run);
  insert into caravan.suspect (run, key)
  select suspect_keys.run, k.key
  from (
    select k::jsonb as key from unnest(keys) as k
    union
    select caravan.typed_key(source, to_jsonb(k::text[])) from unnest(key_texts) as k
  ) as k
  where k.key is not null
  on conflict do nothing;
end
$$;
comment on function caravan.suspect_keys is 'Suspects keys that differ in a list';

-- Suspects keys that the client has noted as central's. What is no key of the source would stop all others, were it to be
-- repaired.
create or replace function caravan.suspect_noted(run bigint, keys text[])
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(suspect_noted.run);
  insert into caravan.suspect (run, key)
  select suspect_noted.run, k::jsonb
  from unnest(keys) as k, caravan.reconciliation r
  join caravan.source s on s.name = r.source
  where r.id = suspect_noted.run and k::jsonb = caravan.typed_key(s.id, k::jsonb)
  on conflict do nothing
$$;
comment on function caravan.suspect_noted is 'Suspects keys that the client has noted without having a row';

-- Finds those of the keys that the client has noted as central's which central has no more. What is no key of the source would
-- stop all others, were it to be repaired.
create or replace function caravan.suspect_gone(run bigint, keys text[])
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
  perform caravan.check_run(run);
  execute format($q$
    insert into caravan.suspect (run, key, verdict, owned)
    select $1, k::jsonb, 'surplus', true
    from unnest($2) as k
    where k::jsonb = caravan.typed_key(%1$s, k::jsonb) and not exists (select from caravan.%2$s_%1$s(k::jsonb))
    on conflict do nothing
  $q$, source.id, case when source.loose then 'spelled' else 'found' end) using run, keys;
end
$$;
comment on function caravan.suspect_gone is 'Finds keys that the client has noted and that are gone from central';

-- The keys that are to be looked at next: those that were not looked at yet, or else those that were changing; at most
-- `most`, and none more than `most_looks` times. And the keys that are not compared.
create or replace function caravan.to_look_at(
  run bigint, most int, most_looks int, out keys text[], out looks int, out refused text[]
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(to_look_at.run);
  select coalesce(array_agg(s.key::text), '{}'), coalesce(min(s.looks), 0), (
      select array(select jsonb_array_elements(caravan.refused_keys(r.client, r.source))::text)
      from caravan.reconciliation r where r.id = to_look_at.run
    )
  from (
    select *
    from caravan.suspect s
    where s.run = to_look_at.run and s.verdict in ('suspected', 'changing') and s.looks < most_looks
    order by s.looks, s.key
    limit most
  ) as s
$$;
comment on function caravan.to_look_at is 'The keys that a run looks at next';

-- What has become known since both sides were looked at: in a later transaction than both looks, so that what could have come
-- between them is in the log by now.
--   changing  those keys of which the log has a change that central's reading or the client's cursor has not seen. All of
--             them if the source was truncated. A cursor that is within a backlog has also seen the entries up to its
--             position there
--   refused   those keys that are not compared
create or replace function caravan.since_look(
  run bigint, keys text[], read pg_snapshot, cursor jsonb,
  out is_comparable boolean, out changing text[], out refused text[]
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- PostgreSQL takes the keys for few
set jit = off
as $$
declare
  r constant caravan.reconciliation := (select c from caravan.reconciliation c where c.id = since_look.run);
  source_id constant int := (select s.id from caravan.source s where s.name = r.source);
  seen constant pg_snapshot := cursor ->> 'snapshot';
  upto constant pg_snapshot := cursor #>> '{window,upto}';
  after constant bigint := cursor #>> '{window,after}';
  unseen jsonb[];
begin
  perform caravan.check_run(run);
  is_comparable := caravan.is_comparable(cursor, r.source);
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
    select k from unnest(keys) as k where k::jsonb in (select jsonb_array_elements(caravan.refused_keys(r.client, r.source)))
  );
end
$$;
comment on function caravan.since_look is 'What has become known since both sides were looked at';

-- Keeps what was decided about keys: `verdict`, one of those of caravan.suspect or equal; `owned`, whether the client has noted
-- it as central's; `spelled`, the key as central writes it, if in another way: that is suspected, too; `key_text`, the key
-- of the client's row as the client writes it. Returns how many keys are known to differ by now.
create or replace function caravan.judge_keys(
  run bigint, keys text[], verdicts text[], owned boolean[], spelled text[], key_texts text[]
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- PostgreSQL takes the keys for few
set jit = off
as $$
begin
  perform caravan.check_run(run);
  -- A key that central writes in another way: central has no row of this key, and one of the other.
  insert into caravan.suspect (run, key)
  select judge_keys.run, k::jsonb from unnest(judge_keys.spelled) as k where k is not null
  on conflict do nothing;
  update caravan.suspect s
  set looks = s.looks + 1, verdict = j.verdict, owned = j.owned, spelled = j.spelled::jsonb, key_text = j.key_text
  from unnest(judge_keys.keys, judge_keys.verdicts, judge_keys.owned, judge_keys.spelled, judge_keys.key_texts)
    as j (key, verdict, owned, spelled, key_text)
  where s.run = judge_keys.run and s.key = j.key::jsonb;
  -- For the client, too, it is the same key, and the same row.
  delete from caravan.suspect s
  using caravan.suspect as right_one
  where s.run = judge_keys.run and right_one.run = s.run and right_one.key = s.spelled and right_one.key_text = s.key_text;
  delete from caravan.suspect s where s.run = judge_keys.run and s.verdict = 'equal';
  return (
    select count(*)
    from caravan.suspect s
    where s.run = judge_keys.run and s.verdict in ('missing', 'stale', 'surplus', 'orphaned')
  );
end
$$;
comment on function caravan.judge_keys is 'Keeps what was decided about keys';

-- How many keys are what. unnoted: missing or stale, and the client has not noted them as central's.
create or replace function caravan.tally(
  run bigint, out missing bigint, out stale bigint, out surplus bigint, out orphaned bigint, out own bigint,
  out changing bigint, out skipped bigint, out repaired bigint, out "all" bigint, out unnoted bigint
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(tally.run);
  select count(*) filter (where verdict = 'missing'), count(*) filter (where verdict = 'stale'),
    count(*) filter (where verdict = 'surplus'), count(*) filter (where verdict = 'orphaned'),
    count(*) filter (where verdict = 'own'), count(*) filter (where verdict = 'changing'),
    count(*) filter (where verdict = 'skipped'), count(*) filter (where verdict = 'repaired'), count(*),
    count(*) filter (where verdict in ('missing', 'stale') and not owned)
  from caravan.suspect s
  where s.run = tally.run
$$;
comment on function caravan.tally is 'How many of the keys of a run are what';

-- What would be written, for a person to read: without values, which are read when it is.
create or replace function caravan.as_sql(
  run caravan.reconciliation, key jsonb, verdict text, key_columns text[], columns text[]
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case verdict
    when 'missing' then format('insert into %s (%s) values (%s)', run.target,
      array_to_string(key_names || names, ', '),
      array_to_string(key_values || array_fill('…'::text, array[cardinality(names)]), ', '))
    -- The number of a target, as the hub computes it.
    when 'orphaned' then format('delete from caravan.replicated where target = %s and key = %L', ('x' || left(md5(
      convert_to(concat_ws(E'\n', run.client, run.source, run.target, 1), 'UTF8')), 16))::bit(64)::bigint, key)
    when 'surplus' then format('delete from %s where %s', run.target, this_row)
    else format('update %s set %s where %s', run.target, array_to_string(names, ' = …, ') || ' = …', this_row)
  end
  from (
    select array_agg(quote_ident(c) order by n) as key_names,
      array_agg(quote_nullable(key ->> (n - 1)::int) order by n) as key_values,
      string_agg(format('%I = %L', c, key ->> (n - 1)::int), ' and ' order by n) as this_row
    from unnest(key_columns) with ordinality as u (c, n)
  ) as k, (
    select array(select quote_ident(c) from unnest(columns) as c) as names
  ) as v
$$;

-- Keeps what a run has found: how many rows of central were compared, how many rows are what, and the first keys that differ.
-- For a dry run with what would be written to the columns of the target.
create or replace function caravan.keep_findings(
  run bigint, compared bigint, missing bigint, stale bigint, surplus bigint, own bigint, skipped bigint,
  key_columns text[], columns text[], notes text[] default '{}'
)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(keep_findings.run);
  update caravan.reconciliation r
  set compared = keep_findings.compared, missing = keep_findings.missing, stale = keep_findings.stale,
    surplus = keep_findings.surplus, own = keep_findings.own, skipped = keep_findings.skipped,
    notes = r.notes || keep_findings.notes,
    found = (
      select coalesce(jsonb_agg(jsonb_build_object('key', f.key, 'is', f.verdict) || case when r.dry_run
          then jsonb_build_object('sql', caravan.as_sql(r, f.key, f.verdict, key_columns, columns)) else '{}' end), '[]')
      from (
        select s.key, s.verdict
        from caravan.suspect s
        where s.run = r.id and s.verdict in ('missing', 'stale', 'surplus', 'orphaned')
        order by s.verdict, s.key
        limit 300
      ) as f
    )
  where r.id = keep_findings.run
$$;
comment on function caravan.keep_findings is 'Keeps what a run has found';

-- Adds to what a run has to say.
create or replace function caravan.note(run bigint, notes text[])
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(note.run);
  update caravan.reconciliation r set notes = r.notes || note.notes where r.id = note.run
$$;
comment on function caravan.note is 'Adds to what a run has to say';

-- Has what differs repaired: its keys are put into the change log once more. The client's pump reads them anew, in its own
-- order, and applies them as any change. So a repair can't overwrite anything newer.
create or replace function caravan.repair(run bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan.check_run(run);
  delete from caravan.suspect s
  where s.run = repair.run and s.verdict not in ('missing', 'stale', 'surplus', 'orphaned');
  insert into caravan.change (source, key, again)
  select t.id, s.key, true
  from caravan.suspect s
  join caravan.reconciliation r on r.id = s.run
  join caravan.source t on t.name = r.source
  where s.run = repair.run;
  perform caravan.ring('caravan', 'replay');
  update caravan.suspect s set verdict = 'changing', looks = 1 where s.run = repair.run;
end
$$;
comment on function caravan.repair is 'Has what a run found to differ sent once more';

-- Ends a run.
create or replace function caravan.end_run(run bigint, state text, note text default null)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(end_run.run);
  update caravan.reconciliation r
  set state = end_run.state, ended_at = clock_timestamp(), notes = r.notes || array_remove(array[end_run.note], null),
    checkpoint = null
  where r.id = end_run.run;
  delete from caravan.suspect s where s.run = end_run.run
$$;
comment on function caravan.end_run is 'Ends a run';

-- Ends a run that has come through. The client is shown to be equal as of its beginning, if all its rows and columns were
-- compared, and none is refused at present.
create or replace function caravan.finish_run(
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
  perform caravan.check_run(run);
  update caravan.reconciliation c
  set repaired = finish_run.repaired, skipped = c.skipped + finish_run.skipped, notes = c.notes || finish_run.notes
  where c.id = finish_run.run
  returning * into r;
  if is_equal and r.key is null and r.notes = '{}' and not exists (
    select from caravan.dead_letter d
    where d.client in (r.client, '*') and d.source = r.source and d.state in ('retrying', 'open')
  ) and not exists (
    select from caravan.source s where s.name = r.source and caravan.replaced_by_another(s) is not null
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
  -- What was repaired may have made room for others.
  if repaired > 0 then
    perform caravan.touch_dependent(r.client);
  end if;
  -- Of those that have only verified, the last one is enough.
  delete from caravan.reconciliation o
  where o.client = r.client and o.source = r.source and o.target = r.target and o.id < r.id
    and (o.reason = 'verify' and o.state in ('done', 'stopped') and o.missing + o.stale + o.surplus = 0
      or o.ended_at < now() - interval '90 days');
  perform caravan.end_run(run, 'done');
end
$$;
comment on function caravan.finish_run is 'Ends a run that has come through';

-- A run in a line; null where it is not worth one.
create or replace function caravan.progress(run bigint)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(progress.run);
  select case
    when r.state = 'running' then
      case when r.share between 0.01 and 0.99
        then format('%s %% of %s compared, about %s s left', round(100 * r.share), r.target,
          ceil((1 - r.share) / r.share * extract(epoch from clock_timestamp() - r.started_at))) end
    when r.reason = 'verify' and r.state <> 'waiting' and r.missing + r.stale + r.surplus = 0 then null
    else concat_ws('. ',
      format('%s: %s rows of %s compared with %s in %s s: %s missing, %s stale, %s surplus, %s repaired, %s skipped',
        r.state, r.compared, r.source, r.target, round(extract(epoch from r.ended_at - r.started_at), 1),
        r.missing, r.stale, r.surplus, r.repaired, r.skipped),
      nullif(array_to_string(r.notes, '. '), ''),
      (select string_agg(e'\n' || (f ->> 'sql') || ';', '') from jsonb_array_elements(r.found) as f))
  end
  from caravan.reconciliation r
  where r.id = progress.run
$$;
comment on function caravan.progress is 'A run in a line, where it is worth one';

-- A run could not go on. It is tried again, but not for ever.
create or replace function caravan.run_failed(run bigint, hub text, cause text)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(run_failed.run);
  update caravan.reconciliation c
  set failures = failures + 1, notes = case when failures >= 4 then notes || cause else notes end,
    state = case when failures >= 4 then 'failed' else state end,
    ended_at = case when failures >= 4 then clock_timestamp() end
  where c.id = run_failed.run and c.hub = run_failed.hub and c.state = 'running'
$$;
comment on function caravan.run_failed is 'Counts a failure of a run, and ends it after the fifth';
