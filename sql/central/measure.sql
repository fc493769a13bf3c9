-- What a hub's metrics tell of central: one question for all clients, and one that stays cheap however long the log is.

create or replace function caravan_internal.measure(
  snapshots pg_snapshot[], afters bigint[], most bigint,
  out log_changes bigint, out dead_letters jsonb, out behind bigint[]
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
-- With a bound, what is new to a cursor is found by an index, and no more of it is read than is counted.
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  -- Relies on: PostgreSQL keeps count of a table's rows; after a crash, from zero.
  log_changes := pg_stat_get_live_tuples('caravan.change'::regclass);

  select coalesce(jsonb_object_agg(client, letters), '{}') into dead_letters
  from (
    select client, count(*) as letters from caravan_internal.unresolved group by client
  ) as by_client;

  select coalesce(array_agg(
      case
        when after > 0 then (
          select count(*) from (
            select from caravan.change
            where id > after and (xid >= pg_snapshot_xmax(snapshot) or not pg_visible_in_snapshot(xid, snapshot))
            limit most
          ) as in_window
        )
        else (
          select count(*) from (
            select from caravan.change where xid >= pg_snapshot_xmax(snapshot) limit most
          ) as later
        ) + (
          select count(*) from caravan.change where xid = any (array(select pg_snapshot_xip(snapshot)))
        )
      end order by place), '{}')
  into behind
  from unnest(snapshots, afters) with ordinality as cursors (snapshot, after, place);
end
$$;
comment on function caravan_internal.measure is
  'What the metrics tell: about how many entries the log has, how many dead letters each client, and how many changes are '
  'new to each cursor, up to a bound. A cursor is a snapshot and the id of its position in a backlog, or 0';
