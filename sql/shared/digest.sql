-- Digests, as both central and a client compute them: they are equal if the rows are. What asks for one is described in
-- sql/central/57-reconcile.sql.
--
-- Each row has a key's hash, which says in which bucket it is, and a hash of all its values, the key among them. Both
-- are of PostgreSQL's text forms (the numbers 1.0 and 1.00 are equal, and not the same), as bytes: the same whatever the
-- collations of the two databases are, and in PostgreSQL 15 to 18.

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
    hash := format('hashtextextended(coalesce((%s)::text, %L) collate "C", %s)', value, '', hash);
  end loop;
  return hash;
end
$$;

-- The hash of a key, of its values and their types.
create or replace function caravan.key_hash(key text[], types text[], seed bigint)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when types <@ '{smallint,integer,bigint}' and cardinality(types) = 1 then format('hashint8extended(%s, %s)', key[1], seed)
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
        when types <@ '{smallint,integer,bigint}' and cardinality(types) = 1 then format('%s::bigint # %s', key[1], seed)
        else caravan.chained_hash(key, seed::text)
      end, (
        select string_agg(format(' # case when (%s) is null then %s else 0 end', value, hashint8extended(n, 0)), '' order by n)
        from unnest(row_values) with ordinality as v (value, n)
      )))
$$;

-- A part of a table that is read at once, so that no statement takes long: `blocks` blocks from `from_block` on.
-- Relies on: a condition on ctid reads only those blocks, since PostgreSQL 14.
create or replace function caravan.part_of(
  relation regclass, from_block bigint, place text, out condition text, out next_block bigint, out blocks bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  most constant bigint := 65536;
begin
  select max(pg_relation_size(oid) / current_setting('block_size')::int) into blocks
  from (select relation as oid union select relid from pg_partition_tree(relation)) as tables;
  condition := case when from_block > 0 then format('%s >= ''(%s,0)''', place, from_block) end;
  if blocks > from_block + most then
    next_block := from_block + most;
    condition := concat_ws(' and ', condition, format('%s < ''(%s,0)''', place, next_block));
  end if;
  condition := coalesce(condition, 'true');
end
$$;

-- A digest of `rows`, a query that returns key_hash and row_hash:
--   rows     how many
--   total    their hashes, combined
--   buckets  of each bucket the lower half of its hashes, combined: an array, in the order of `within` and then of the
--            bits that follow. What the other half would show is in the total
-- They are combined by XOR: as good as a sum where no row is there twice, without its 128 bits. The expressions of `rows`
-- find their names under the search_path of the caller.
-- OFFSET keeps PostgreSQL from taking a key for a bucket: it would make room for as many buckets as there are keys.
create or replace function caravan.digest(question jsonb, rows text)
returns jsonb
language plpgsql
stable
as $$
declare
  bits constant int := question ->> 'bits';
  more constant int := question ->> 'more';
  within constant bigint[] := array(select jsonb_array_elements_text(question -> 'within'));
  counted bigint;
  total bigint;
  numbers int[];
  hashes bigint[];
begin
  execute format($q$
    select sum(count), bit_xor(hash), array_agg(bucket), array_agg(hash & 4294967295)
    from (select %s as bucket, count(*) as count, bit_xor(row_hash) as hash from (%s %s offset 0) as r %s group by 1) as b
  $q$,
    case when bits = 0 then format('(key_hash & %s)::int', (1 << more) - 1)
      else format('((w.n - 1 << %s) | (key_hash >> %s & %s))::int', more, bits, (1 << more) - 1) end,
    format('select key_hash, row_hash from (%s) as r', rows),
    case when bits > 0 then format('where key_hash & %s = any ($1)', (1::bigint << bits) - 1) else '' end,
    case when bits > 0 then format(
      'join unnest($1) with ordinality as w (pattern, n) on w.pattern = (key_hash & %s)', (1::bigint << bits) - 1)
    else '' end) into counted, total, numbers, hashes using within;
  return jsonb_build_object('rows', coalesce(counted, 0), 'total', coalesce(total, 0)::text, 'buckets', array(
    select coalesce(hash, 0)
    from generate_series(0, (cardinality(within) << more) - 1) as number
    left join unnest(numbers, hashes) as b (number, hash) using (number)
    order by number
  )::text);
end
$$;

-- The rows of some buckets, of `rows`, a query that returns row_hash, key_hash, key_text (an array of texts) and key (as it
-- is in the log; null at a client): three arrays, each as text.
create or replace function caravan.list(question jsonb, rows text)
returns jsonb
language plpgsql
stable
as $$
declare
  list jsonb;
begin
  execute format($q$
    select jsonb_build_object('hashes', coalesce(array_agg(row_hash), '{}')::text,
      'key_texts', coalesce(array_agg(key_text::text), '{}')::text, 'keys', coalesce(array_agg(key::text), '{}')::text)
    from (%s) as r
    where key_hash & %s = any ($1)
  $q$, rows, (1::bigint << (question ->> 'bits')::int) - 1)
  into list using array(select jsonb_array_elements_text(question -> 'within')::bigint);
  return list;
end
$$;
