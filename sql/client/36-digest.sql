-- The client's half of reconciling: what its rows are, in answer to the hub's questions (io.caravan.reconcile.Question).

-- What central must know of a target to compute its rows as this client holds them: the types of the columns of its
-- key (in the order of the source's key) and of the others, domains by their base types; and which types of the
-- source's columns this database knows, for the others are text in expressions here.
create or replace function caravan.survey(target jsonb, source jsonb)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation constant regclass := to_regclass(target ->> 'table');
begin
  if relation is null then
    raise exception 'there is no table %', target ->> 'table' using errcode = 'undefined_table';
  end if;
  return (
    with recursive named (name, is_key, n) as (
      select name, true, k.n
      from jsonb_array_elements_text(source -> 'key') with ordinality as k (source_column, n)
      join jsonb_each_text(target -> 'key') as m (name, source_column) using (source_column)
      union all
      select name, false, n from jsonb_object_keys(target -> 'columns') with ordinality as c (name, n)
    ), base (name, is_key, n, type, modifier) as (
      select name, is_key, n, atttypid, atttypmod
      from named
      join pg_attribute on attrelid = relation and attname = name and attnum > 0 and not attisdropped
      union all
      select name, is_key, n, typbasetype, case when modifier = -1 then typtypmod else modifier end
      from base join pg_type on pg_type.oid = type
      where typtype = 'd'
    ), described (is_key, columns) as (
      select is_key, jsonb_agg(jsonb_build_object('name', name, 'type', format_type(type, -1), 'modifier', modifier,
        'is_text', typcategory in ('S', 'E')) order by n)
      from base join pg_type on pg_type.oid = type
      where typtype <> 'd'
      group by is_key
    )
    select jsonb_build_object(
      'key', (select columns from described where is_key),
      'columns', coalesce((select columns from described where not is_key), '[]'),
      'known', (
        select jsonb_agg(c) from jsonb_each_text(source -> 'columns') as u (c, type) where to_regtype(type) is not null
      )
    )
  );
end
$$;

-- A key of central's in the types of this table, (key ->> 0)::bigint, ..., with the columns that it goes to.
create or replace function caravan.held_key(spec jsonb, key text)
returns table (name text, type text, exact_type text, value text, "position" bigint)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select c ->> 'name', c ->> 'type', format_type(caravan.type_named(c ->> 'type'), (c ->> 'modifier')::int),
    caravan.value_in_key(key, n, c ->> 'type'), n
  from jsonb_array_elements(spec -> 'key') with ordinality as u (c, n)
$$;

-- Those keys that can be keys of this table, each as the text of an array of texts. What a client refuses may be a key.
create or replace function caravan.held_texts(spec jsonb, keys jsonb)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  as_text constant text := (
    select string_agg(format('(%s)::text', case when caravan.is_trusted(caravan.type_named(type))
      then caravan.comparable(format('%s::%s', value, exact_type), type) else value end), ', ' order by position)
    from caravan.held_key(spec, '$1'));
  texts text[] := '{}';
  key jsonb;
  one text;
begin
  for key in select jsonb_array_elements(keys) loop
    begin
      execute format('select array[%s]::text', as_text) into one using key;
      texts := texts || one;
    exception
      when data_exception then
        null;  -- then no row has it
    end;
  end loop;
  return texts;
end
$$;

-- A query for the rows of a target: place (where they are stored), key_hash, row_hash, key_text (an array of texts), key
-- (which the client does not know) and the columns of its key as k1, k2, ... Without the rows whose key is null, which
-- central can't have, and those that are to be omitted. If the question says `owned`, it is only those that came from
-- central, and only of the buckets `within`: so the join does not take more memory for a larger table. If `in_stretches`,
-- it is only those with a key in one of the stretches $2 of the query.
create or replace function caravan.held_rows(client text, question jsonb, target jsonb, in_stretches boolean)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  spec constant jsonb := question -> 'spec';
  seed constant bigint := question ->> 'seed';
  omitted constant text[] := caravan.held_texts(spec, question -> 'omit');
  key_parts text[];
  key_types text[];
  column_parts text[];
  owned_parts text[];
  key_texts text;
  key_columns text;
  condition text;
  owned_matches text;
begin
  select array_agg(caravan.comparable(format('t.%I', name), type) order by position), array_agg(type order by position),
    string_agg(format('(%s)::text', caravan.comparable(format('t.%I::%s', name, type), type)), ', ' order by position),
    string_agg(format('t.%I as k%s', name, position), ', ' order by position),
    string_agg(format('t.%I is not null', name), ' and ' order by position),
    array_agg(case when caravan.is_trusted(caravan.type_named(type))
      then caravan.comparable(format('%s::%s', value, exact_type), type) else value end order by position),
    string_agg(caravan.has_value(format('t.%I', name), 'o.key', position, type), ' and ')
  into key_parts, key_types, key_texts, key_columns, condition, owned_parts, owned_matches
  from caravan.held_key(spec, 'o.key');
  column_parts := array(
    select caravan.comparable(format('t.%I', c ->> 'name'), c ->> 'type')
    from jsonb_array_elements(spec -> 'columns') with ordinality as u (c, n)
    order by n
  );
  if omitted <> '{}' then
    condition := condition || format(' and array[%s]::text <> all (%L)', key_texts, omitted);
  end if;
  if question ? 'owned' then
    condition := condition || format($q$
      and exists (
        select from caravan.replicated o
        where o.target = %L and %s & %s = any (%L) and %s
      )
    $q$, caravan.number_of(client, target), caravan.key_hash(owned_parts, key_types, seed),
      (1::bigint << (question ->> 'bits')::int) - 1,
      array(select jsonb_array_elements_text(question -> 'within')::bigint), owned_matches);
  end if;
  return format($q$
    select t.ctid as place, %s as key_hash, %s as row_hash, array[%s] as key_text, null::jsonb as key, %s
    from %s as t %s
    where %s
  $q$, caravan.key_hash(key_parts, key_types, seed), caravan.row_hash(key_parts, key_types, column_parts, seed),
    key_texts, key_columns, target ->> 'table',
    case when in_stretches then caravan.join_stretches('t.' || quote_ident(spec #>> '{key,0,name}')) end, condition);
end
$$;

-- The digest of the rows that came from central, some buckets at a time, for which there is room in memory.
create or replace function caravan.owned_digest(client text, question jsonb, target jsonb)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
as $$
declare
  most constant numeric := 250000;
  rows constant numeric := greatest((select reltuples from pg_class where oid = 'caravan.replicated'::regclass), 1);
  at_once constant int := least(greatest(trunc((1::bigint << (question ->> 'bits')::int) * most / rows), 1), 1000000);
  last constant int := jsonb_array_length(question -> 'within') - 1;
  buckets bigint[] := '{}';
  counted bigint := 0;
  total bigint := 0;
  pass jsonb;
begin
  for begins in 0 .. last by at_once loop
    pass := question || jsonb_build_object('within', jsonb_path_query_array(question -> 'within',
      '$[$first to $last]', jsonb_build_object('first', begins, 'last', least(begins + at_once - 1, last))));
    pass := caravan.digest(pass, caravan.held_rows(client, pass, target, false), null);
    counted := counted + (pass ->> 'rows')::bigint;
    total := total # (pass ->> 'total')::bigint;
    buckets := buckets || (pass ->> 'buckets')::bigint[];
  end loop;
  return jsonb_build_object('rows', counted, 'total', total::text, 'buckets', buckets::text);
end
$$;

-- How many keys are noted as central's, without those that are to be omitted; null where none are noted.
create or replace function caravan.owned_keys(client text, question jsonb, target jsonb)
returns bigint
language plpgsql  -- the hub may make the table later
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select count(*) - (
      select count(*)
      from jsonb_array_elements(question -> 'omit') as omitted
      join caravan.replicated o on o.target = (select caravan.number_of(client, owned_keys.target)) and o.key = omitted
    )
    from caravan.replicated o
    where o.target = (select caravan.number_of(client, owned_keys.target))
    having coalesce(owned_keys.target ->> 'rows', 'shared') = 'shared'
  );
end
$$;

-- Those of the next keys that are noted as central's, `after` one, that have no row; and after which one to go on, null at
-- the end. Each is looked up, so that this takes no memory.
create or replace function caravan.orphans(client text, question jsonb, target jsonb)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  most constant int := 100000;
  after constant jsonb := nullif(question -> 'after', 'null');
  orphans jsonb;
begin
  execute format($q$
    select jsonb_build_object(
      'keys', coalesce(jsonb_agg(o.key) filter (where not exists (select from %s as t where %s)), '[]'),
      'after', case when count(*) = $3 then (array_agg(o.key order by o.key desc))[1] end)
    from (
      select o.key
      from caravan.replicated o
      where o.target = $1 and ($2 is null or o.key > $2)
      order by o.key
      limit $3
    ) as o
  $q$, target ->> 'table', (
    select string_agg(caravan.has_value(format('t.%I', name), 'o.key', position, type), ' and ')
    from caravan.held_key(question -> 'spec', 'o.key')
  )) into orphans using caravan.number_of(client, target), after, most;
  return orphans;
end
$$;

-- What this client answers to a question. A look and a survey come with the client's cursor.
-- Relies on: all queries of a stable function see what the query that calls it sees, so that rows and cursor belong
-- together.
create or replace function caravan.answer(client text, question jsonb, mapping jsonb)
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
set max_parallel_workers_per_gather = 0
set enable_sort = off
set enable_seqscan = on
set jit = off
set work_mem = '8MB'
as $$
declare
  target constant jsonb := caravan.numbered(mapping) -> (question ->> 'number')::int;
  standing constant jsonb := jsonb_build_object('cursor', (
    select c.cursor from caravan.cursor c where c.client = answer.client
  ));
  stretches bigint[];
  rows text;
  part record;
  answer jsonb;
begin
  perform caravan.check_visible(to_regclass(target ->> 'table'));
  if question ->> 'ask' = 'survey' then
    return standing || caravan.survey(target, question -> 'source');
  elsif question ->> 'ask' = 'look' then
    execute format($q$
      select jsonb_build_object('rows', coalesce(jsonb_agg(l) filter (where hash is not null or owned), '[]'))
      from (
        select e.key, r.row_hash::text as hash, r.key_text::text as key_text, exists (
          select from caravan.replicated o where o.target = $2 and o.key = e.key
        ) as owned
        from jsonb_array_elements($1) as e (key)
        left join (%s) as r on %s
      ) as l
    $q$, caravan.held_rows(client, question - 'owned', target, false), (
      select string_agg(caravan.has_value('r.k' || position, 'e.key', position, type), ' and ')
      from caravan.held_key(question -> 'spec', 'e.key')
    )) into answer using question -> 'keys', caravan.number_of(client, target);
    return standing || answer;
  elsif question ->> 'ask' = 'orphans' then
    return caravan.orphans(client, question, target);
  elsif question ->> 'ask' = 'digest' and question ? 'owned' then
    return caravan.owned_digest(client, question, target);
  end if;

  stretches := caravan.stretches(question, target ->> 'table', question #>> '{spec,key,0,name}',
    question #>> '{spec,key,0,type}');
  if stretches is not null then
    perform set_config('enable_seqscan', 'off', true);  -- PostgreSQL takes the stretches for long
  end if;
  part := caravan.part_of((target ->> 'table')::regclass, (question #>> '{from,client}')::bigint, 'place', stretches);
  rows := format('select * from (%s) as r where %s',
    caravan.held_rows(client, question, target, stretches is not null), part.condition);
  answer := case question ->> 'ask'
    when 'digest' then caravan.digest(question, rows, stretches)
    else caravan.list(question, rows, stretches)
  end;
  return answer || jsonb_build_object('next', part.next_block, 'blocks', part.blocks)
    || case when question ? 'counts' and question #> '{from,client}' = '0'
      then jsonb_build_object('owned_keys', caravan.owned_keys(client, question, target)) else '{}' end;
end
$$;
comment on function caravan.answer is 'The client''s half of comparing it with central';
