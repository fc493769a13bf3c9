-- What people ask of reconciling: to have a client compared, to let a run repair, to stop one; and what came of it.

-- Raises what is wrong with a key that somebody asks for. One that is not as in the log would be looked for at the client
-- under another name than it is noted by.
create or replace function caravan_internal.check_requested_key(source text, key jsonb)
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
  typed := caravan_internal.typed_key(tracked.id, case when is_complete then key
    when cardinality(tracked.key) = 1 and jsonb_typeof(key) not in ('array', 'object', 'null') then jsonb_build_array(key) end);
  if not is_complete or typed is distinct from key then
    raise exception '% is no key of %', key, source
      using errcode = 'invalid_parameter_value',
        hint = format('A key is a JSON array of the values of (%s), as in the change log', array_to_string(tracked.key, ', '))
          || coalesce(', e.g. ' || case when not typed @> '[null]' then typed::text end, '') || '.';
  end if;
end
$$;

-- Has a client compared with central: all that it maps, or one source, or one key of it. Differences are repaired, unless it
-- is a dry run. Returns the runs, rows of caravan.reconciliation. If no hub has registered the client yet, for instance
-- because it has just been started, the request stays queued until one does.
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
    perform caravan_internal.check_requested_key(source, key);
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
    raise warning 'no hub has registered a client % yet: the request stays queued until one does', client;
  elsif not found then
    raise exception 'no hub maps % to the client %', source, client
      using errcode = 'no_data_found', hint = 'See the table caravan.verification.';
  end if;
  perform caravan_internal.ask_hub('reconcile');
end
$$;
comment on function caravan.reconcile is 'Has a client compared with central, and what differs repaired';

-- Lets a waiting run repair, however much differs. The run first compares again.
create or replace function caravan.confirm(run bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update caravan.reconciliation r
  set state = 'requested', confirmed = true, checkpoint = null, ended_at = null
  where r.id = confirm.run and r.state = 'waiting';
  if not found then
    raise exception 'the run % does not wait for a person', run
      using errcode = 'no_data_found', hint = 'See the view caravan.reconciliations.';
  end if;
  perform caravan_internal.ask_hub('reconcile');
end
$$;
comment on function caravan.confirm is 'Lets a waiting run repair, however much differs';

-- Stops a run, or one that waits. What it has sent already is applied.
create or replace function caravan.stop(run bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update caravan.reconciliation r
  set state = 'stopped', ended_at = clock_timestamp(), checkpoint = null
  where r.id = stop.run and r.state in ('requested', 'running', 'waiting');
  if not found then
    raise exception 'there is no run % that could be stopped', run
      using errcode = 'no_data_found', hint = 'See the view caravan.reconciliations.';
  end if;
  delete from caravan_internal.suspect s where s.run = stop.run;
end
$$;
comment on function caravan.stop is 'Stops a run that reconciles a client';

create or replace view caravan.reconciliations as
select id, client, source, target, reason, key, dry_run, state, started_at,
  coalesce(ended_at, now()) - started_at as took, case state when 'running' then round(share, 2) end as share,
  compared, round(compared / greatest(extract(epoch from coalesce(ended_at, now()) - started_at), 0.001)) as rows_per_second,
  missing, stale, surplus, local, repaired, skipped, notes, found
from caravan.reconciliation
order by id desc;
comment on view caravan.reconciliations is 'Comparisons of clients with central, the newest first';

create or replace view caravan.verified as
select client, case when bool_and(equal_at is not null) then min(equal_at) end as equal_as_of
from caravan.verification
group by client
order by client;
comment on view caravan.verified is 'Until when each client was shown to be equal to central; null: never yet';
