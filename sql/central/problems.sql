-- What is wrong with a source, as the hub looks for once a minute: nobody else would notice that changes are no longer
-- captured, or that they are of the wrong table. And which runs wait for a person.

create or replace function caravan_internal.find_problems()
returns table (source text, problem text, remedy text)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
  select s.name, p.problem, coalesce(p.remedy, format('select caravan.track(%L, %L)', s.name, s.columns))
  from caravan.source s
  left join pg_class c on c.oid = s.relation
  left join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (select case when c.oid is not null then format('%I.%I', n.nspname, c.relname) end) as now (called)
  cross join lateral (
    select 'its table was dropped', null
    where c.oid is null
    union all
    select format('its table is now %s%s', now.called,
        case when to_regclass(s.name) is null then '' else ', and another table has its name' end),
      case when to_regclass(s.name) is null then format('select caravan.track(%L, %L)', now.called, s.columns) end
    where c.oid is not null and to_regclass(s.name) is distinct from s.relation
    union all
    select 'columns of it were dropped', null
    where c.oid is not null and caravan_internal.is_lost(s.id)
    union all
    select format('the trigger caravan_%s %s', event, case when t.oid is null then 'is missing'
      when t.tgenabled = 'D' then 'is disabled' else 'is not ENABLE ALWAYS' end), null
    from unnest('{insert,update,delete,truncate}'::text[]) as event
    left join pg_trigger t on t.tgrelid = s.relation and t.tgname = 'caravan_' || event
      and pg_get_triggerdef(t.oid) ~ format('caravan(_internal)?\.log_%s_%s\(', event, s.id)
    where c.oid is not null and t.tgenabled is distinct from 'A'
    union all
    select 'its key is no longer the primary key', null
    where s.attnums[:cardinality(s.key)] <> (
      select (i.indkey::int2[])[0:i.indnkeyatts - 1] from pg_index i where i.indrelid = s.relation and i.indisprimary
    ) or c.oid is not null and not exists (select from pg_index i where i.indrelid = s.relation and i.indisprimary)
    union all
    select format('%s may not read it', current_user), format('grant select on %s to %I', now.called, current_user)
    where not has_table_privilege(c.oid, 'select')
  ) as p (problem, remedy)
  union all
  select r.source, format('run %s waits for a person: %s differs from it too much (%s missing, %s stale, %s surplus)',
      r.id, r.target || ' of ' || r.client, r.missing, r.stale, r.surplus),
    format('select caravan.confirm(%1$s), or caravan.stop(%1$s)', r.id)
  from caravan.reconciliation r
  where r.state = 'waiting'
    -- A limited hub is not told of another hub's clients.
    and (r.client in (select h.client from caravan_internal.hub_client h where h.hub = session_user)
      or not exists (select from caravan_internal.hub_client h where h.hub = session_user))
$$;
comment on function caravan_internal.find_problems is 'What has to be mended for the sources, for the view caravan.problems';

create or replace view caravan.problems as
select source, problem, remedy from caravan_internal.find_problems() order by source, problem;
comment on view caravan.problems is 'What keeps sources from being captured, or rows from being repaired, and what to do';
