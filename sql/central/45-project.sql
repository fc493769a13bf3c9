-- Projecting: a client whose mapping does not use all columns of a source gets the others not even as far as to the hub's
-- connection.

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

-- A page with only those columns of its sources that `sources` names, [{"source", "columns": ["name"]}], and the key.
-- Without `columns` a source is as it was. Each value stays the text that it is: only jsonb would write it anew.
create or replace function caravan.project(page text, sources jsonb)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  whole json;
begin
  if page is null or not sources @? '$[*].columns' then
    return page;
  end if;
  whole := page;
  return (
    with described as materialized (
      select s.key as name, s.value as description, case when w.columns is not null then w.columns || array(
          select json_array_elements_text(s.value -> 'key')
        ) end as wanted
      from json_each(whole -> 'sources') as s
      left join (
        select w ->> 'source' as name, array(select jsonb_array_elements_text(w -> 'columns')) as columns
        from jsonb_array_elements(sources) as w
        where w ? 'columns'
      ) as w on w.name = s.key
    ), kept as materialized (
      select name, string_agg(format('%s: %s', to_json(c.key), c.value), ', ' order by n) as columns,
        array_agg(n) || 0::bigint as positions
      from described, json_each(description -> 'columns') with ordinality as c (key, value, n)
      where c.key = any (wanted)
      group by name
    )
    select format('{"cursor": %s, "sources": {%s}, "cleared": %s, "gone": %s, %s"changes": {%s}}', whole -> 'cursor', (
        select string_agg(format('%s: %s', to_json(name), case when k.name is null then description::text
          else format('{"key": %s, "columns": {%s}}', description -> 'key', k.columns) end), ', ')
        from described left join kept k using (name)
      ), whole -> 'cleared', whole -> 'gone', '"oversized": ' || (whole -> 'oversized') || ', ', (
        select string_agg(format('%s: %s', to_json(c.key), case when k.name is null then c.value::text else format('[%s]', (
          select string_agg(format('[%s]', (
            select string_agg(v::text, ', ' order by p)
            from json_array_elements(change) with ordinality as e (v, p)
            where p - 1 = any (k.positions)
          )), ', ' order by n)
          from json_array_elements(c.value) with ordinality as a (change, n)
        )) end), ', ')
        from json_each(whole -> 'changes') as c
        left join kept k on k.name = c.key
      ))
  );
end
$$;
