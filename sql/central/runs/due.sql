-- Which run is due for a client.

-- Whether a run was stopped because of an initial load, by what it has noted.
create or replace function caravan_internal.met_initial_load(notes text[])
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select notes && '{the client is not loaded yet,the client is being loaded again}'
$$;

-- The run of a whole table that was begun last; null: none was.
create or replace function caravan_internal.last_run(compared caravan.verification)
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

-- When a table may be compared again at the soonest: at once where it was not, soon after a run that met an initial load.
create or replace function caravan_internal.rested_at(last caravan.reconciliation)
returns timestamptz
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select last.ended_at + case when caravan_internal.met_initial_load(last.notes) then interval '5 seconds' else interval '1 minute' end
$$;

-- Whether the doubt about a table holds up those that came after it: until it is settled, by a person if need be. Not if its
-- run fails, nor if its source can't be compared.
create or replace function caravan_internal.holds_up_others(doubted caravan.verification)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from caravan.source s where s.name = doubted.source and caravan_internal.replaced_by_another(s) is null
  ) and not exists (
    select from caravan_internal.last_run(doubted) as last where last.started_at > doubted.doubted_at and last.state = 'failed'
  );
end
$$;

-- The run for the oldest doubt about a client, if any, or for the one that was not tried for the longest time. Those that an
-- earlier one holds up have to wait. After a TRUNCATE nobody is asked, nor waited for: it said that all rows go.
create or replace function caravan_internal.run_for_doubt(client text)
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
  left join lateral caravan_internal.last_run(v) as last on true
  where v.client = run_for_doubt.client and v.doubt is not null
    and not exists (
      select from caravan.verification child
      where child.client = v.client and child.doubted_at < v.doubted_at and (v.doubt = 'epoch' or child.doubt = 'truncate')
        and caravan_internal.holds_up_others(child)
    )
    and coalesce(last.started_at < v.doubted_at or last.state <> 'waiting'
      and now() > caravan_internal.rested_at(last), true)
  order by greatest(v.doubted_at, last.started_at)
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

-- Whether somebody waits for a comparison of a client.
create or replace function caravan_internal.is_requested(client text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from caravan.reconciliation r where r.client = is_requested.client and r.state = 'requested')
$$;

-- Which run is due for a client, if any: one that was requested; one because of a doubt; the one that was scheduled last, at
-- `scheduled_at`; one to verify, as often as it takes no more than `percent` of a core, but soon after an initial load. Not
-- while one waits for a person, nor out of turn where there is a doubt: a client refuses to delete the parent of a row.
create or replace function caravan_internal.due_run(client text, scheduled_at timestamptz, percent numeric)
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
  due := caravan_internal.run_for_doubt(client);
  if due.id is not null then
    return due;
  end if;

  select v.source, v.target,
    case when coalesce(last.started_at < scheduled_at, scheduled_at is not null) then 'schedule' else 'verify' end
  into due.source, due.target, due.reason
  from caravan.verification v
  left join lateral caravan_internal.last_run(v) as last on true
  where v.client = due_run.client and v.doubt is null and last.state is distinct from 'waiting' and (
    last.started_at < scheduled_at or last.started_at is null and scheduled_at is not null
    or percent > 0 and coalesce(now() > greatest(caravan_internal.rested_at(last),
      case when caravan_internal.met_initial_load(last.notes) then null
        else last.started_at + last.worked * (100 / nullif(percent, 0))::float8 end), true)
  )
  order by last.started_at nulls first
  limit 1;
  if due.source is not null then
    delete from caravan.reconciliation r
    where r.client = due_run.client and r.source = due.source and r.target = due.target and r.reason = 'verify'
      and r.state = 'stopped' and caravan_internal.met_initial_load(r.notes);
    insert into caravan.reconciliation (client, source, target, reason)
    values (due_run.client, due.source, due.target, due.reason)
    returning * into due;
  end if;
  return due;
end
$$;
