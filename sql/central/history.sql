-- Which history of central this is, and whether a cursor belongs to it.

-- Which history this is: another cluster, a timeline after a promotion, a crash, another database, a restored log.
-- The functions that run for each read are in PL/pgSQL: before PostgreSQL 18, those in SQL are planned at each call.
create or replace function caravan_internal.epoch()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return concat_ws('/',
    (select system_identifier from pg_control_system()),
    left(pg_walfile_name(pg_current_wal_lsn()), 8),
    (select id from caravan_internal.incarnation),
    (select oid from pg_database where datname = current_database()),
    'caravan.change'::regclass::oid);
end
$$;

-- Notes which history this is, before anything is read from it. The epoch does not tell one start of the server from
-- another: else each start would cost every client an initial load. But a server may be started with an older copy of its
-- files. So each start is noted as a watermark, which is unknown to cursors that another start gave out. And what a dump
-- brings from another history has transaction ids that mean nothing here, or will come to mean something else. Clients need
-- none of it, because they are compared with this history from its beginning.
-- Whoever starts to read waits until this is noted, and committed.
-- Relies on: PostgreSQL's JDBC driver gives out a result only when its transaction was committed.
create or replace function caravan_internal.note_history()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  this_epoch text;
  server_start constant timestamptz := pg_postmaster_start_time();
  noted caravan_internal.history;
begin
  if not exists (select from caravan_internal.incarnation) then
    insert into caravan_internal.incarnation default values on conflict do nothing;
  end if;
  this_epoch := caravan_internal.epoch();
  select * into noted from caravan_internal.history;
  if noted.epoch = this_epoch and noted.started = server_start then
    return;
  end if;

  perform from caravan_internal.compaction for update;
  select * into noted from caravan_internal.history;
  if noted.epoch = this_epoch and noted.started = server_start then
    return;
  end if;
  if noted.epoch is distinct from this_epoch then
    -- Where nothing was noted yet, there may be cursors of this epoch: only what has not happened is not from here.
    delete from caravan.change where xid >= case
      when noted.epoch is null then pg_snapshot_xmax(pg_current_snapshot()) else pg_snapshot_xmin(pg_current_snapshot()) end;
    update caravan_internal.compaction set horizon = '0'
    where noted.epoch is not null or horizon >= pg_snapshot_xmax(pg_current_snapshot());
    if noted.epoch is not null then
      delete from caravan_internal.superseded;
      update caravan_internal.compaction set newest = 0, kept = 0;
    end if;
  end if;
  insert into caravan_internal.watermark (at, newest)
  select greatest(clock_timestamp(), max(m.at) + interval '1 microsecond'), (select coalesce(max(id), 0) from caravan.change)
  from caravan_internal.watermark m;
  update caravan_internal.history h set epoch = this_epoch, started = server_start;
end
$$;

-- Whether all that is visible in one snapshot is visible in another.
create or replace function caravan_internal.shows_all_of(snapshot pg_snapshot, other pg_snapshot)
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
comment on function caravan_internal.shows_all_of is 'Whether all that is visible in one snapshot is visible in another';

-- Whether a cursor belongs to this history of central: not to another one, nor to a future that a restored backup has
-- not lived (it knows a transaction or a watermark that never was), nor to a past whose deletions are forgotten.
create or replace function caravan_internal.is_known(cursor jsonb)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  since constant pg_snapshot := cursor ->> 'snapshot';
  upto constant pg_snapshot := coalesce(cursor #>> '{window,upto}', cursor ->> 'snapshot');
  seen constant timestamptz := coalesce(cursor ->> 'watermark', cursor ->> 'milestone');  -- as an older hub has called it
begin
  return cursor ->> 'epoch' = (select h.epoch from caravan_internal.history h)
    and pg_snapshot_xmax(upto) <= pg_snapshot_xmax(pg_current_snapshot())
    and (seen is null or exists (select from caravan_internal.watermark m where m.at = seen))
    and pg_snapshot_xmin(since) > (select horizon from caravan_internal.compaction);
end
$$;
