-- Sweeping: after central has got another history (a restored backup, a failover), a client may hold rows of which central
-- knows nothing any more. Its keys are shown to central, page by page: first to count those that are gone, then to delete
-- them.

-- The next keys of a sweep, which stands in the cursor as {"source", "key": the columns of the source's key, "target":
-- which of the source's targets, "after": a key or null, "confirmed", "counted": whether the rows are to be deleted, "gone",
-- "total": how many are gone, as far as they are counted, of how many}. Returns
-- {"keys": [[42], ...], "targets": how many the source has, "total": how many keys this one has}.
create or replace function caravan.keys(client text, mapping jsonb, cursor jsonb, most int)
returns text
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
  sweep constant jsonb := cursor -> 'sweep';
  after constant jsonb := nullif(sweep -> 'after', 'null');
  targets constant jsonb[] := array(
    select t from jsonb_array_elements(caravan.numbered(mapping)) as t where t -> 'source' = sweep -> 'source'
  );
  swept constant jsonb := targets[1 + (sweep ->> 'target')::int];
  columns text;
  key text;  -- as caravan.key_N of central writes it
  position text;
  keys jsonb;
  total bigint;
begin
  perform caravan.check_visible(to_regclass(swept ->> 'table'));
  if swept ->> 'rows' = 'central' then
    select string_agg(quote_ident(name), ', ' order by n),
      string_agg(format('($1 ->> %s)::%s', n - 1, caravan.column_type((swept ->> 'table')::regclass, name)), ', '
        order by n),
      string_agg(format(case when typcategory in ('A', 'C') or typname = 'jsonb' then '%I::text' else '%I' end, name), ', '
        order by n)
    into columns, position, key
    from jsonb_array_elements_text(sweep -> 'key') with ordinality as k (source_column, n)
    join jsonb_each_text(swept -> 'key') as m (name, source_column) using (source_column)
    join pg_type t on t.oid = caravan.column_type((swept ->> 'table')::regclass, name)::regtype;
    execute format(
      'select jsonb_agg(jsonb_build_array(%4$s)) from (select %1$s from %2$s where %3$s order by %1$s limit $2) as k',
      columns, swept ->> 'table',
      case when after is null then format('(%s) is not null', columns) else format('(%s) > (%s)', columns, position) end, key)
    using after, most into keys;
    if after is null then
      execute format('select count(*) from %s', swept ->> 'table') into total;
    end if;
  else
    keys := (
      select jsonb_agg(k.key)
      from (
        select o.key
        from caravan.replicated o
        where o.target = (select caravan.number_of(client, swept)) and (after is null or o.key > after)
        order by o.key
        limit most
      ) as k
    );
    if after is null then
      total := (select count(*) from caravan.replicated o where o.target = (select caravan.number_of(client, swept)));
    end if;
  end if;
  return jsonb_build_object('keys', coalesce(keys, '[]'), 'targets', cardinality(targets), 'total', total);
end
$$;

-- Says that a sweep may delete what central does not have, even if that is much. A page that is on its way was made for
-- another step, and does not take that back.
create or replace function caravan.confirm(client text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update caravan.cursor c
  set cursor = jsonb_set(c.cursor, '{sweep,confirmed}', 'true'),
    step = greatest(c.step + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
  where c.client = confirm.client and c.cursor ? 'sweep';
  if not found then
    raise exception 'the client % is not being swept', client using errcode = 'no_data_found';
  end if;
end
$$;
comment on function caravan.confirm is 'Lets a sweep delete many rows';
