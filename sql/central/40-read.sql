-- Reading what a client has to itself: the beginning of a fill, another history of central. What is new since its cursor, and
-- the rows of a fill, the hub reads by queries of its own: io.caravan.read.
--
-- A cursor is JSON that each client keeps; io.caravan.client.Cursor says what it has. What is here reads of it:
--   filled    source -> which mapping it was filled with
--   fill      while a source is being filled: source, mark, after (a key), rows, total, since

-- Which history this is: another cluster, a timeline after a promotion, a crash, another database, a restored log.
-- The functions that run for each read are in PL/pgSQL: before PostgreSQL 18, those in SQL are planned at each call.
create or replace function caravan.epoch()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return concat_ws('/',
    (select system_identifier from pg_control_system()),
    left(pg_walfile_name(pg_current_wal_lsn()), 8),
    (select id from caravan.life),
    (select oid from pg_database where datname = current_database()),
    'caravan.change'::regclass::oid);
end
$$;

-- Notes which history this is, before anything is read from it. Two things are not to be seen in the epoch, and would cost
-- every client a fill if they were: that the server was started again, perhaps with a copy of its files from before; and
-- so a start is a milestone, which no cursor knows that another start has given out. And what was kept in another history,
-- from which a dump came, has transaction ids that mean nothing here, or will come to mean something: all clients are
-- compared with this one from its beginning, and need none of it.
-- Whoever starts to read waits until this is noted, and committed.
-- Relies on: PostgreSQL's JDBC driver gives out a result only when its transaction was committed.
create or replace function caravan.note_history()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  this_epoch text;
  server_start constant timestamptz := pg_postmaster_start_time();
  noted caravan.history;
begin
  if not exists (select from caravan.life) then
    insert into caravan.life default values on conflict do nothing;
  end if;
  this_epoch := caravan.epoch();
  select * into noted from caravan.history;
  if noted.epoch = this_epoch and noted.started = server_start then
    return;
  end if;

  perform from caravan.cleaning for update;
  select * into noted from caravan.history;
  if noted.epoch = this_epoch and noted.started = server_start then
    return;
  end if;
  if noted.epoch is distinct from this_epoch then
    -- Where nothing was noted yet, there may be cursors of this epoch: only what has not happened is not from here.
    delete from caravan.change where xid >= case
      when noted.epoch is null then pg_snapshot_xmax(pg_current_snapshot()) else pg_snapshot_xmin(pg_current_snapshot()) end;
    update caravan.cleaning set horizon = '0'
    where noted.epoch is not null or horizon >= pg_snapshot_xmax(pg_current_snapshot());
    if noted.epoch is not null then
      delete from caravan.superseded;
      update caravan.cleaning set newest = 0, kept = 0;
    end if;
  end if;
  insert into caravan.milestone (at, newest)
  select greatest(clock_timestamp(), max(m.at) + interval '1 microsecond'), (select coalesce(max(id), 0) from caravan.change)
  from caravan.milestone m;
  update caravan.history h set epoch = this_epoch, started = server_start;
end
$$;

-- The names of the sources, as a JSON array.
create or replace function caravan.sources()
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(json_agg(name order by name), '[]')::text from caravan.source
$$;
comment on function caravan.sources is 'The names of the sources';

-- What a page says of its sources. Called when their rows are found: whoever tracks a source with other columns changes
-- what finds its rows at once, and also for a query that began before and sees the old columns in caravan.source.
create or replace function caravan.describe(names text[])
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  description jsonb;
  anew text;
begin
  select coalesce(jsonb_object_agg(name, jsonb_build_object('key', key, 'columns', jsonb_object(columns, types))), '{}'),
    min(name) filter (where columns is distinct from caravan.columns_of(id))
  into description, anew
  from caravan.source
  where name = any (names);
  if anew is not null then
    raise exception 'the source % was tracked with other columns just now', anew
      using errcode = 'object_not_in_prerequisite_state';
  end if;
  return description;
end
$$;

-- For the progress of a fill. Counts only where PostgreSQL has no estimate yet.
create or replace function caravan.estimated_rows(source caravan.source)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  rows bigint := (select reltuples from pg_class where oid = source.relation);
begin
  if rows <= 0 then
    execute format('select count(*) from only %s', source.relation) into rows;
  end if;
  return rows;
end
$$;

-- The columns whose values the rows of a source have. Made again whenever a source is: so also a query that began before,
-- and sees the old columns in caravan.source, learns of it.
create or replace function caravan.make_columns_of()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_xact_lock('caravan.source'::regclass::int, 0);
  execute format($f$
    create or replace function caravan.columns_of(source integer) returns text[]
    language sql
    immutable
    return case source %s end
  $f$, (
    select coalesce(string_agg(format('when %s then %L::text[]', id, columns), ' '), 'when null then null::text[]')
    from caravan.source
  ));
  revoke all on function caravan.columns_of from public;
end
$$;

-- Whether the functions of a source are gone: those that find its rows go with the table, or with a column of it, if that
-- is dropped with CASCADE.
create or replace function caravan.is_lost(source int)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select to_regprocedure(format('caravan.found_%s(jsonb)', source)) is null
$$;

-- Says what has become of a source that is lost.
create or replace function caravan.refuse_lost(source caravan.source)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  again constant text := format('select caravan.track(%L, %L)', source.name, array(
    select c
    from unnest(source.columns) with ordinality as u (c, position)
    where not exists (select from pg_class where oid = source.relation)
      or exists (select from pg_attribute where attrelid = source.relation and attname = c and not attisdropped)
    order by position
  ));
begin
  if caravan.columns_of(source.id) is null then
    perform caravan.find_untracked(source.id);
  elsif exists (select from pg_class where oid = source.relation) then
    raise exception 'columns of the source % were dropped in central', source.name
      using errcode = 'CV006', hint = 'Track it again, with the columns that it still has: ' || again;
  elsif to_regclass(source.name) is not null then
    raise exception 'the table % is not the one that is tracked: that was dropped', source.name
      using errcode = 'CV006', hint = 'Track the new one: ' || again;
  end if;
  raise exception 'the table of the source % was dropped', source.name
    using errcode = 'CV006',
      hint = format('select caravan.untrack(%L); or make the table again, and %s', source.name, again);
end
$$;

-- Whoever reads changes may see a source that was untracked a moment ago. Its rows are not gone.
create or replace function caravan.find_untracked(source integer)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'source % is no longer tracked', source using errcode = 'object_not_in_prerequisite_state';
end
$$;
do $$
begin
  perform caravan.make_columns_of();
end
$$;

-- Whether all that is visible in one snapshot is visible in another.
create or replace function caravan.shows_all_of(snapshot pg_snapshot, other pg_snapshot)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return pg_snapshot_xmax(snapshot) >= pg_snapshot_xmax(other)
    and not exists (select from pg_snapshot_xip(snapshot) as x where pg_visible_in_snapshot(x, other));
end
$$;
comment on function caravan.shows_all_of is 'Whether all that is visible in one snapshot is visible in another';

-- Whether a client was filled from a source as it is tracked now, by its cursor: not from one that was untracked since.
create or replace function caravan.is_filled_from(source caravan.source, cursor jsonb)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select split_part(split_part(cursor -> 'filled' ->> source.name, '/', 1), '.', 1) = source.id::text
$$;

-- Whether a cursor belongs to this history of central: not to another one, nor to a future that a restored backup has
-- not lived (it knows a transaction or a milestone that never was), nor to a past whose deletions are forgotten.
create or replace function caravan.is_known(cursor jsonb)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  since constant pg_snapshot := cursor ->> 'snapshot';
  upto constant pg_snapshot := coalesce(cursor #>> '{window,upto}', cursor ->> 'snapshot');
  seen constant timestamptz := cursor ->> 'milestone';
begin
  return cursor ->> 'epoch' = (select h.epoch from caravan.history h)
    and pg_snapshot_xmax(upto) <= pg_snapshot_xmax(pg_current_snapshot())
    and (seen is null or exists (select from caravan.milestone m where m.at = seen))
    and pg_snapshot_xmin(since) > (select horizon from caravan.cleaning);
end
$$;

-- The work of caravan.read: one statement, and so one snapshot.
create or replace function caravan.begin_reading(inout cursor jsonb, sources jsonb, out doubted text[])
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  wish record;
  mark text;
  to_fill caravan.source;
  mark_to_fill text;
begin
  if cursor is null or not caravan.is_known(cursor) then
    doubted := array(select s ->> 'source' from jsonb_array_elements(sources) as s where cursor is not null);
    cursor := jsonb_build_object('filled', '{}'::jsonb, 'snapshot', pg_current_snapshot(),
      'epoch', (select h.epoch from caravan.history h));
  end if;

  for wish in
    select w.source, w.fingerprint, s as tracked, caravan.is_lost(s.id) as lost
    from rows from (jsonb_to_recordset(sources) as (source text, fingerprint text))
      with ordinality as w (source, fingerprint, n)
    left join caravan.source s on s.name = w.source
    order by w.n
  loop
    if (wish.tracked).id is null then
      raise exception 'central does not track the source %', wish.source
        using errcode = 'undefined_object', hint = format('select caravan.track(%L, ''{column, …}'')', wish.source);
    elsif wish.lost then
      perform caravan.refuse_lost(wish.tracked);
    end if;
    perform caravan.check_reader(wish.tracked);
    mark := concat_ws('/', concat_ws('.', (wish.tracked).id, nullif((wish.tracked).generation, 0)), wish.fingerprint);
    if to_fill is null and cursor -> 'filled' ->> wish.source is distinct from mark then
      to_fill := wish.tracked;
      mark_to_fill := mark;
    end if;
  end loop;

  if to_fill is not null then
    if (cursor #>> '{fill,mark}', cursor #>> '{fill,source}') is distinct from (mark_to_fill, to_fill.name) then
      cursor := cursor || jsonb_build_object('fill', jsonb_build_object('source', to_fill.name, 'mark', mark_to_fill,
        'after', null, 'rows', 0, 'total', caravan.estimated_rows(to_fill), 'since', clock_timestamp()));
      if not caravan.is_filled_from(to_fill, cursor) then
        doubted := array[to_fill.name];  -- it was tracked anew: what was deleted meanwhile is in no log
      end if;
    end if;
  else
    cursor := cursor - 'fill';
  end if;
end
$$;

-- From where to read for a client at `cursor` (null: it has none yet) that maps `sources`, given in the order in which they
-- are to be filled: [{"source": "public.users", "fingerprint": "…"}], a fingerprint of the mapping, so that a mapping that was
-- edited is filled again. Raises what keeps a source from being read.
--   cursor   the cursor with which to read on
--   doubted  the sources of which the client may have rows that are gone from central, for caravan.doubt; null: none
-- A fill starts with a snapshot that is taken before its first row is read: what changes meanwhile comes again.
create or replace function caravan.read(inout cursor jsonb, sources jsonb, out doubted text[])
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
  perform caravan.note_history();
  select b.* into cursor, doubted from caravan.begin_reading(cursor, sources) as b;
end
$$;
comment on function caravan.read is 'A cursor from which to read on';
