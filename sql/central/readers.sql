-- Readers: which login of a hub may read which sources. The truth is PostgreSQL's privilege to select from the source's
-- view rows_N: caravan_hub has it on all, a login in caravan_limited_hub on what it was allowed.

-- Raises that the caller's login may not read a source.
-- Relies on: in a function that runs as its owner, session_user is still who has logged in.
create or replace function caravan_internal.check_reader(source caravan.source)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not has_table_privilege(session_user, 'caravan_internal.rows_' || source.id, 'select') then
    raise exception '% may not read the source %', session_user, source.name
      using errcode = 'insufficient_privilege',
        hint = format('select caravan.allow(%L, %L)', session_user, array[source.name]);
  end if;
end
$$;

-- Raises that the caller's login is limited, and may not speak for a client, or of one of these sources. What is not tracked
-- is nobody's.
create or replace function caravan_internal.check_hub(client text, sources text[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not coalesce(pg_has_role(session_user, to_regrole('caravan_limited_hub'), 'member'), false) then
    return;
  end if;
  if exists (select from caravan_internal.hub_client h where h.hub = session_user)
    and not exists (select from caravan_internal.hub_client h where h.hub = session_user and h.client = check_hub.client)
  then
    raise exception '% may not serve the client %', session_user, client
      using errcode = 'insufficient_privilege',
        hint = format('select caravan.allow(%L, …, %L)', session_user, array[client]);
  end if;
  perform caravan_internal.check_reader(s) from caravan.source s where s.name = any (sources);
end
$$;

-- The same of the client and the source of a run.
create or replace function caravan_internal.check_run(run bigint)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan_internal.check_hub(r.client, array[r.source]) from caravan.reconciliation r where r.id = run;
end
$$;

-- Lets the login of a hub read these sources and no others, and speak for these clients and no others (null: for any; '*' is
-- who refuses what breaks a contract). It is to be in caravan_limited_hub, and not in caravan_hub.
-- To be called by the owner of the schema caravan.
create or replace function caravan.allow(hub name, sources text[], clients text[] default null)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  source caravan.source;
  unknown text;
begin
  if pg_has_role(hub, to_regrole('caravan_hub'), 'usage') then
    raise exception '% may read all sources', hub
      using errcode = 'invalid_grant_operation',
        hint = format('revoke caravan_hub from %1$I; grant caravan_limited_hub to %1$I', hub);
  end if;
  select u into unknown from unnest(sources) as u where u not in (select name from caravan.source);
  if found then
    raise exception '% is not tracked', quote_literal(unknown)
      using errcode = 'undefined_object',
        hint = 'Tracked are: ' || coalesce((select string_agg(name, ', ') from caravan.source), 'none');
  end if;
  for source in select * from caravan.source loop
    execute format(case when source.name = any (sources) then 'grant select on caravan_internal.rows_%s to %I'
      else 'revoke select on caravan_internal.rows_%s from %I' end, source.id, hub);
  end loop;
  delete from caravan_internal.hub_client h where h.hub = allow.hub;
  insert into caravan_internal.hub_client (hub, client) select distinct allow.hub, c from unnest(clients) as c;
end
$$;
comment on function caravan.allow is 'Limits the login of a hub to sources, and to clients';
