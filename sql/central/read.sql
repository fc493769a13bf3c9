-- Reading what a client has to itself: the beginning of an initial load, another history of central. What is new since its
-- cursor, and the rows of an initial load, the hub reads by queries of its own: io.caravan.read.
--
-- A cursor is JSON that each client keeps; io.caravan.client.Cursor says what it has. What is here reads of it:
--   filled    source -> with which mapping it was loaded
--   fill      during an initial load: source, mark, after (a key), rows, total, since

-- Whether a client was loaded from a source as it is tracked now, by its cursor: not from one that was untracked since.
create or replace function caravan_internal.is_loaded_from(source caravan.source, cursor jsonb)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select split_part(split_part(cursor -> 'filled' ->> source.name, '/', 1), '.', 1) = source.id::text
$$;

-- The work of caravan_internal.read: one statement, and so one snapshot.
create or replace function caravan_internal.begin_reading(inout cursor jsonb, sources jsonb, out doubted text[])
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  wish record;
  mark text;
  to_load caravan.source;
  mark_to_load text;
begin
  if cursor is null or not caravan_internal.is_known(cursor) then
    doubted := array(select s ->> 'source' from jsonb_array_elements(sources) as s where cursor is not null);
    cursor := jsonb_build_object('filled', '{}'::jsonb, 'snapshot', pg_current_snapshot(),
      'epoch', (select h.epoch from caravan_internal.history h));
  end if;

  for wish in
    select w.source, w.fingerprint, s as tracked, caravan_internal.is_lost(s.id) as lost
    from rows from (jsonb_to_recordset(sources) as (source text, fingerprint text))
      with ordinality as w (source, fingerprint, n)
    left join caravan.source s on s.name = w.source
    order by w.n
  loop
    if (wish.tracked).id is null then
      raise exception 'central does not track the source %', wish.source
        using errcode = 'undefined_object', hint = format('select caravan.track(%L, ''{column, …}'')', wish.source);
    elsif wish.lost then
      perform caravan_internal.refuse_lost(wish.tracked);
    end if;
    perform caravan_internal.check_reader(wish.tracked);
    mark := concat_ws('/', concat_ws('.', (wish.tracked).id, nullif((wish.tracked).generation, 0)), wish.fingerprint);
    if to_load is null and cursor -> 'filled' ->> wish.source is distinct from mark then
      to_load := wish.tracked;
      mark_to_load := mark;
    end if;
  end loop;

  if to_load is not null then
    if (cursor #>> '{fill,mark}', cursor #>> '{fill,source}') is distinct from (mark_to_load, to_load.name) then
      cursor := cursor || jsonb_build_object('fill', jsonb_build_object('source', to_load.name, 'mark', mark_to_load,
        'after', null, 'rows', 0, 'total', caravan_internal.estimated_rows(to_load), 'since', clock_timestamp()));
      if not caravan_internal.is_loaded_from(to_load, cursor) then
        doubted := array[to_load.name];  -- it was tracked again: what was deleted meanwhile is in no log
      end if;
    end if;
  else
    cursor := cursor - 'fill';
  end if;
end
$$;

-- From where to read for a client at `cursor` (null: it has none yet) that maps `sources`, given in the order in which they
-- are to be loaded: [{"source": "public.users", "fingerprint": "…"}], a fingerprint of the mapping, so that a client whose
-- mapping was edited is loaded again. Raises what keeps a source from being read.
--   cursor   the cursor with which to read on
--   doubted  the sources of which the client may have rows that are gone from central, for caravan_internal.doubt; null: none
-- An initial load starts with a snapshot that is taken before its first row is read: what changes meanwhile comes again.
create or replace function caravan_internal.read(inout cursor jsonb, sources jsonb, out doubted text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set array_nulls = on
set quote_all_identifiers = off
set timezone = 'UTC'
set datestyle = 'ISO'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
as $$
begin
  perform caravan_internal.note_history();
  select b.* into cursor, doubted from caravan_internal.begin_reading(cursor, sources) as b;
end
$$;
comment on function caravan_internal.read is 'A cursor from which to read on';
