-- Dead letters: changes that a client refuses. They are kept until a later state of the key is applied.

-- Stores what a client has refused: [{"source", "key", "sqlstate", "message"}].
create or replace function caravan.bury(client text, refused jsonb)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into caravan.dead_letter as d (client, source, key, sqlstate, message)
  select bury.client, r.source, r.key, r.sqlstate, r.message
  from jsonb_to_recordset(refused) as r (source text, key jsonb, sqlstate text, message text)
  on conflict on constraint dead_letter_key_unique do update
    set sqlstate = excluded.sqlstate, message = excluded.message, last_at = now(), state = 'open',
      attempts = d.attempts + 1
$$;
comment on function caravan.bury is 'Stores the changes that a client has refused as dead letters';

-- Resolves the dead letters whose keys a client has now taken: those of a page that it has applied, but for `refused`.
create or replace function caravan.resolve(client text, page jsonb, refused jsonb)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  update caravan.dead_letter d
  set state = 'resolved'
  where d.client = resolve.client and d.state = 'open'
    and (page -> 'cleared' ? d.source or exists (
      select from jsonb_array_elements(page -> 'changes' -> d.source) as c where c -> 'key' = d.key
    ))
    and not exists (
      select from jsonb_to_recordset(refused) as r (source text, key jsonb)
      where r.source = d.source and r.key is not distinct from d.key
    )
$$;
comment on function caravan.resolve is 'Resolves the dead letters of the keys that a client has taken';
