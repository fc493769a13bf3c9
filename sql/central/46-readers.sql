-- Readers: which login of a hub may read which sources. The truth is PostgreSQL's privilege to select from the source's
-- view rows_N: caravan_hub has it on all, a login in caravan_limited_hub on what it was allowed.

-- Raises that the caller's login may not read a source.
-- Relies on: in a function that runs as its owner, session_user is still who has logged in.
create or replace function caravan.check_reader(source caravan.source)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not has_table_privilege(session_user, 'caravan.rows_' || source.id, 'select') then
    raise exception '% may not read the source %', session_user, source.name
      using errcode = 'insufficient_privilege',
        hint = format('select caravan.allow(%L, %L)', session_user, array[source.name]);
  end if;
end
$$;

-- Lets the login of a hub read these sources and no others. It is to be in caravan_limited_hub, and not in caravan_hub.
-- To be called by the owner of the schema caravan.
create or replace function caravan.allow(hub name, sources text[])
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
    execute format(case when source.name = any (sources) then 'grant select on caravan.rows_%s to %I'
      else 'revoke select on caravan.rows_%s from %I' end, source.id, hub);
  end loop;
end
$$;
comment on function caravan.allow is 'Limits the login of a hub to sources';
