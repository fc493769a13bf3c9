-- Reconciling: finds what differs between central and a client, and has it repaired.
--
-- The hub asks for a run that is due (caravan.next_run), puts its question to both sides at once, brings the answers here
-- (caravan.judge), and gets the next question, until there is none. All that is known of a run is in its row, so any hub can
-- go on with it at any time. A question says:
--   ask       survey, prepare, digest, list, orphans or look
--   from      who is asked, and at which block of its table to begin: {"central": 0, "client": 0}
--   number    of the target in the mapping
--   source    for a survey: the source's key and columns, as a page describes them
--   spec      of the target: "rows" (central's view) and "relation" (its table), "source_key", "types" (of the source's
--             columns), "known" (those whose type the client has, too), and what the client's survey has said of its
--             own "key" and "columns"
--   seed      of the hashes: another one each time, so that nothing stays hidden behind equal hashes; but the one of the
--             digest of the client's own rows, if there is one
--   bits, within, more   the rows whose key's hash ends in one of the patterns `within`, `bits` long. A digest tells
--             them apart by `more` further bits
--   owned     whether the client answers only for what came from central
--   counts    whether the client also says how many keys it has noted as central's
--   owned_keys  how many these are
--   after     the key after which to look for orphans
--   omit      keys that are left out: the client's dead letters
--   keys      the keys to look at
--
--   survey   the client says which types its columns have
--   prepare  central says which columns it can't compute
--   digest   of buckets of rows; finer ones of those that differ, while they hold many rows
--   list     key and hash of the rows of the buckets that differ. Those that differ are suspects
--   orphans  the keys that the client has noted as central's without having a row, where the number of such keys is not
--            that of central's rows. These are suspects, too
--   look     at some keys, on both sides. Only this decides
--
-- Nothing stands still meanwhile. A suspect differs only if both sides were looked at and no change of its key is in the
-- log that one of the two has not seen: central's row by the snapshot of its reading, the client's by its cursor. Then the
-- client should have had that very row. Otherwise it is looked at again a moment later.
--
-- Repairing is to put the key into the change log once more: the client's pump reads it anew, in its own order, and
-- applies it as any change. So a repair can't overwrite anything newer.

-- How many rows are few, so that buckets are not told apart any further, how many are listed at once, how many are
-- looked at at once, and how often one that changes all the time.
create or replace function caravan.run_limits(out few int, out listed int, out looked int, out looks int)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select 5000, 100000, 1000, 60
$$;

-- The question with which a run begins.
create or replace function caravan.first_question(run caravan.reconciliation, mapping jsonb)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('ask', 'survey', 'from', '{"client": 0}'::jsonb, 'number', n - 1, 'mapping', md5(mapping::text),
    'source', caravan.describe(array[run.source]) -> run.source)
  from jsonb_array_elements(mapping) with ordinality as m (target, n)
  where target ->> 'source' = run.source and target ->> 'table' = run.target
  order by n
  limit 1
$$;

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

-- Which run is due for a client, if any: one that was requested; the one that was scheduled last, at `scheduled_at`; one
-- to verify, as often as it takes no more than `percent` of the time, but soon after a fill. Not while one waits for a
-- person.
create or replace function caravan.due_run(client text, scheduled_at timestamptz, percent numeric)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  shortest_pause constant interval := '1 minute';
  pause_for_a_fill constant interval := '5 seconds';
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

  select v.source, v.target,
    case when coalesce(started_at < scheduled_at, scheduled_at is not null) then 'schedule' else 'verify' end
  into due.source, due.target, due.reason
  from caravan.verification v
  left join lateral (
    select r.started_at, r.ended_at, r.state, r.worked, r.notes
    from caravan.reconciliation r
    where r.client = v.client and r.source = v.source and r.target = v.target and r.key is null
      and r.started_at is not null
    order by r.id desc
    limit 1
  ) as last on true
  where v.client = due_run.client and state is distinct from 'waiting' and (
    started_at < scheduled_at or started_at is null and scheduled_at is not null
    or percent > 0
      and coalesce(now() > case when caravan.met_a_fill(notes) then ended_at + pause_for_a_fill
        else greatest(started_at + worked * (100 / nullif(percent, 0))::float8, ended_at + shortest_pause) end, true)
  )
  order by started_at nulls first
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

-- What a hub is to do next to reconcile a client: a run with its step and question; run is null if there is nothing to do.
-- `percent` of the time may go into verifying; more than `fuse` percent of differing rows are not repaired. Of several
-- hubs one works for a client at a time; another takes over when it has not been heard of for `patience`.
--   equal_at  until when all that the client maps was shown to be equal to central; null: never
create or replace function caravan.next_run(
  client text, mapping jsonb, hub text, scheduled_at timestamptz, percent numeric, fuse numeric,
  patience interval default '2 minutes',
  out run bigint, out step bigint, out question text, out asks_central boolean, out asks_client boolean,
  out equal_at timestamptz
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  chosen caravan.reconciliation;
begin
  perform caravan.note_targets(client, mapping);
  select case when bool_and(v.equal_at is not null) then min(v.equal_at) end into equal_at
  from caravan.verification v where v.client = next_run.client;

  select * into chosen
  from caravan.reconciliation r
  where r.client = next_run.client and r.state = 'running'
  for update skip locked;
  if not found then
    if exists (select from caravan.reconciliation r where r.client = next_run.client and r.state = 'running') then
      return;  -- another hub is just about to go on with it
    end if;
    chosen := caravan.due_run(client, scheduled_at, percent);
  elsif chosen.hub <> hub and chosen.alive_at > clock_timestamp() - patience
    or chosen.alive_at > clock_timestamp()
      and not caravan.is_requested(client)
  then
    return;
  end if;
  if chosen.id is null then
    return;
  end if;

  if chosen.question ->> 'mapping' is distinct from md5(mapping::text) then
    delete from caravan.suspect s where s.run = chosen.id;
    chosen.question := caravan.first_question(chosen, mapping) || jsonb_build_object('fuse', fuse, 'percent', percent);
    chosen.started_at := clock_timestamp();
    chosen.partial := '{}';
    chosen.pending := '[]';
  elsif chosen.question ? 'omit' then
    chosen.question := chosen.question || jsonb_build_object('omit', caravan.refused_keys(client, chosen.source));
  end if;
  update caravan.reconciliation r
  set state = 'running', hub = next_run.hub, alive_at = clock_timestamp(), step = r.step + 1,
    started_at = chosen.started_at, question = chosen.question, partial = chosen.partial, pending = chosen.pending
  where r.id = chosen.id
  returning r.id, r.step into run, step;
  question := chosen.question;
  asks_central := chosen.question -> 'from' ? 'central';
  asks_client := chosen.question -> 'from' ? 'client';
exception
  when unique_violation then
    null;  -- another hub was quicker
end
$$;
comment on function caravan.next_run is 'The next thing to do to reconcile a client';

-- Ends a run.
create or replace function caravan.ended(run caravan.reconciliation, state text, note text default null)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  run.state := state;
  run.ended_at := clock_timestamp();
  run.notes := run.notes || array_remove(array[note], null);
  run.question := null;
  run.partial := '{}';
  run.pending := '[]';
  run.held := null;
  delete from caravan.suspect s where s.run = ended.run.id;
  return run;
end
$$;

-- Whether a client can be compared at present, by its cursor: it follows this history of central and is filled.
create or replace function caravan.is_comparable(cursor jsonb, source text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(cursor ->> 'epoch' = caravan.epoch() and cursor -> 'filled' ? source
    and not cursor ? 'fill' and not cursor ? 'sweep', false)
$$;

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

-- Whether a table of a client gets rows from other targets, too, and their rows can't be told apart.
create or replace function caravan.is_mixed(run caravan.reconciliation, mapping jsonb)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select count(*) > 1 and (
    bool_or(t ->> 'rows' = 'central') or count(*) filter (where t ->> 'source' = run.source) > 1
  )
  from jsonb_array_elements(mapping) as t
  where t ->> 'table' = run.target
$$;

create or replace function caravan.after_survey(run caravan.reconciliation, mapping jsonb, answer jsonb)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  tracked constant caravan.source := (select s from caravan.source s where s.name = run.source);
  unknown constant text[] := array(
    select c ->> 'name'
    from jsonb_array_elements(answer -> 'columns') as c
    where to_regtype(c ->> 'type') is null and not (c -> 'is_text')::boolean
  );
begin
  if tracked.id is null then
    return caravan.ended(run, 'stopped', 'it is no longer tracked');
  elsif caravan.replaced_by_another(tracked) is not null then
    return caravan.ended(run, 'stopped', caravan.replaced_by_another(tracked));
  elsif caravan.is_mixed(run, mapping) then
    return caravan.ended(run, 'stopped', 'its rows can''t be told from those of other targets');
  elsif not caravan.is_comparable(answer -> 'cursor', run.source) then
    return caravan.ended(run, 'stopped', 'the client is not filled yet');
  end if;
  run.notes := array(select format('column %s was not compared: central has no type %s', c ->> 'name', c ->> 'type')
    from jsonb_array_elements(answer -> 'columns') as c where c ->> 'name' = any (unknown));
  run.question := run.question - 'source' || jsonb_build_object(
    'ask', 'prepare', 'from', '{"central": 0}'::jsonb, 'seed', run.id, 'spec', jsonb_build_object(
      'rows', 'rows_' || tracked.id, 'relation', tracked.relation::oid, 'source_key', tracked.key,
      'types', run.question #> '{source,columns}', 'known', answer -> 'known', 'key', answer -> 'key',
      'columns', jsonb_path_query_array(answer -> 'columns', '$[*] ? (!(@.name == $unknown[*]))',
        jsonb_build_object('unknown', unknown))));
  return run;
end
$$;

create or replace function caravan.after_prepare(run caravan.reconciliation, answer jsonb)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  rows constant bigint := (select caravan.estimated_rows(s) from caravan.source s where s.name = run.source);
  rows_of_a_bucket constant int := 64;
  refused constant jsonb := caravan.refused_keys(run.client, run.source);
  own constant jsonb := caravan.own_digest(run);
begin
  run.held := null;
  run.notes := run.notes || array(
    select format('column %s was not compared: %s', a ->> 'column', a ->> 'why') from jsonb_array_elements(answer) as a
  );
  run.skipped := jsonb_array_length(refused);
  run.question := jsonb_set(run.question, '{spec,columns}', jsonb_path_query_array(run.question #> '{spec,columns}',
      '$[*] ? (!(@.name == $failed[*].column))', jsonb_build_object('failed', answer)))
    || jsonb_build_object('ask', 'digest', 'from', '{"central": 0, "client": 0}'::jsonb, 'omit', refused,
      'seed', coalesce((own ->> 'seed')::bigint, run.id), 'bits', 0, 'within', '[0]'::jsonb,
      'more', least(greatest(ceil(log(2, greatest(rows / rows_of_a_bucket, 1))), 4), 14))
    || case when run.reason <> 'verify' then '{"counts": true}'::jsonb else '{}' end;
  if run.key is not null then
    insert into caravan.suspect (run, key) values (run.id, run.key) on conflict do nothing;
    run.question := caravan.look(run);
  end if;
  return run;
end
$$;

-- Two digests as one: that of the rows of both, or of those of one without those of the other. XOR does both.
create or replace function caravan.combined(one jsonb, other jsonb)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select one || other || jsonb_build_object('total', ((one ->> 'total')::bigint # (other ->> 'total')::bigint)::text,
    'buckets', (
      select array_agg(a # b order by n)::text
      from unnest((one ->> 'buckets')::bigint[], (other ->> 'buckets')::bigint[]) with ordinality as u (a, b, n)
    ))
$$;

-- Two parts of an answer as one.
create or replace function caravan.add_up(one jsonb, other jsonb)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when one is null then other
    when other ? 'hashes' then other || jsonb_build_object(
      'hashes', ((one ->> 'hashes')::bigint[] || (other ->> 'hashes')::bigint[])::text,
      'key_texts', ((one ->> 'key_texts')::text[] || (other ->> 'key_texts')::text[])::text,
      'keys', ((one ->> 'keys')::text[] || (other ->> 'keys')::text[])::text)
    else caravan.combined(one, other)
      || jsonb_build_object('rows', (one ->> 'rows')::bigint + (other ->> 'rows')::bigint)
  end
$$;

-- The digest of the rows of a client's table that are its own. They seldom change: so central keeps it, and a
-- comparison need not tell them from the others as long as it is right.
create or replace function caravan.own_digest(run caravan.reconciliation)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select v.own
  from caravan.verification v
  where v.client = run.client and v.source = run.source and v.target = run.target
$$;

-- Keeps the digest of the rows that are the client's own: `held`, that of all its rows, without `owned`, that of those
-- which came from central. The buckets of `owned` are in the order of its passes (first the lower bits of their number).
create or replace function caravan.keep_own_digest(run caravan.reconciliation, owned jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  bits constant int := run.question ->> 'bits';
  more constant int := run.question ->> 'more';
  buckets constant bigint[] := owned ->> 'buckets';
  in_order constant bigint[] := array(
    select buckets[1 + ((n & ((1 << bits) - 1) << more) | (n >> bits))]
    from generate_series(0, cardinality(buckets) - 1) as n
    order by n
  );
begin
  update caravan.verification v
  set own = jsonb_build_object('seed', run.question -> 'seed')
    || (caravan.combined(run.held, owned || jsonb_build_object('buckets', in_order::text)) - 'rows' - 'next' - 'blocks')
  where v.client = run.client and v.source = run.source and v.target = run.target;
end
$$;

-- The patterns, `bits` + `more` long, of the buckets in which two digests differ.
create or replace function caravan.differing(question jsonb, central text, client text)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  with asked (bits, more) as (
    select (question ->> 'bits')::int, (question ->> 'more')::int
  )
  select coalesce(jsonb_agg(
    (question -> 'within' ->> ((n - 1) >> more)::int)::bigint | (((n - 1) & ((1 << more) - 1)) << bits) order by n), '[]')
  from asked, unnest(central::bigint[], client::bigint[]) with ordinality as u (central, client, n)
  where u.central <> u.client
$$;

-- The question for a digest in which the client tells the rows that came from central from its own, by what is noted.
create or replace function caravan.owned_question(run caravan.reconciliation)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select run.question || jsonb_build_object('ask', 'digest', 'from', '{"central": 0, "client": 0}'::jsonb,
    'owned', 'first', 'bits', passes, 'more', first_bits - passes,
    'within', to_jsonb(array(select generate_series(0, (1 << passes) - 1))))
  from (select log(2, cardinality((run.held ->> 'buckets')::bigint[]))::int as first_bits) as f,
    lateral (
      select least(ceil(log(2, greatest(run.compared, (run.held ->> 'rows')::bigint, 250000) / 250000.0)), first_bits)::int
        as passes
    ) as p
$$;

-- Whether as many keys are noted at the client as there should be, by what was found: those of central's rows, without
-- the ones that were found not to be noted, and with those of surplus rows.
create or replace function caravan.is_noted(run caravan.reconciliation)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((run.question ->> 'owned_keys')::bigint = run.compared
    - count(*) filter (where verdict in ('missing', 'stale') and not owned)
    + count(*) filter (where verdict in ('surplus', 'orphaned')), true)
  from caravan.suspect s
  where s.run = is_noted.run.id
$$;

create or replace function caravan.after_digest(run caravan.reconciliation, mapping jsonb)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  most_buckets constant int := 32768;
  both_sides constant jsonb := '{"from": {"central": 0, "client": 0}}';
  central constant jsonb := run.partial -> 'central';
  own constant jsonb := caravan.own_digest(run);
  client jsonb := run.partial -> 'client';
  rows constant numeric := greatest((central ->> 'rows')::bigint, (client ->> 'rows')::bigint, 1);
  bits constant int := (run.question ->> 'bits')::int + (run.question ->> 'more')::int;
  differing jsonb;
  buckets int;
  in_them numeric;
  is_many boolean;
  own_rows bigint;
begin
  if run.held is null then
    run.compared := (central ->> 'rows')::bigint;
    run.held := client;
    run.question := run.question - 'counts' || jsonb_build_object('owned_keys', client -> 'owned_keys');
    if own -> 'seed' = run.question -> 'seed' then
      client := caravan.combined(client, own);
    end if;
  elsif run.question -> 'owned' = '"first"' then
    run.question := run.question || '{"owned": true}';
    perform caravan.keep_own_digest(run, client);
  end if;
  differing := caravan.differing(run.question, central ->> 'buckets', client ->> 'buckets');
  buckets := jsonb_array_length(differing);
  if buckets = 0 and central -> 'total' <> client -> 'total' then
    -- One in 2^32: the lower halves agree. Once more, with other hashes.
    run.question := run.question || both_sides || jsonb_build_object('seed', (run.question ->> 'seed')::bigint + 1);
    return run;
  end if;

  in_them := buckets * rows / (1::bigint << bits);
  is_many := in_them > (caravan.run_limits()).listed;
  own_rows := (run.held ->> 'rows')::bigint - run.compared;
  if is_many and not run.question ? 'owned' and (own_rows > buckets or run.question -> 'bits' <> '0')
    and coalesce(mapping -> (run.question ->> 'number')::int ->> 'rows', 'shared') = 'shared'
  then
    -- The client's own rows are among them. Only in the passes over these does the client tell them apart.
    run.question := caravan.owned_question(run);
  elsif bits < 40 and (
    is_many and buckets <= most_buckets / 2 or in_them > (caravan.run_limits()).few and buckets <= most_buckets / 8)
  then
    run.question := run.question || both_sides || jsonb_build_object('bits', bits, 'within', differing,
      'more', least(trunc(log(2, most_buckets / buckets)), 4));
  else
    run.question := run.question || jsonb_build_object('ask', 'list', 'bits', bits,
      'buckets', buckets, 'at_once', trunc(greatest((caravan.run_limits()).few * (1::bigint << bits) / rows, 1)));
    run.pending := differing;
    run := caravan.next_list(run);
  end if;
  return run;
end
$$;

-- The next buckets to list; when there are none, the run has seen everything. The first ones are a sample, so that a
-- run of which a person is to be asked gets there soon; then they are as many as are listed at once.
create or replace function caravan.next_list(run caravan.reconciliation)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  is_sample constant boolean := jsonb_array_length(run.pending) = (run.question ->> 'buckets')::int;
  range constant jsonb := jsonb_build_object('most', (run.question ->> 'at_once')::int
    * case when is_sample then 1 else (l).listed / (l).few end) from caravan.run_limits() as l;
begin
  if run.pending = '[]' and not caravan.is_noted(run) then
    run.question := case
      when run.question ? 'owned' then run.question - 'keys' || '{"ask": "orphans", "from": {"client": 0}}'
      else caravan.owned_question(run) - 'keys'
    end;
    return run;
  elsif run.pending = '[]' then
    return caravan.conclude(run);
  end if;
  run.question := run.question - 'keys' || jsonb_build_object('ask', 'list', 'from', '{"central": 0, "client": 0}'::jsonb,
    'within', jsonb_path_query_array(run.pending, '$[0 to $most - 1]', range));
  run.pending := jsonb_path_query_array(run.pending, '$[$most to last]', range);
  return run;
end
$$;

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

create or replace function caravan.after_list(run caravan.reconciliation)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  source constant int := (select s.id from caravan.source s where s.name = run.source);
  next jsonb;
begin
  with listed (side, hash, key_text, key) as (
    select side, u.*
    from jsonb_each(run.partial) as e (side, answer), unnest((answer ->> 'hashes')::bigint[],
      (answer ->> 'key_texts')::text[], (answer ->> 'keys')::text[]) as u
  ), differing as (
    select a.key::jsonb as key, to_jsonb(b.key_text::text[]) as key_text
    from (select * from listed where side = 'central') as a
    full join (select * from listed where side = 'client') as b using (key_text)
    where a.hash is distinct from b.hash
  ), typed as (
    select coalesce(key, caravan.typed_key(source, key_text)) as key from differing
  )
  insert into caravan.suspect (run, key)
  select run.id, key from typed where key is not null
  on conflict do nothing;
  next := caravan.look(run);
  if next is null then
    return caravan.next_list(run);
  end if;
  run.question := next;
  return run;
end
$$;

create or replace function caravan.after_orphans(run caravan.reconciliation, answer jsonb)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  next jsonb;
begin
  insert into caravan.suspect (run, key)
  select after_orphans.run.id, k.key
  from jsonb_array_elements(answer -> 'keys') as k (key), caravan.source s
  -- What is no key would stop all others, were it to be repaired.
  where s.name = after_orphans.run.source and k.key = caravan.typed_key(s.id, k.key)
  on conflict do nothing;
  run.question := case when answer -> 'after' = 'null' then run.question - 'owned_keys' - 'after'
    else run.question || jsonb_build_object('after', answer -> 'after') end;
  next := caravan.look(run);
  if next is null then
    return caravan.next_list(run);
  end if;
  run.question := next;
  return run;
end
$$;

-- The next keys to look at: those that were not looked at yet, or else those that were changing, a moment later. Null:
-- all are decided, or change all the time.
create or replace function caravan.look(run caravan.reconciliation)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  keys jsonb;
  looks int;
begin
  select jsonb_agg(s.key), min(s.looks) into keys, looks
  from (
    select *
    from caravan.suspect s
    where s.run = look.run.id and s.verdict in ('suspected', 'changing') and s.looks < (caravan.run_limits()).looks
    order by s.looks, s.key
    limit (caravan.run_limits()).looked
  ) as s;
  if keys is not null then
    return run.question || jsonb_build_object('ask', 'look', 'from', '{"central": 0, "client": 0}'::jsonb, 'keys', keys,
      'omit', caravan.refused_keys(run.client, run.source), 'pause', least(20 * looks, 1000));
  end if;
  return null;
end
$$;

-- Keys of which the log has a change that central's reading or the client's cursor has not seen. A null among them: the
-- source was truncated. A cursor that is within a backlog has also seen the entries up to its position there.
create or replace function caravan.changing_keys(source int, read pg_snapshot, cursor jsonb)
returns setof jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  seen constant pg_snapshot := cursor ->> 'snapshot';
  upto constant pg_snapshot := cursor #>> '{window,upto}';
  after constant bigint := cursor #>> '{window,after}';
begin
  return query
    select c.key
    from caravan.change c
    where c.source = changing_keys.source
      and (c.xid >= least(pg_snapshot_xmax(read), pg_snapshot_xmax(seen))
        or c.xid = any (array(select pg_snapshot_xip(read) union all select pg_snapshot_xip(seen))))
      and not (pg_visible_in_snapshot(c.xid, read) and (pg_visible_in_snapshot(c.xid, seen)
        or coalesce(c.id <= after and pg_visible_in_snapshot(c.xid, upto), false)));
end
$$;

-- Decides about the keys that were looked at. In a later transaction than both looks: so that what could have come
-- between them is in the log by now.
create or replace function caravan.after_look(run caravan.reconciliation, mapping jsonb)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- PostgreSQL takes the answers for short
as $$
declare
  is_shared constant boolean := coalesce(mapping -> (run.question ->> 'number')::int ->> 'rows', 'shared') = 'shared';
  is_repairing constant boolean := run.question ? 'repairing';
  cursor constant jsonb := run.partial #> '{client,cursor}';
  source constant int := (select s.id from caravan.source s where s.name = run.source);
  refused constant jsonb := caravan.refused_keys(run.client, run.source);
  changing jsonb[];
  differ bigint;
  next jsonb;
begin
  if not caravan.is_comparable(cursor, run.source) then
    return caravan.ended(run, 'stopped', 'the client is being filled anew');
  end if;
  changing := array(select caravan.changing_keys(source, (run.partial #>> '{central,snapshot}')::pg_snapshot, cursor));

  -- A key that central writes in another way: central has no row of this key, and one of the other.
  insert into caravan.suspect (run, key)
  select after_look.run.id, a -> 'spelled'
  from jsonb_array_elements(run.partial #> '{central,rows}') as a
  where a -> 'spelled' <> 'null'
  on conflict do nothing;

  with looked as (
    select k as key, case when coalesce(a -> 'spelled', 'null') = 'null' then a ->> 'hash' end as here,
      nullif(a -> 'spelled', 'null') as spelled, b ->> 'hash' as there, b ->> 'key_text' as key_text, c is not null as changes,
      is_shared and coalesce((b -> 'owned')::boolean, false) as owned
    from jsonb_array_elements(run.question -> 'keys') as k
    left join jsonb_array_elements(run.partial #> '{central,rows}') as a on a -> 'key' = k
    left join jsonb_array_elements(run.partial #> '{client,rows}') as b on b -> 'key' = k
    left join (select distinct unnest(changing) as c) as changing on c = k
  ), judged as (
    select key, spelled, key_text, owned,
      case
        when changes or array_position(changing, null) is not null then 'changing'
        when refused @> jsonb_build_array(key) then 'skipped'
        when here = there and (owned or not is_shared) or coalesce(here, there) is null and not owned then 'equal'
        when coalesce(here, there) is null then 'orphaned'
        when there is null then 'missing'
        when here is not null then 'stale'
        when owned or not is_shared then 'surplus'
        else 'own'
      end as verdict
    from looked
  )
  update caravan.suspect s
  set looks = s.looks + 1, owned = j.owned, spelled = j.spelled, key_text = j.key_text,
    verdict = case
      when is_repairing and j.verdict in ('missing', 'stale', 'surplus', 'orphaned') then 'unrepaired'
      when is_repairing and j.verdict in ('equal', 'own') then 'repaired'
      else j.verdict
    end
  from judged j
  where s.run = after_look.run.id and s.key = j.key;
  -- For the client, too, it is the same key, and the same row.
  delete from caravan.suspect s
  using caravan.suspect as right_one
  where s.run = after_look.run.id and right_one.run = s.run and right_one.key = s.spelled
    and right_one.key_text = s.key_text;
  delete from caravan.suspect s where s.run = after_look.run.id and s.verdict = 'equal';

  differ := (
    select count(*)
    from caravan.suspect s
    where s.run = after_look.run.id and s.verdict in ('missing', 'stale', 'surplus', 'orphaned')
  );
  if caravan.is_too_much(run, differ) then
    return caravan.conclude(run);
  end if;
  next := caravan.look(run);
  if next is null then
    return case when is_repairing then caravan.repaired(run) else caravan.next_list(run) end;
  end if;
  run.question := next;
  return run;
end
$$;

-- How many rows differ in all, if `differ` do in the buckets that were listed so far; cautiously, for the others may differ
-- less.
create or replace function caravan.expected(run caravan.reconciliation, differ bigint)
returns numeric
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when run.pending = '[]' then differ
    else 0.75 * differ * buckets / (buckets - jsonb_array_length(run.pending)) end
  from (select (run.question ->> 'buckets')::int) as q (buckets)
$$;

-- The fuse: whether so many rows differ that a person is to be asked before they are repaired.
create or replace function caravan.is_too_much(run caravan.reconciliation, differ bigint)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select not run.dry_run and not run.confirmed and expected >= 1000
    and expected > greatest(run.compared, 1) * (run.question ->> 'fuse')::numeric / 100
  from caravan.expected(run, differ) as expected
$$;

-- What would be written, for a person to read: without values, which are read when it is.
create or replace function caravan.as_sql(run caravan.reconciliation, key jsonb, verdict text)
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
    select array_agg(quote_ident(c ->> 'name') order by n) as key_names,
      array_agg(quote_nullable(key ->> (n - 1)::int) order by n) as key_values,
      string_agg(format('%I = %L', c ->> 'name', key ->> (n - 1)::int), ' and ' order by n) as this_row
    from jsonb_array_elements(run.question #> '{spec,key}') with ordinality as u (c, n)
  ) as k, (
    select array(select quote_ident(c ->> 'name') from jsonb_array_elements(run.question #> '{spec,columns}') as c) as names
  ) as v
$$;

-- All is compared: counts what differs, and has it repaired, unless that is too much or not wanted.
create or replace function caravan.conclude(run caravan.reconciliation)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  most_found constant int := 300;
  changing bigint;
begin
  select count(*) filter (where verdict = 'missing'), count(*) filter (where verdict = 'stale'),
    count(*) filter (where verdict in ('surplus', 'orphaned')), count(*) filter (where verdict = 'own'),
    run.skipped + count(*) filter (where verdict in ('changing', 'skipped')), count(*) filter (where verdict = 'changing')
  into run.missing, run.stale, run.surplus, run.own, run.skipped, changing
  from caravan.suspect s
  where s.run = conclude.run.id;
  if run.held is not null then
    run.own := greatest((run.held ->> 'rows')::bigint - run.compared + run.missing - (
      select count(*) from caravan.suspect s where s.run = conclude.run.id and s.verdict = 'surplus'
    ), 0);
  end if;
  run.found := (
    select coalesce(jsonb_agg(jsonb_build_object('key', key, 'is', verdict) || case when run.dry_run
        then jsonb_build_object('sql', caravan.as_sql(run, key, verdict)) else '{}' end), '[]')
    from (
      select key, verdict
      from caravan.suspect s
      where s.run = conclude.run.id and s.verdict in ('missing', 'stale', 'surplus', 'orphaned')
      order by verdict, key
      limit most_found
    ) as f
  );
  if changing > 0 then
    run.notes := run.notes || format('%s rows changed all the time', changing);
  end if;

  if caravan.is_too_much(run, run.missing + run.stale + run.surplus) then
    return caravan.ended(run, 'waiting', concat(
      case when run.pending <> '[]' then 'that is of those that were looked at; ' end,
      format('nothing is repaired without caravan.confirm(%s)', run.id)));
  elsif run.dry_run or run.missing + run.stale + run.surplus = 0 then
    return caravan.finish(run, run.missing + run.stale + run.surplus = 0 and changing = 0);
  end if;

  delete from caravan.suspect s
  where s.run = conclude.run.id and s.verdict not in ('missing', 'stale', 'surplus', 'orphaned');
  insert into caravan.change (source, key, again)
  select (select s.id from caravan.source s where s.name = run.source), key, true
  from caravan.suspect s
  where s.run = conclude.run.id;
  perform caravan.ring('caravan', 'replay');
  update caravan.suspect s set verdict = 'changing', looks = 1 where s.run = conclude.run.id;
  run.question := run.question || '{"repairing": true}';
  run.question := caravan.look(run);
  return run;
end
$$;

-- What was to be repaired has been looked at again.
create or replace function caravan.repaired(run caravan.reconciliation)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  refused bigint;
  others bigint;
begin
  select count(*) filter (where verdict = 'repaired'), count(*) filter (where verdict = 'skipped'),
    count(*) filter (where verdict not in ('repaired', 'skipped'))
  into run.repaired, refused, others
  from caravan.suspect s
  where s.run = repaired.run.id;
  run.skipped := run.skipped + refused;
  if refused > 0 then
    run.notes := run.notes || format('%s rows are refused by the client: dead letters', refused);
  end if;
  if others > 0 then
    run.notes := run.notes || format('%s rows were sent once more and still differ', others);
  end if;
  return caravan.finish(run, others = 0);
end
$$;

-- Ends a run that has come through. The client is shown to be equal as of its beginning, if all its rows and columns were
-- compared, and none is refused at present.
create or replace function caravan.finish(run caravan.reconciliation, is_equal boolean)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if is_equal and run.key is null and run.notes = '{}' and not exists (
    select from caravan.dead_letter d
    where d.client in (run.client, '*') and d.source = run.source and d.state in ('retrying', 'open')
  ) and not exists (
    select from caravan.source s where s.name = run.source and caravan.replaced_by_another(s) is not null
  ) then
    update caravan.verification v
    set equal_at = run.started_at
    where v.client = run.client and v.source = run.source and v.target = run.target;
  end if;
  -- Of those that have only verified, the last one is enough.
  delete from caravan.reconciliation r
  where r.client = run.client and r.source = run.source and r.target = run.target and r.id < run.id
    and (r.reason = 'verify' and r.state in ('done', 'stopped') and r.missing + r.stale + r.surplus = 0
      or r.ended_at < now() - interval '90 days');
  return caravan.ended(run, 'done');
end
$$;

-- A run in a line; null where it is not worth one.
create or replace function caravan.progress_of(run caravan.reconciliation)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when run.state = 'running' then
      case when run.question ->> 'ask' in ('digest', 'list') and run.share between 0.01 and 0.99
        then format('%s %% of %s compared, about %s s left', round(100 * run.share), run.target,
          ceil((1 - run.share) / run.share * extract(epoch from clock_timestamp() - run.started_at))) end
    when run.reason = 'verify' and run.state <> 'waiting' and run.missing + run.stale + run.surplus = 0 then null
    else concat_ws('. ',
      format('%s: %s rows of %s compared with %s in %s s: %s missing, %s stale, %s surplus, %s repaired, %s skipped',
        run.state, run.compared, run.source, run.target, round(extract(epoch from run.ended_at - run.started_at), 1),
        run.missing, run.stale, run.surplus, run.repaired, run.skipped),
      nullif(array_to_string(run.notes, '. '), ''),
      (select string_agg(e'\n' || (f ->> 'sql') || ';', '') from jsonb_array_elements(run.found) as f))
  end
$$;

-- Until when a run is to rest: one that only verifies has no hurry, and between two parts of a table it waits until it has
-- taken no more than its share of the time, unless another one was requested meanwhile.
create or replace function caravan.rests_until(run caravan.reconciliation)
returns timestamptz
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select greatest(clock_timestamp(), case
    when run.reason = 'verify' and run.question ->> 'ask' = 'digest' and run.question -> 'from' <> '{}'
      and not caravan.is_requested(run.client)
      then run.started_at + run.worked * (100 / nullif((run.question ->> 'percent')::numeric, 0))::float8
  end)
$$;

-- Takes the answers to the question of a run, and asks the next one; question is null when the run has ended or rests, or
-- when it is no longer this hub's: somebody else has gone on with it, or it was stopped.
--   pause     how many milliseconds to wait before
--   progress  a line for the log, if there is something to say
create or replace function caravan.judge(
  run bigint, inout step bigint, hub text, mapping jsonb, central_answer jsonb, client_answer jsonb,
  out question text, out asks_central boolean, out asks_client boolean, out pause int, out progress text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  r caravan.reconciliation;
  side text;
  answer jsonb;
begin
  select * into r
  from caravan.reconciliation c
  where c.id = judge.run and c.step = judge.step and c.hub = judge.hub and c.state = 'running'
  for update;
  if not found then
    return;
  end if;

  for side, answer in values ('central', central_answer), ('client', client_answer) loop
    if r.question -> 'from' ? side then
      r.partial := r.partial || jsonb_build_object(side, caravan.add_up(r.partial -> side, answer));
      r.question := jsonb_set(r.question, '{from}', (r.question -> 'from') - side
        || case when answer ->> 'next' is null then '{}' else jsonb_build_object(side, answer -> 'next') end);
    end if;
  end loop;
  r.worked := r.worked + (clock_timestamp() - r.alive_at);
  r.alive_at := caravan.rests_until(r);
  r.share := coalesce((
    select min(coalesce((part ->> 'next')::numeric, blocks) / greatest(blocks, 1))
    from jsonb_each(r.partial) as e (side, part), lateral (select (part ->> 'blocks')::numeric as blocks) as b
  ), 0);

  if r.question -> 'from' = '{}' then
    r := case r.question ->> 'ask'
      when 'survey' then caravan.after_survey(r, mapping, r.partial -> 'client')
      when 'prepare' then caravan.after_prepare(r, r.partial -> 'central')
      when 'digest' then caravan.after_digest(r, mapping)
      when 'list' then caravan.after_list(r)
      when 'orphans' then caravan.after_orphans(r, r.partial -> 'client')
      else caravan.after_look(r, mapping)
    end;
    r.partial := '{}';
  end if;

  update caravan.reconciliation c
  set state = r.state, ended_at = r.ended_at, compared = r.compared, missing = r.missing, stale = r.stale,
    surplus = r.surplus, own = r.own, repaired = r.repaired, skipped = r.skipped, notes = r.notes, found = r.found,
    alive_at = r.alive_at, worked = r.worked, failures = 0, step = r.step + 1, question = r.question, partial = r.partial,
    pending = r.pending, held = r.held, share = r.share
  where c.id = r.id;
  step := r.step + 1;
  question := case when r.alive_at <= clock_timestamp() then r.question end;
  asks_central := r.question -> 'from' ? 'central';
  asks_client := r.question -> 'from' ? 'client';
  pause := coalesce((r.question ->> 'pause')::int, 0);
  progress := caravan.progress_of(r);
end
$$;
comment on function caravan.judge is 'Takes the answers of both sides to the question of a run, and asks the next one';

-- A run could not go on. It is tried again, but not for ever.
create or replace function caravan.run_failed(run bigint, hub text, cause text)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  update caravan.reconciliation c
  set failures = failures + 1, notes = case when failures >= 4 then notes || cause else notes end,
    state = case when failures >= 4 then 'failed' else state end,
    ended_at = case when failures >= 4 then clock_timestamp() end
  where c.id = run_failed.run and c.hub = run_failed.hub and c.state = 'running'
$$;
comment on function caravan.run_failed is 'Counts a failure of a run, and ends it after the fifth';

-- Raises what is wrong with a key that somebody asks for. One that is not as in the log would be looked for at the client
-- under another name than it is noted by.
create or replace function caravan.check_requested_key(source text, key jsonb)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  tracked constant caravan.source := (select s from caravan.source s where s.name = check_requested_key.source);
  is_complete constant boolean := jsonb_typeof(key) = 'array' and jsonb_array_length(key) = cardinality(tracked.key)
    and not key @> '[null]';
  typed jsonb;
begin
  if tracked.id is null then
    raise exception '% is not tracked', quote_literal(source)
      using errcode = 'undefined_object',
        hint = 'Tracked are: ' || coalesce((select string_agg(name, ', ') from caravan.source), 'none');
  end if;
  typed := caravan.typed_key(tracked.id, case when is_complete then key
    when cardinality(tracked.key) = 1 and jsonb_typeof(key) not in ('array', 'object', 'null') then jsonb_build_array(key) end);
  if not is_complete or typed is distinct from key then
    raise exception '% is no key of %', key, source
      using errcode = 'invalid_parameter_value',
        hint = format('A key is a JSON array of the values of (%s), as in the change log', array_to_string(tracked.key, ', '))
          || coalesce(', e.g. ' || typed::text, '') || '.';
  end if;
end
$$;

-- Has a client compared with central: all that it maps, or one source, or one key of it. Differences are repaired, unless
-- it is a dry run. Returns the runs, rows of caravan.reconciliation. For a client of which no hub has told yet, as when it
-- has just been started, the request waits until one does.
create or replace function caravan.reconcile(
  client text, source text default null, key jsonb default null, dry_run boolean default false
)
returns setof bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if key is not null and source is null then
    raise exception 'a key needs its source'
      using errcode = 'invalid_parameter_value', hint = 'select caravan.reconcile(''blog'', ''public.users'', ''[42]'')';
  elsif key is not null then
    perform caravan.check_requested_key(source, key);
  end if;
  return query
    insert into caravan.reconciliation (client, source, target, reason, key, dry_run)
    select v.client, v.source, v.target, 'request', reconcile.key, reconcile.dry_run
    from caravan.verification v
    where v.client = reconcile.client and (reconcile.source is null or v.source = reconcile.source)
    returning id;
  if not found and not exists (select from caravan.verification v where v.client = reconcile.client) then
    return query
      insert into caravan.reconciliation (client, source, target, reason, key, dry_run)
      values (reconcile.client, coalesce(reconcile.source, '*'), '*', 'request', reconcile.key, reconcile.dry_run)
      returning id;
    raise warning 'no hub has told of a client % yet: the request waits for it', client;
  elsif not found then
    raise exception 'no hub maps % to the client %', source, client
      using errcode = 'no_data_found', hint = 'table caravan.verification';
  end if;
  perform caravan.ask_hub('reconcile');
end
$$;
comment on function caravan.reconcile is 'Has a client compared with central, and what differs repaired';

-- Lets a run repair, though much differs. It compares once more before.
create or replace function caravan.confirm(run bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update caravan.reconciliation r
  set state = 'requested', confirmed = true, question = null, ended_at = null
  where r.id = confirm.run and r.state = 'waiting';
  if not found then
    raise exception 'the run % does not wait', run using errcode = 'no_data_found', hint = 'table caravan.reconciliations';
  end if;
  perform caravan.ask_hub('reconcile');
end
$$;
comment on function caravan.confirm is 'Lets a run repair, though much differs';

-- Stops a run, or one that waits. What it has sent already is applied.
create or replace function caravan.stop(run bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update caravan.reconciliation r
  set state = 'stopped', ended_at = clock_timestamp(), question = null
  where r.id = stop.run and r.state in ('requested', 'running', 'waiting');
  if not found then
    raise exception 'the run % has ended', run using errcode = 'no_data_found', hint = 'table caravan.reconciliations';
  end if;
  delete from caravan.suspect s where s.run = stop.run;
end
$$;
comment on function caravan.stop is 'Stops a run that reconciles a client';

create or replace view caravan.reconciliations as
select id, client, source, target, reason, key, dry_run, state, started_at,
  coalesce(ended_at, now()) - started_at as took, case state when 'running' then round(share, 2) end as share,
  compared, round(compared / greatest(extract(epoch from coalesce(ended_at, now()) - started_at), 0.001)) as rows_per_second,
  missing, stale, surplus, own, repaired, skipped, notes, found
from caravan.reconciliation
order by id desc;
comment on view caravan.reconciliations is 'Comparisons of clients with central, the newest first';

create or replace view caravan.verified as
select client, case when bool_and(equal_at is not null) then min(equal_at) end as equal_as_of
from caravan.verification
group by client
order by client;
comment on view caravan.verified is 'Until when each client was shown to be equal to central; null: never yet';
