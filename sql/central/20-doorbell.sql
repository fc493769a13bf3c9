-- The doorbell: tells the hub that there are changes. It carries nothing that the hub relies on.

-- Rings once a transaction. For a source tracked with payload => 'row' it rings for each change, with the row,
-- 200 times a transaction and then once more without a key: many different payloads cost a commit dearly.
-- Relies on: set_config(…, is_local => true) is undone by a rollback to a savepoint, just as the NOTIFY is.
create or replace function caravan.ring(
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
  transaction constant text := pg_current_xact_id()::text;
  rung constant text[] := string_to_array(current_setting('caravan.rung', true), ':');
  rings constant int := case when rung[1] = transaction then rung[2]::int else 0 end;
  plain constant text := json_build_object('source', source, 'op', op)::text;
  bell text := plain;
begin
  -- A full queue would make the user's COMMIT fail. The hub's tick finds the change without a bell.
  if rings > most_rings or rings > 0 and not each_change or pg_notification_queue_usage() > 0.5 then
    return;
  end if;
  perform set_config('caravan.rung', transaction || ':' || rings + 1, true);
  if key is not null and rings < most_rings then
    bell := json_build_object('source', source, 'op', op, 'key', key)::text;
    if "row" is not null and octet_length(bell) + octet_length("row"::text) + 10 <= longest then
      bell := left(bell, -1) || ', "row" : ' || "row" || '}';
    end if;
  end if;
  perform pg_notify('caravan', case when octet_length(bell) <= longest then bell else plain end);
end
$$;
comment on function caravan.ring is 'Tells whoever listens on the channel caravan that a source has changed';
