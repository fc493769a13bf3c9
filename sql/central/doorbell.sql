-- The doorbell: tells the hub that there are changes. It carries nothing that the hub relies on.
--
-- It rings only while the hub sleeps, because commits that NOTIFY wait for each other. A hub that sleeps holds the sleep lock
-- exclusively. A transaction that can share the lock does not ring, and shares it until its end. So a hub that is granted the
-- lock can see all changes that nobody has rung for: it reads once more, and sleeps.

-- An advisory lock. Each database has its own.
create or replace function caravan_internal.sleep_lock()
returns bigint
language sql
immutable
parallel safe
return 7165065861814019950;
comment on function caravan_internal.sleep_lock is 'The advisory lock that a sleeping hub holds';

-- Tries to fall asleep:
--   granted  this session now holds the sleep lock
--   held     another hub sleeps: every hub hears each notification
--   busy     there are transactions that have not rung and have not ended
-- Call it while this session does not hold the sleep lock.
create or replace function caravan_internal.fall_asleep()
returns text
language sql
set search_path = pg_catalog, pg_temp
as $$
  select case
    when pg_try_advisory_lock(caravan_internal.sleep_lock()) then 'granted'
    when exists (
      select from pg_locks
      where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = caravan_internal.sleep_lock() and objsubid = 1
    ) then 'held'
    else 'busy'
  end
$$;
comment on function caravan_internal.fall_asleep is 'From now on the doorbell rings, if the result is granted or held';

-- Wakes up, if this session holds the sleep lock: from now on nobody rings.
create or replace function caravan_internal.wake_up()
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select pg_advisory_unlock(caravan_internal.sleep_lock())
$$;
comment on function caravan_internal.wake_up is 'From now on the doorbell does not ring';

-- For a hub that is awake: whether there are changes that were not visible in a snapshot; and what is visible now.
create or replace function caravan_internal.changes_since(since pg_snapshot, out changed boolean, out snapshot pg_snapshot)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off  -- the planner overestimates the new rows of a log that was never analyzed
as $$
begin
  changed := since is null
    or exists (select from caravan.change where xid >= pg_snapshot_xmax(since))
    or exists (
      select
      from pg_snapshot_xip(since) as running (xid)
      join caravan.change c using (xid)
      where pg_visible_in_snapshot(xid, pg_current_snapshot())
    );
  snapshot := pg_current_snapshot();
end
$$;
comment on function caravan_internal.changes_since is 'Whether there are changes that a snapshot did not show';

-- Whether this transaction has to ring: it has not yet, and the hub sleeps. Otherwise it shares the sleep lock from now on.
-- Inlined into the trigger functions, it costs next to nothing.
-- Relies on: a lock that a transaction has already is granted without looking at others that wait for it. And
-- set_config(…, is_local => true) ends with the transaction, and is undone by a rollback to a savepoint, just as the
-- NOTIFY is, and the sharing of the lock.
create or replace function caravan_internal.must_notify()
returns boolean
language sql
return coalesce(current_setting('caravan.rung', true), '') = ''
  and not pg_try_advisory_xact_lock_shared(caravan_internal.sleep_lock());

-- Rings once a transaction, if the hub sleeps. For a source tracked with payload => 'row' it rings for each change, with
-- the row, 200 times a transaction and then once more without a key: many different payloads cost a commit dearly.
create or replace function caravan_internal.ring(
  source text,
  op text,
  key jsonb default null,
  "row" json default null,
  each_change boolean default false
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  longest constant int := 7999;  -- bytes; beyond, NOTIFY would fail and roll the user's write back
  most_rings constant int := 200;
  rings constant int := coalesce(nullif(current_setting('caravan.rung', true), ''), '0');
  plain constant text := json_build_object('source', source, 'op', op)::text;
  bell text := plain;
begin
  -- A full queue would make the user's COMMIT fail. The hub's tick finds the change without a bell.
  if rings > most_rings or not each_change and not caravan_internal.must_notify() or pg_notification_queue_usage() > 0.5 then
    return;
  end if;
  perform set_config('caravan.rung', (rings + 1)::text, true);
  if key is not null and rings < most_rings then
    bell := json_build_object('source', source, 'op', op, 'key', key)::text;
    if "row" is not null and octet_length(bell) + octet_length("row"::text) + 10 <= longest then
      bell := left(bell, -1) || ', "row" : ' || "row" || '}';
    end if;
  end if;
  perform pg_notify('caravan', case when octet_length(bell) <= longest then bell else plain end);
end
$$;
comment on function caravan_internal.ring is 'Tells whoever listens on the channel caravan that a source has changed';

-- Asks the hubs for something that is no change, whether they sleep or not. It is heard when the transaction commits.
create or replace function caravan_internal.ask_hub(op text)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select pg_notify('caravan', json_build_object('source', 'caravan', 'op', op)::text)
$$;
