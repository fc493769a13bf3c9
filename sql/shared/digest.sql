-- Digests, as both central and a client compute them: they are equal if the rows are. What asks for one is described in
-- io.caravan.reconcile.Question.
--
-- Each row has a key's hash, which says in which bucket it is, and a hash of all its values, the key among them. Both
-- are of PostgreSQL's text forms (the numbers 1.0 and 1.00 are equal, and not the same), as bytes: the same whatever the
-- collations of the two databases are, and in PostgreSQL 15 to 18.
--
-- In central the queries that are made here run under the search_path of the hub, because the expressions of a mapping
-- are in them. Others may create functions and operators there, and casts for types of their own. So all else that such a
-- query names is PostgreSQL's own and says so: pg_catalog.count(...), operator(pg_catalog.=).

-- The type of this name; null: there is none. The hub need not have any rights on the type's schema.
create or replace function caravan.type_named(name text)
returns oid
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select to_regtype(name)
$$;

-- Whether a type's casts and operators may be used: all that belongs to it is a superuser's work, and its schema is open to
-- the hub. Only a superuser can make a base type (citext); an enum, a composite type, a range and their arrays may be
-- anybody's.
create or replace function caravan.is_trusted(type oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select t.typnamespace = 'pg_catalog'::regnamespace
    or t.typtype = 'b' and has_schema_privilege(t.typnamespace, 'usage')
      and (t.typcategory <> 'A' or caravan.is_trusted(t.typelem))
  from pg_type t
  where t.oid = type
$$;

-- A value of this type in a form that can be compared as text: as it is, or as the text that the type's own output function
-- makes, where a cast could be anybody's, or takes the blanks away that are part of a key in the log (char).
-- Relies on: concat() uses no cast. `is distinct from null` is false only for null, not for a row of nulls, and looks for no
-- operator.
create or replace function caravan.comparable(value text, type text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when caravan.is_trusted(caravan.type_named(type)) and type <> 'bpchar' then value
    else format('case when (%1$s) is distinct from null then pg_catalog.concat(%1$s) end', value) end
$$;

-- The n-th value of a key, an SQL expression of a JSON array, in this type; as text where a cast could be anybody's.
create or replace function caravan.value_in_key(key text, n bigint, type text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format(case when caravan.is_trusted(caravan.type_named(type)) then '(%s operator(pg_catalog.->>) %s)::%s'
    else '(%s operator(pg_catalog.->>) %s)' end, key, n - 1, type)
$$;

-- The equality operator of a type that is trusted: that of its indexes, which for an extension's type is where the extension
-- is (citext).
-- Relies on: only a superuser can make an operator class.
create or replace function caravan.equality(type oid)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((
    select format('operator(%I.%s)', nspname, oprname)
    from pg_opclass c
    join pg_am on pg_am.oid = opcmethod and amname = 'btree'
    join pg_amop on amopfamily = opcfamily and amoplefttype = type and amoprighttype = type and amopstrategy = 3
    join pg_operator o on o.oid = amopopr
    join pg_namespace n on n.oid = oprnamespace
    where opcintype = type and opcdefault
  ), 'operator(pg_catalog.=)')
$$;

-- The condition that a column of this type has the n-th value of a key.
create or replace function caravan.has_value("column" text, key text, n bigint, type text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when caravan.is_trusted(caravan.type_named(type))
    then format('%s %s %s', "column", caravan.equality(caravan.type_named(type)), caravan.value_in_key(key, n, type))
    else format('(%s) operator(pg_catalog.=) %s', caravan.comparable("column", type), caravan.value_in_key(key, n, type)) end
$$;

-- The hash of some values, each an SQL expression: that of each is the seed of the next one's.
-- Relies on: hashtextextended mixes all 64 bits of its seed in. So neither values that have changed places within a row
-- nor values that have moved to another row cancel each other out, as they would in a sum of hashes.
create or replace function caravan.chained_hash(row_values text[], start text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  hash text := start;
  value text;
begin
  foreach value in array row_values loop
    hash := format('pg_catalog.hashtextextended(coalesce((%s)::text, %L) collate "C", %s)', value, '', hash);
  end loop;
  return hash;
end
$$;

-- Whether a key, of columns of these types, is one integer.
create or replace function caravan.is_integer(types text[])
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select types <@ '{smallint,integer,bigint}' and cardinality(types) = 1
$$;

-- The hash of 16 integers that follow each other, by what they are divided by 16.
create or replace function caravan.neighbours_hash(sixteenth text, seed bigint)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select format('pg_catalog.hashint8extended(%s, %s)', sixteenth, seed)
$$;

-- The hash of a key, of its values and their types. 16 integers that follow each other have the first 14 bits in
-- common: so the rows of a bucket are found in an index, and are near each other where rows came in the order of the key.
create or replace function caravan.key_hash(key text[], types text[], seed bigint)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when caravan.is_integer(types)
      then format('(%s operator(pg_catalog.#) ((%s::bigint operator(pg_catalog.&) 15) operator(pg_catalog.<<) 14))',
        caravan.neighbours_hash(key[1] || '::bigint operator(pg_catalog.>>) 4', seed), key[1])
    else caravan.chained_hash(key, seed::text)
  end
$$;

-- The hash of a row, of its key and its other values. It begins with the key and with which of the values are null: for
-- these are hashed as empty texts.
create or replace function caravan.row_hash(key text[], types text[], row_values text[], seed bigint)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select caravan.chained_hash(row_values || case when cardinality(row_values) = 0 then array[quote_literal('')] else '{}' end,
    format('(%s%s)',
      case
        when caravan.is_integer(types) then format('%s::bigint operator(pg_catalog.#) %s', key[1], seed)
        else caravan.chained_hash(key, seed::text)
      end, (
        select string_agg(format(' operator(pg_catalog.#) case when (%s) is null then %s else 0 end', value,
          hashint8extended(n, 0)), '' order by n)
        from unnest(row_values) with ordinality as v (value, n)
      )))
$$;

-- Where integers begin, 16 each, that may be keys in the buckets `within`: of all between the least and the greatest key of
-- `rows`, whose column is `key`, of this type. Null where it is better to read all rows: keys are no integers or far
-- apart, or too many of the buckets are wanted.
create or replace function caravan.stretches(question jsonb, rows text, key text, type text)
returns bigint[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  most constant int := 20000;
  mask constant bigint := (1 << least((question ->> 'bits')::int, 14)) - 1;
  patterns constant bigint[] := array(
    select distinct pattern::bigint & mask from jsonb_array_elements_text(question -> 'within') as pattern
  );
  is_integer constant boolean := caravan.is_integer(array[type])
    and caravan.is_integer(array(select c ->> 'type' from jsonb_array_elements(question #> '{spec,key}') as c));
  first bigint;
  last bigint;
  stretches bigint[];
begin
  if is_integer and question ->> 'ask' in ('digest', 'list') and cardinality(patterns) * 8 < mask + 1 then
    execute format('select min(%1$I), max(%1$I) from %2$s', key, rows) into first, last;
    if (last::numeric - first) / 16 * cardinality(patterns) / (mask + 1) < most then
      execute format('select array(select n << 4 from generate_series($1 >> 4, $2 >> 4) as n where %s & %s = any (%L))',
        caravan.neighbours_hash('n', (question ->> 'seed')::bigint), mask, patterns) into stretches using first, last;
    end if;
  end if;
  return stretches;
end
$$;

-- What keeps a query to the rows with a key in one of the stretches $2.
create or replace function caravan.join_stretches(key text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select format(
    'join pg_catalog.unnest($2) as "caravan.stretch" ("caravan.first") on %1$s operator(pg_catalog.>=) "caravan.first" '
    'and %1$s operator(pg_catalog.<=) ("caravan.first" operator(pg_catalog.+) 15)', key)
$$;

-- A part of a table that is read at once, so that no statement takes long: `blocks` blocks from `from_block` on. All at
-- once, where only some stretches of its key are read.
-- Relies on: a condition on ctid reads only those blocks, since PostgreSQL 14.
create or replace function caravan.part_of(
  relation regclass, from_block bigint, place text, stretches bigint[],
  out condition text, out next_block bigint, out blocks bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  most constant bigint := 65536;
begin
  if stretches is not null then
    condition := 'true';
    blocks := 0;
    return;
  end if;
  select max(pg_relation_size(oid) / current_setting('block_size')::int) into blocks
  from (select relation as oid union select relid from pg_partition_tree(relation)) as tables;
  condition := case when from_block > 0 then format('%s operator(pg_catalog.>=) ''(%s,0)''::tid', place, from_block) end;
  if blocks > from_block + most then
    next_block := from_block + most;
    condition := concat_ws(' and ', condition, format('%s operator(pg_catalog.<) ''(%s,0)''::tid', place, next_block));
  end if;
  condition := coalesce(condition, 'true');
end
$$;

-- The hashes of all buckets in the order in which a digest has them; 0 where a bucket is empty.
create or replace function caravan.in_order(within bigint[], bits int, more int, numbers bigint[], hashes bigint[])
returns bigint[]
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- PostgreSQL takes the arrays for short
as $$
  select array_agg(coalesce(hash, 0) order by n, further)
  from unnest(within) with ordinality as w (pattern, n)
  cross join generate_series(0, (1 << more) - 1) as further
  left join unnest(numbers, hashes) as b (number, hash) on number = pattern | (further::bigint << bits)
$$;

-- Runs a query that returns one JSON value, under a search_path: there it finds what the expressions of a mapping name.
-- Relies on: where a function sets a variable, set_config(..., is_local => true) within it lasts until its end.
create or replace function caravan.run_under(
  search_path text, query text, within bigint[] default null, stretches bigint[] default null, keys jsonb default null
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  path constant text := concat_ws(', ', 'pg_catalog', nullif(search_path, ''));
  result jsonb;
begin
  perform set_config('search_path', path, true);
  execute query into result using within, stretches, keys;  -- from here on nothing else may name anything
  return result;
end
$$;

-- These had no search_path.
do $$
begin
  if to_regprocedure('caravan.digest(jsonb, text, bigint[])') is not null then
    drop function caravan.digest(jsonb, text, bigint[]), caravan.list(jsonb, text, bigint[]);
  end if;
end
$$;

-- A digest of `rows`, a query that returns key_hash and row_hash:
--   rows     how many
--   total    their hashes, combined
--   buckets  of each bucket the lower half of its hashes, combined: an array, in the order of `within` and then of the
--            bits that follow. What the other half would show is in the total
-- They are combined by XOR: as good as a sum where no row is there twice, without its 128 bits. In `rows`, $2 is `stretches`.
-- OFFSET keeps PostgreSQL from taking a key for a bucket: it would make room for as many buckets as there are keys.
create or replace function caravan.digest(question jsonb, rows text, stretches bigint[], search_path text default '')
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  bits constant int := question ->> 'bits';
  more constant int := question ->> 'more';
  within constant bigint[] := array(select jsonb_array_elements_text(question -> 'within'));
  digest jsonb;
begin
  digest := caravan.run_under(search_path, format($q$
    select pg_catalog.jsonb_build_object('rows', coalesce(pg_catalog.sum(count), 0),
      'total', coalesce(pg_catalog.bit_xor(hash), 0)::text, 'numbers', pg_catalog.array_agg(bucket)::text,
      'hashes', pg_catalog.array_agg(hash operator(pg_catalog.&) 4294967295)::text)
    from (
      select key_hash operator(pg_catalog.&) %s as bucket, pg_catalog.count(*) as count,
        pg_catalog.bit_xor(row_hash) as hash
      from (select key_hash, row_hash from (%s) as r where %s offset 0) as r
      group by 1
    ) as b
  $q$, (1::bigint << bits + more) - 1, rows, case when bits = 0 then 'true'
    else format('(key_hash operator(pg_catalog.&) %s) operator(pg_catalog.=) any ($1)', (1::bigint << bits) - 1) end),
    within, stretches);
  return jsonb_build_object('rows', digest -> 'rows', 'total', digest -> 'total',
    'buckets', caravan.in_order(within, bits, more, (digest ->> 'numbers')::bigint[], (digest ->> 'hashes')::bigint[])::text);
end
$$;

-- The rows of some buckets, of `rows`, a query that returns row_hash, key_hash, key_text (an array of texts) and key (as it
-- is in the log; null at a client): three arrays, each as text. In `rows`, $2 is `stretches`.
create or replace function caravan.list(question jsonb, rows text, stretches bigint[], search_path text default '')
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return caravan.run_under(search_path, format($q$
    select pg_catalog.jsonb_build_object('hashes', coalesce(pg_catalog.array_agg(row_hash), '{}')::text,
      'key_texts', coalesce(pg_catalog.array_agg(key_text::text), '{}')::text,
      'keys', coalesce(pg_catalog.array_agg(key::text), '{}')::text)
    from (%s) as r
    where (key_hash operator(pg_catalog.&) %s) operator(pg_catalog.=) any ($1)
  $q$, rows, (1::bigint << (question ->> 'bits')::int) - 1),
    array(select jsonb_array_elements_text(question -> 'within')::bigint), stretches);
end
$$;
