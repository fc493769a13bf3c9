-- Central's half of reconciling: its rows as a client would hold them. The expressions of a mapping are computed here,
-- and they are SQL: so all of this runs with the rights of who calls it, the hub, over the views rows_N.

-- Raises that values can't be made ones of this type, because its casts may be anybody's.
create or replace function caravan.no_cast_to(type text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'casts to the type % may be anybody''s', type
    using errcode = 'cannot_coerce', hint = 'Such a column is compared where central''s has the same type.';
end
$$;

-- The columns of a client's table, [{"name", "type", "modifier"}], each with its value over the source's columns, as
-- the hub would write it at the client. `types` are those of the source's columns. A value of a type that may be
-- anybody's is its text. So is one of char(n), which has its blanks in a key and has none in a row: a page has it so.
create or replace function caravan.mapped_values(columns jsonb, expressions jsonb, types jsonb, is_key boolean)
returns table (name text, type text, value text, "position" bigint)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select c.name, c.type,
    case
      -- A type that central lacks is compared as text: the names of an enum, a text that ignores case.
      when is_text then coalesce(format('(%s)::text', plain),
        format('case when (%1$s) is distinct from null then pg_catalog.concat(%1$s) end', expression))
      when not is_trusted and types ->> bare is distinct from c.type then caravan.no_cast_to(c.type)
      when bare is null then caravan.comparable(format('((%s)::%s)::%s', expression, c.type, exact_type), c.type)
      when types ->> bare = c.type and (modifier = -1 or not is_trusted) then plain
      when types ->> bare = c.type then caravan.comparable(format('(%s)::%s', plain, exact_type), c.type)
      else caravan.comparable(format('((%s)::text::%s)::%s', plain, c.type, exact_type), c.type)
    end,
    c.position
  from (
    select name, expression, bare, type, modifier, format_type(known, modifier) as exact_type, position,
      coalesce(typtype = 'e', true) as is_text, coalesce(caravan.is_trusted(known), true) as is_trusted,
      case when types ->> bare = 'bpchar' and not is_key then format('%I::text', bare)
        else caravan.comparable(quote_ident(bare), types ->> bare) end as plain
    from (
      select e ->> 'name' as name, expressions ->> (e ->> 'name') as expression, n as position, (e ->> 'modifier')::int as modifier,
        case when types ? (expressions ->> (e ->> 'name')) then expressions ->> (e ->> 'name') end as bare,
        caravan.type_named(e ->> 'type') as known,
        coalesce(format_type(caravan.type_named(e ->> 'type'), -1), e ->> 'type') as type
      from jsonb_array_elements(columns) with ordinality as u (e, n)
    ) as e
    left join pg_type on pg_type.oid = known
  ) as c
$$;

-- The values of a key as they are in a page, (key ->> 0)::bigint, …, each with its source column.
create or replace function caravan.key_values(spec jsonb, key text)
returns table (name text, type text, value text, "position" bigint)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select c, spec -> 'types' ->> c, caravan.value_in_key(key, n, spec -> 'types' ->> c), n
  from jsonb_array_elements_text(spec -> 'source_key') with ordinality as u (c, n)
$$;

-- A query for the rows as a client would hold them: place (where central keeps it), key_hash, row_hash, key_text (the
-- client's key, an array of texts), key (as it is in the log), and the columns of the source's key as s1, s2, …
-- Without the keys in `omitted`, each an array of texts as text. If `in_stretches`, only the rows with a key in
-- one of the stretches $2 of the query.
create or replace function caravan.mapped_rows(question jsonb, mapping jsonb, omitted text[], in_stretches boolean)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  spec constant jsonb := question -> 'spec';
  target constant jsonb := mapping -> (question ->> 'number')::int;
  seed constant bigint := question ->> 'seed';
  key_parts text[];
  key_types text[];
  column_parts text[];
  key_texts text;
  source_key text;
  key_columns text;
  source_row text;
  condition text := coalesce(target ->> 'where', 'true');
begin
  select array_agg(value order by position), array_agg(type order by position),
    string_agg(format('(%s)::text', value), ', ' order by position)
  into key_parts, key_types, key_texts
  from caravan.mapped_values(spec -> 'key', target -> 'key', spec -> 'types', true);
  column_parts := array(
    select value
    from caravan.mapped_values(spec -> 'columns', target -> 'columns', spec -> 'types', false)
    order by position
  );
  select string_agg(case when typnamespace <> 'pg_catalog'::regnamespace or typcategory in ('A', 'C') or typname = 'jsonb'
      then format('(%s)::text', caravan.comparable(quote_ident(name), type))
      else caravan.comparable(quote_ident(name), type) end, ', ' order by position),
    string_agg(format('"caravan.s%1$s" as s%1$s', position), ', ' order by position)
  into source_key, key_columns
  from caravan.key_values(spec, '') join pg_type on oid = caravan.type_named(type);
  -- A type that the client does not know is text there, and so it is in expressions.
  source_row := (
    select string_agg(case when spec -> 'known' ? name then quote_ident(name)
      else format('(%s)::text as %I', caravan.comparable(quote_ident(name), type), name) end, ', ')
    from jsonb_each_text(spec -> 'types') as t (name, type)
  ) || (
    select string_agg(format(', %I as "caravan.s%s"', name, position), '') from caravan.key_values(spec, '')
  );
  -- CASE, for what is omitted is what the client refuses, and so may do the expressions here.
  if omitted <> '{}' then
    condition := format('case when array[%s]::text operator(pg_catalog.=) any (%L::text[]) then false else (%s) end', (
      select string_agg(format('(%s)::text', caravan.comparable(quote_ident(name), type)), ', ' order by position)
      from caravan.key_values(spec, '')
    ), omitted, condition);
  end if;
  return format($q$
    select "caravan.ctid" as place, %s as key_hash, %s as row_hash, array[%s] as key_text,
      pg_catalog.jsonb_build_array(%s) as key, %s
    from (select "caravan.ctid", %s from caravan.%I %s) as source_row
    where %s
  $q$, caravan.key_hash(key_parts, key_types, seed), caravan.row_hash(key_parts, key_types, column_parts, seed), key_texts,
    source_key, key_columns, source_row, spec ->> 'rows',
    case when in_stretches then caravan.join_stretches(quote_ident(spec -> 'source_key' ->> 0)) end, condition);
end
$$;

-- What others have replaced.
do $$
declare
  old regprocedure;
begin
  foreach old in array array_remove(array[to_regprocedure('caravan.prepare(jsonb, jsonb)'),
    to_regprocedure('caravan.mapped_values(jsonb, jsonb, jsonb)'), to_regprocedure('caravan.equality(regtype)')], null)
  loop
    execute format('drop function %s', old);
  end loop;
end
$$;

-- Which columns can't be computed here, and why: [{"column", "why"}]. Raises what is wrong with the filter.
create or replace function caravan.prepare(question jsonb, mapping jsonb, search_path text)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  failures jsonb := '[]';
  one jsonb;
begin
  for one in select jsonb_array_elements(question #> '{spec,columns}') loop
    begin
      perform caravan.run_under(search_path, format('select pg_catalog.to_jsonb(row_hash) from (%s) as r limit 0',
        caravan.mapped_rows(jsonb_set(question, '{spec,columns}', jsonb_build_array(one)), mapping, '{}', false)));
    exception
      when syntax_error_or_access_rule_violation then
        failures := failures || jsonb_build_object('column', one -> 'name', 'why', sqlerrm);
    end;
  end loop;
  return failures;
end
$$;

-- The rows with these keys, and at which snapshot they are these: `rows` is a query as caravan.mapped_rows makes it.
-- `spelled` is a row's key where it is equal to the one that was asked for, and written in another way (citext).
create or replace function caravan.look_up(question jsonb, rows text, search_path text)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select caravan.run_under(search_path, format($q$
    select pg_catalog.jsonb_build_object('snapshot', pg_catalog.pg_current_snapshot(), 'rows', coalesce(
      pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('key', e.key, 'hash', r.row_hash::text,
        'spelled', case when r.key operator(pg_catalog.<>) e.key then r.key end)), '[]'))
    from pg_catalog.jsonb_array_elements($3) as e (key)
    join (%s) as r on %s
  $q$, rows, (
    select string_agg(caravan.has_value('r.s' || position, 'e.key', position, type), ' and ')
    from caravan.key_values(question -> 'spec', 'e.key')
  )), keys => question -> 'keys')
$$;

-- The work of caravan.answer. Expressions find their names in the given search path, as they do at the client.
create or replace function caravan.answer_under(search_path text, question jsonb, mapping jsonb)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set row_security = off
set timezone = 'UTC'
set datestyle = 'ISO'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
set max_parallel_workers_per_gather = 0
set work_mem = '8MB'
set enable_sort = off
set enable_seqscan = on
set jit = off
as $$
declare
  spec constant jsonb := question -> 'spec';
  rows text;
  omitted text[];
  stretches bigint[];
  part record;
  answer jsonb;
begin
  if question ->> 'ask' = 'prepare' then
    return caravan.prepare(question, mapping, search_path);
  end if;
  execute format('select array(select array[%s]::text from jsonb_array_elements($1) as key)', (
    select string_agg(format('(%s)::text', value), ', ' order by position) from caravan.key_values(spec, 'key')
  )) into omitted using coalesce(question -> 'omit', '[]');
  stretches := caravan.stretches(question, format('caravan.%I', spec ->> 'rows'), spec -> 'source_key' ->> 0,
    spec -> 'types' ->> (spec -> 'source_key' ->> 0));
  if stretches is not null then
    perform set_config('enable_seqscan', 'off', true);  -- PostgreSQL takes the stretches for long
  end if;
  rows := caravan.mapped_rows(question, mapping, omitted, stretches is not null);
  if question ->> 'ask' = 'look' then
    return caravan.look_up(question, rows, search_path);
  end if;

  part := caravan.part_of((spec ->> 'relation')::oid::regclass, (question #>> '{from,central}')::bigint, 'place', stretches);
  rows := format('select * from (%s) as r where %s', rows, part.condition);
  answer := case question ->> 'ask'
    when 'digest' then caravan.digest(question, rows, stretches, search_path)
    else caravan.list(question, rows, stretches, search_path)
  end;
  return answer || jsonb_build_object('next', part.next_block, 'blocks', part.blocks);
end
$$;

-- What central answers to a question. A digest and a list are of the part that begins at the block `from`, and say
-- where the next one begins (`next`) and how many blocks there are; a look says at which snapshot it was taken.
create or replace function caravan.answer(question jsonb, mapping jsonb)
returns text
language sql
stable
as $$
  select caravan.answer_under(pg_catalog.current_setting('search_path'), question, mapping)
$$;
comment on function caravan.answer is 'Central''s half of comparing a client with central';
