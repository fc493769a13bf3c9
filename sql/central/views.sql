-- What the hub's statements read with the hub's own rights. It makes them in Java: io.caravan.read.WindowStatement.

-- The change log, as far as who asks may read the sources.
-- Relies on: a security barrier hides what it filters also from functions of who asks; conditions whose functions are known
-- to leak nothing, such as comparisons of ids, still find rows by an index.
create view caravan_internal.log with (security_barrier) as
select id, xid, source, key
from caravan.change
where source = any (array(
  select s.id from caravan.source s where has_table_privilege(to_regclass('caravan_internal.rows_' || s.id), 'select')
));
comment on view caravan_internal.log is 'The changes of the sources that one may read';

-- The sources, their columns in the order in which a page has them. A statement that was made for another state of a source
-- does not fit.
create view caravan_internal.tracked as
select id, name, generation, loose, key,
  array(select c.key from jsonb_each_text(jsonb_object(columns, types)) as c) as columns,
  array(select c.value from jsonb_each_text(jsonb_object(columns, types)) as c) as types,
  concat_ws(' ', id, generation, loose, key, columns, types) as state
from caravan.source;
comment on view caravan_internal.tracked is 'The tracked sources';

-- What is still refused, by client. A login in caravan_limited_hub sees what it may speak of, as caravan_internal.check_hub has it.
create view caravan_internal.unresolved with (security_barrier) as
select d.client, d.source
from caravan.dead_letter d
where d.state in ('retrying', 'open')
  and (
    (select not coalesce(pg_has_role(session_user, to_regrole('caravan_limited_hub'), 'member'), false))
    or (
      (select not exists (select from caravan_internal.hub_client h where h.hub = session_user))
      or d.client in (select h.client from caravan_internal.hub_client h where h.hub = session_user)
    )
    and d.source not in (
      select s.name from caravan.source s
      where not coalesce(has_table_privilege(session_user, to_regclass('caravan_internal.rows_' || s.id), 'select'), false)
    )
  );
comment on view caravan_internal.unresolved is 'The dead letters that are not resolved, of the clients that one may speak for';

-- SECURITY DEFINER: who asks may not read the dead letters themselves.
create or replace function caravan_internal.refusing_clients()
returns setof text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query select distinct u.client from caravan_internal.unresolved u;
end
$$;
comment on function caravan_internal.refusing_clients is 'The clients that have unresolved dead letters, and that one may speak for';

-- Each page asks for these, and seldom there are any. Without a function, each statement would begin with all that
-- caravan_internal.unresolved looks up.
create view caravan_internal.refusing as
select c.client
from caravan_internal.refusing_clients() as c (client)
where exists (select from caravan.dead_letter d where d.state in ('retrying', 'open'));
comment on view caravan_internal.refusing is 'The clients that have unresolved dead letters; * for all';
