-- Dead letters: changes that a client refuses, kept until a later state of the key is applied or somebody gives them up.
--   retrying   the key is on its way once more, behind the backlog
--   open       the client refuses it
--   resolved   a later state was applied
--   given up   somebody said that nothing more is to be done about it

-- Puts keys into the change log once more: the hub reads them again and sends them to every client, where equal rows cost nothing.
create or replace function caravan_internal.requeue(letters caravan.dead_letter[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into caravan.change (source, key, again)
  select distinct s.id, l.key, true
  from unnest(letters) as l
  join caravan.source s on s.name = l.source
  where l.key = caravan_internal.typed_key(s.id, l.key);  -- a client says what it refuses: what is no key would stop all others
  if found then
    perform caravan_internal.ring('caravan', 'replay');
  end if;
end
$$;

-- Whether what refused a row was another row, which may since have gone or come.
create or replace function caravan_internal.depends_on_others(sqlstate text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select sqlstate in ('23503', '23505', '23P01')  -- foreign key, unique, exclusion
$$;

-- Sends a client, or all of them, once more what was refused because of other rows: these may have gone or come just now.
create or replace function caravan_internal.requeue_dependent(client text default null)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan_internal.requeue(array(
    select d
    from caravan.dead_letter d
    where (requeue_dependent.client is null or d.client = requeue_dependent.client) and d.state in ('retrying', 'open')
      and caravan_internal.depends_on_others(d.sqlstate)
  ));
end
$$;

-- Stores what a client has refused, [{"source", "key", "sqlstate", "message"}], but for what is in `settled` and so
-- was stored before for the same page. A row whose parent is missing, or whose unique value another row still holds, is
-- no dead letter yet: that other row may be in a later page. It is sent again behind the backlog, and counts when it is
-- refused then.
-- Raises CV003 rather than to store more than `most` open dead letters for a client: then something is wrong with the
-- client, and not with the rows.
create or replace function caravan_internal.store_dead_letters(client text, refused jsonb, settled jsonb, most int)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  refusals jsonb;
  example record;
  retried caravan.dead_letter[];
begin
  perform caravan_internal.check_hub(client, array(select r ->> 'source' from jsonb_array_elements(refused) as r));
  refusals := (
    select coalesce(jsonb_agg(r), '[]')
    from jsonb_array_elements(refused) as r
    where not exists (
      select from jsonb_array_elements(settled) as s where s -> 'source' = r -> 'source' and s -> 'key' = r -> 'key'
    )
  );
  if most < (
    select count(*)
    from (
      select r.source, r.key from jsonb_to_recordset(refusals) as r (source text, key jsonb)
      union
      select d.source, d.key from caravan.dead_letter d where d.client = store_dead_letters.client and d.state = 'open'
    ) as unresolved
  ) then
    select * into example from jsonb_to_record(refusals -> 0) as e (source text, key jsonb, message text);
    raise exception '% refuses more than % changes, among them % %: %', client, most, example.source, example.key,
        example.message
      using errcode = 'CV003', hint = 'Mend the cause at the client; it goes on by itself.';
  end if;

  with stored as (
    insert into caravan.dead_letter as d (client, source, key, sqlstate, message, state)
    select store_dead_letters.client, r.source, r.key, r.sqlstate, r.message,
      case when caravan_internal.depends_on_others(r.sqlstate) and r.key is not null then 'retrying' else 'open' end
    from jsonb_to_recordset(refusals) as r (source text, key jsonb, sqlstate text, message text)
    on conflict on constraint dead_letter_hash_unique do update
      set sqlstate = excluded.sqlstate, message = excluded.message, last_at = now(), attempts = d.attempts + 1,
        state = case when d.state in ('retrying', 'open') then 'open' else excluded.state end, reason = null
      -- What breaks the contract is found again on the way to each client.
      where d.client <> '*' or d.state <> 'open' or d.message <> excluded.message
    returning d.*
  )
  select array_agg(s::caravan.dead_letter) into retried from stored s where s.state = 'retrying';
  perform caravan_internal.requeue(retried);
end
$$;
comment on function caravan_internal.store_dead_letters is 'Stores the changes that a client has refused as dead letters';

-- Resolves the dead letters whose keys a client has now taken: those of a page that it has applied, but for `refused`.
-- That may have made room for others, so these are sent once more.
create or replace function caravan_internal.resolve(client text, page jsonb, refused jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan_internal.check_hub(client, array(
    select jsonb_object_keys(page -> 'changes') union select jsonb_array_elements_text(page -> 'cleared')
  ));
  update caravan.dead_letter d
  set state = 'resolved'
  where d.client = resolve.client and d.state in ('retrying', 'open')
    and (page -> 'cleared' ? d.source or exists (
      select from jsonb_array_elements(page -> 'changes' -> d.source) as c where c -> 0 = d.key
    ))
    and not exists (
      select from jsonb_to_recordset(refused) as r (source text, key jsonb)
      where r.source = d.source and r.key is not distinct from d.key
    );
  if found then
    perform caravan_internal.requeue_dependent(client);
  end if;
end
$$;
comment on function caravan_internal.resolve is 'Resolves the dead letters of the keys that a client has taken';

-- Sends a client once more what it refuses, but for what is new to its cursor and so on its way. To be called when it is
-- not known whether all that it has taken was resolved: a hub may have died in between.
create or replace function caravan_internal.resend(client text, cursor jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off  -- the planner overestimates the new rows of a log that was never analyzed
as $$
declare
  since constant pg_snapshot := cursor ->> 'snapshot';
  upto constant pg_snapshot := cursor #>> '{window,upto}';
  after constant bigint := cursor #>> '{window,after}';
begin
  perform caravan_internal.check_hub(client, '{}');
  perform caravan_internal.requeue(array(
    with new as materialized (
      select * from caravan.change where xid >= pg_snapshot_xmax(since)
      union all
      select * from caravan.change where xid = any (array(select pg_snapshot_xip(since)))
    ), coming as materialized (
      select s.name as source, n.key
      from new n
      join caravan.source s on s.id = n.source
      where not coalesce(n.id <= after and pg_visible_in_snapshot(n.xid, upto), false)
    )
    select d
    from caravan.dead_letter d
    where d.client in (resend.client, '*') and d.state in ('retrying', 'open')
      and (d.source, d.key) not in (select source, key from coming where key is not null)
  ));
end
$$;
comment on function caravan_internal.resend is 'Sends a client once more what may have been taken';

-- Sends refused changes once more: all unresolved ones, or those of one client, source, key or cause. Returns how many.
create or replace function caravan.replay(
  client text default null, source text default null, key jsonb default null, sqlstate text default null
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  letters constant caravan.dead_letter[] := array(
    select d
    from caravan.dead_letter d
    where d.state in ('retrying', 'open') and d.key is not null
      and (replay.client is null or d.client = replay.client)
      and (replay.source is null or d.source = replay.source)
      and (replay.key is null or d.key = replay.key)
      and (replay.sqlstate is null or d.sqlstate = replay.sqlstate)
  );
begin
  perform caravan_internal.requeue(letters);
  return cardinality(letters);
end
$$;
comment on function caravan.replay is 'Sends refused changes once more';

-- Lets a dead letter rest. A later change of the key that the client refuses opens it again.
create or replace function caravan.give_up(client text, source text, key jsonb, reason text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(reason, '') = '' then
    raise exception 'giving up a dead letter needs a reason' using errcode = 'invalid_parameter_value';
  end if;
  update caravan.dead_letter d
  set state = 'given up', reason = give_up.reason, last_at = now()
  where d.client = give_up.client and d.source = give_up.source and d.key is not distinct from give_up.key
    and d.state in ('retrying', 'open');
  if not found then
    raise exception '% has no open dead letter % %', client, source, key
      using errcode = 'no_data_found', hint = 'See the view caravan.dead_letters.';
  end if;
end
$$;
comment on function caravan.give_up is 'Lets a dead letter rest, with a reason';

create or replace view caravan.dead_letters as
select client, source, key, sqlstate, message, attempts, first_at, last_at, state
from caravan.dead_letter
where state in ('retrying', 'open')
order by client, source, first_at;
comment on view caravan.dead_letters is 'What the clients refuse at present';
