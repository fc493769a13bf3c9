-- Compaction: the change log holds one entry a key, however long a client is away, and what is recent.
--
-- An entry is superseded when a newer one of its key is in the log, or a newer TRUNCATE of its source: whoever has not seen
-- the old one has not seen the new one either. An entry that says `again` supersedes only other entries that say so: a
-- writer may be about to commit a change with a smaller id. A change also supersedes the older entries that say `again`:
-- whoever has read that change has read the row as it was after them. Finding superseded entries takes a pass over the log,
-- a few microseconds a change. It is made only when the log has grown to twice what the last pass left. No index on the key
-- is needed, which each write would have to pay for. The entries go in small batches, which the pass makes: a row for each
-- entry that is about to go would cost more than the entry.

-- The ids of all superseded entries.
create or replace function caravan_internal.find_superseded()
returns setof bigint
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- the planner may underestimate the log, if it was analyzed before its entries were committed
as $$
  with by_key as (
    select max(id) filter (where again is null) as changed, max(id) as last from caravan.change group by source, key
  ), newest (id) as (
    select changed from by_key where changed is not null
    union all
    select last from by_key where last is distinct from changed
  ), truncated as (
    select source, max(id) as id from caravan.change where key is null group by source
  )
  select c.id
  from caravan.change c
  left join newest n on n.id = c.id
  left join truncated t on t.source = c.source
  where n.id is null or c.id < t.id
$$;

-- The entries up to `upto` of keys that are gone from their source. Without those that are not older than every transaction
-- that is still open or prepared: a cursor that is read now has the oldest open one in its snapshot, and would seem to be
-- from before the deletion.
create or replace function caravan_internal.find_gone(upto bigint)
returns setof caravan.change
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
declare
  tracked int;
begin
  for tracked in select id from caravan.source where not caravan_internal.is_lost(id) loop
    return query execute format($q$
      select c.*
      from caravan.change c
      where c.source = %1$s and c.id <= $1 and c.xid < $2 and c.key is not null
        and not exists (select from caravan_internal.found_%1$s(c.key))
    $q$, tracked) using upto, pg_snapshot_xmin(pg_current_snapshot());
  end loop;
end
$$;

-- Removes some entries that are superseded, at most as many as the `batch` of the call that found them; the hub calls it
-- until it returns 0. Of several calls at once only one does anything, and no writer waits for it.
-- The entries of keys that are gone stay for `keep`. A client that comes back later cannot know of them: it is
-- compared as a whole.
create or replace function caravan_internal.compact(batch int default 10000, keep interval default '30 days')
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  last bigint;
  expired bigint;
  state caravan_internal.compaction;
  removed bigint;
begin
  perform caravan_internal.note_history();
  last := coalesce((select max(id) from caravan.change), 0);
  expired := (select max(m.newest) from caravan_internal.watermark m where m.at < now() - keep);
  select * into state from caravan_internal.compaction for update skip locked;
  if not found then
    return 0;
  end if;
  insert into caravan_internal.watermark (newest)
  select last where not exists (select from caravan_internal.watermark m where m.at > now() - interval '1 minute');

  if not exists (select from caravan_internal.superseded) then
    if last - state.newest <= greatest(state.kept, 10000) then
      return 0;
    end if;
    with gone as materialized (
      select g.id, g.xid from caravan_internal.find_gone(expired) as g
    ), marked as (
      insert into caravan_internal.superseded (ids)
      select array_agg(id)
      from (
        select id, (row_number() over (order by id) - 1) / compact.batch as n
        from (select id from gone union select caravan_internal.find_superseded()) as all_of_them (id)
      ) as numbered
      group by n
      returning cardinality(ids) as entries
    )
    update caravan_internal.compaction c
    set newest = last,
      kept = (select count(*) from caravan.change) - (select coalesce(sum(entries), 0) from marked),
      horizon = greatest(c.horizon, (select max(xid) from gone));
    delete from caravan_internal.watermark m where m.newest < expired;
  end if;

  with taken as (
    delete from caravan_internal.superseded s
    where s.batch = (select min(first.batch) from caravan_internal.superseded as first)
    returning ids
  )
  delete from caravan.change c using taken where c.id = any (taken.ids);
  get diagnostics removed = row_count;
  return removed;
end
$$;
comment on function caravan_internal.compact is 'Removes a batch of superseded entries from the change log; 0: nothing to do now';
