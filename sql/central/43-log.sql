-- What the hub's statements read with the hub's own rights. It makes them in Java: io.caravan.read.WindowStatement.

-- The change log, as far as who asks may read the sources.
-- Relies on: a security barrier hides what it filters also from functions of who asks; conditions whose functions are known
-- to leak nothing, such as comparisons of ids, still find rows by an index.
create view caravan.log with (security_barrier) as
select id, xid, source, key
from caravan.change
where source = any (array(
  select s.id from caravan.source s where has_table_privilege(to_regclass('caravan.rows_' || s.id), 'select')
));
comment on view caravan.log is 'The changes of the sources that one may read';

-- The sources, their columns in the order in which a page has them. A statement that was made for another state of a source
-- does not fit.
create view caravan.tracked as
select id, name, generation, loose, key,
  array(select c.key from jsonb_each_text(jsonb_object(columns, types)) as c) as columns,
  array(select c.value from jsonb_each_text(jsonb_object(columns, types)) as c) as types,
  concat_ws(' ', id, generation, loose, key, columns, types) as state
from caravan.source;
comment on view caravan.tracked is 'The tracked sources';

create view caravan.refusing as
select distinct client from caravan.dead_letter where state in ('retrying', 'open');
comment on view caravan.refusing is 'The clients that have unresolved dead letters; * for all';

-- The sources as a page describes them: {"public.users": {"key": ["id"], "columns": {"id": "bigint", "name": "text"}}}.
create or replace function caravan.descriptions()
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_object_agg(name, jsonb_build_object('key', key, 'columns', jsonb_object(columns, types))), '{}')
  from caravan.source
$$;
comment on function caravan.descriptions is 'The sources with their keys and columns';
