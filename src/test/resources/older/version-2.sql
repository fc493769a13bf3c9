-- What install.sql made of a central of version 2.
-- The roles that others are made members of; see 60-rights.sql. Whoever installs makes them, and need not be able to.
do $$
declare
  role text;
  what text;
begin
  for role, what in
    values ('caravan_hub', 'May run what Caravan''s hub needs; grant it to the user that the hub connects as'),
      ('caravan_limited_hub', 'The same but for what it reads: that is what caravan.allow grants'),
      ('caravan_operator', 'May look after Caravan: read its tables, replay and give up dead letters')
  loop
    if to_regrole(role) is null then
      begin
        execute format('create role %I nologin', role);
        execute format('comment on role %I is %L', role, what);
      exception
        when insufficient_privilege then
          raise warning 'there is no role %, and % may not make it', role, current_user
            using hint = format('An administrator does: create role %I nologin. Then install Caravan again.', role);
      end;
    end if;
  end loop;
end
$$;
-- Begins an installation: refuses what must not be, and removes the functions and views, which the files that follow make
-- anew. So they may take and return other things than before. Tables stay; what changes in them is in migrations/.

-- The version of this SQL. It grows with each migration, and with whatever else the hub relies on: the hub works with this
-- very version, io.caravan.Installation.VERSION.
do $$
declare
  this constant int := 2;
  there int := 0;
  owner constant text := (select nspowner::regrole from pg_namespace where nspname = 'caravan');
begin
  perform pg_advisory_xact_lock(7165065861814019951);  -- one at a time
  perform set_config('client_min_messages', 'warning', true);
  perform set_config('caravan.installer', current_user, true);
  if owner is null then
    create schema caravan;
  elsif not pg_has_role(owner, 'usage') then
    raise exception 'the schema caravan belongs to %, and % may not change it', owner, current_user
      using errcode = 'insufficient_privilege', hint = format('grant %s to %I', owner, current_user);
  else
    execute 'set local role ' || owner;  -- who installs must not become the owner of its functions
  end if;
  if to_regprocedure('caravan.version()') is not null then
    there := caravan.version();
  end if;
  if there > this then
    raise exception 'central has version % of Caravan''s SQL, and this is the older version %', there, this
      using errcode = 'CV009', hint = 'Install the SQL of the release that central is of. To go back, restore a backup of central.';
  end if;
  execute format('create or replace function caravan.version() returns int language sql stable return %s', this);
end
$$;
comment on schema caravan is 'Keeps client databases in step with this one';
comment on function caravan.version is 'The version of what is installed here; each hub works with one version';

-- Keeps the grants of functions and views that others have made, for 60-rights.sql.
do $$
begin
  perform set_config('caravan.granted', coalesce(jsonb_agg(granted), '[]')::text, true)
  from (
    select p.oid::regprocedure::text as function, null as view, a.grantee::regrole::text as role
    from pg_proc p, aclexplode(p.proacl) as a
    where p.pronamespace = 'caravan'::regnamespace and p.proname !~ '_[0-9]+$' and a.grantee not in (0, p.proowner)
    union all
    select null, c.oid::regclass::text, a.grantee::regrole::text
    from pg_class c, aclexplode(c.relacl) as a
    where c.relnamespace = 'caravan'::regnamespace and c.relkind = 'v' and c.relname !~ '^rows_[0-9]+$'
      and a.privilege_type = 'SELECT' and a.grantee not in (0, c.relowner)
  ) as granted
  where role not in ('caravan_hub', 'caravan_limited_hub', 'caravan_operator');
end
$$;

-- Not those of a source, which caravan.make_again makes while nobody writes to its table; and not those that run in
-- whoever writes: he would miss them.
-- Relies on: a function that is replaced is the same to whoever calls it just then, and one that is dropped is not.
do $$
declare
  old text;
begin
  select string_agg(oid::regclass::text, ', ') into old
  from pg_class
  where relnamespace = 'caravan'::regnamespace and relkind = 'v' and relname !~ '^rows_[0-9]+$';
  if old is not null then
    execute 'drop view ' || old;
  end if;
  select string_agg(oid::regprocedure::text, ', ') into old
  from pg_proc
  where pronamespace = 'caravan'::regnamespace and proname !~ '_[0-9]+$'
    and proname not in ('version', 'k', 'is_to_ring', 'ring', 'nothing');
  if old is not null then
    execute 'drop function ' || old;
  end if;
end
$$;

-- What has been done to the tables.
create table if not exists caravan.migration (
  number int not null,
  what   text not null,
  at     timestamptz not null default now(),
  constraint migration_pk primary key (number)
);
comment on table caravan.migration is 'Which migrations of Caravan''s tables have been made here';

-- Whether a migration is to be made now. Each is made once.
create function caravan.begins(number int, what text)
returns boolean
language sql
set search_path = pg_catalog, pg_temp
as $$
  with begun as (
    insert into caravan.migration (number, what) values (begins.number, begins.what) on conflict do nothing returning number
  )
  select exists (select from begun)
$$;

-- Locks tables all at once, and without holding up those who write to them while it waits for one who does: then it lets go
-- for a moment, and tries again.
create function caravan.lock_calmly(tables regclass[], mode text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
as $$
declare
  patience constant interval := '5 minutes';
  began constant timestamptz := clock_timestamp();
begin
  while tables <> '{}' loop
    begin
      execute format('lock table only %s in %s mode', array_to_string(tables, ', only '), mode);
      return;
    exception
      when lock_not_available or deadlock_detected then
        if clock_timestamp() > began + patience then
          raise exception 'transactions that stay open keep % from being changed', array_to_string(tables, ', ')
            using errcode = 'lock_not_available',
              hint = 'Install Caravan again when they have ended: '
                'select * from pg_stat_activity where xact_start < now() - interval ''1 minute''';
        end if;
    end;
    perform pg_sleep(0.5);
  end loop;
end
$$;
-- What Caravan keeps in central: which tables are sources, and which of their keys changed. An install from before there were
-- migrations has most of it, and gets what it lacks.
-- Relies on: where a column or an index is there already, nobody is kept waiting who writes to the log.
do $migration$
begin
  if not caravan.begins(1, 'the tables') then
    return;
  end if;

  create table if not exists caravan.source (
    id       integer generated always as identity,
    name     text not null,
    relation regclass not null,
    key      text[] not null,
    columns  text[] not null,
    types    text[] not null,
    payload  text not null,
    constraint source_pk primary key (id),
    constraint source_name_unique unique (name),
    constraint source_relation_unique unique (relation),
    constraint source_payload_known check (payload in ('key', 'row'))
  );
  alter table caravan.source add column if not exists attnums int2[];
  alter table caravan.source add column if not exists made_by text;
  alter table caravan.source add column if not exists loose boolean not null default false;
  alter table caravan.source add column if not exists generation int not null default 0;
  comment on table caravan.source is 'The tracked tables. Written by caravan.track and caravan.untrack';
  comment on column caravan.source.columns is 'The propagated columns, those of the key first, as they are called in mappings';
  comment on column caravan.source.types is 'Their base types';
  comment on column caravan.source.attnums is 'Their numbers in the table, which a renaming leaves as they are';
  comment on column caravan.source.made_by is 'By which version of Caravan its functions were made';
  comment on column caravan.source.loose is 'Whether keys may be equal and written differently; see caravan.respelled';
  comment on column caravan.source.generation is 'Grows when columns are added: the clients are filled again';

  -- The change log. It says only that a key changed: the row is read when the change is delivered.
  -- Relies on: an id is drawn while the writer holds the row's lock, so that the newest id of a key only grows. Where it is not,
  -- the entry says `again`, and does not count as the newest one of its key.
  create table if not exists caravan.change (
    id     bigint generated always as identity,
    xid    xid8 not null default pg_current_xact_id(),
    source integer not null,
    key    jsonb,
    again  boolean,
    constraint change_pk primary key (id)
  );
  if not exists (
    select from pg_attribute where attrelid = 'caravan.change'::regclass and attname = 'again' and not attisdropped
  ) then
    alter table caravan.change add again boolean;
  end if;
  comment on table caravan.change is 'The change log: which key of which source changed in which transaction';
  comment on column caravan.change.key is 'The values of the key columns, e.g. [42]; null: the source was truncated';
  comment on column caravan.change.again is 'True: nothing has changed; the key is sent once more, by a replay or a repair';

  -- Which changes are new to a cursor is asked by transaction; the id comes along to bound the window.
  if to_regclass('caravan.change_xid') is null then
    create index change_xid on caravan.change (xid) include (id);
  end if;

  -- A crash takes back the last transactions, and gives their ids to others: a cursor that has seen them would take those
  -- for seen. With the crash this goes, too.
  -- Relies on: PostgreSQL empties an unlogged table after a crash, and only then.
  create unlogged table if not exists caravan.life (
    only_one boolean not null default true,
    id       uuid not null default gen_random_uuid(),
    constraint life_pk primary key (only_one),
    constraint life_only_one check (only_one)
  );
  comment on table caravan.life is 'Identifies the time since the server was set up or has last crashed';

  create table if not exists caravan.history (
    only_one boolean not null default true,
    epoch    text,
    started  timestamptz,
    constraint history_pk primary key (only_one),
    constraint history_only_one check (only_one)
  );
  comment on table caravan.history is 'Which history of central the hub has read last';
  comment on column caravan.history.epoch is 'As caravan.epoch returned it; null: nothing was read yet';
  comment on column caravan.history.started is 'When the server was started that it was read from';
  insert into caravan.history default values on conflict do nothing;

  create table if not exists caravan.dead_letter (
    id       bigint generated always as identity,
    client   text not null,
    source   text not null,
    key      jsonb,
    sqlstate text not null,
    message  text not null,
    attempts integer not null default 1,
    first_at timestamptz not null default now(),
    last_at  timestamptz not null default now(),
    state    text not null default 'open',
    reason   text,
    key_hash bigint generated always as (jsonb_hash_extended(key, 0)) stored,
    constraint dead_letter_pk primary key (id),
    constraint dead_letter_hash_unique unique nulls not distinct (client, source, key_hash),
    constraint dead_letter_state_known check (state in ('retrying', 'open', 'resolved', 'given up'))
  );
  -- In an older install the key itself was indexed: a long one had no room there.
  if exists (
    select from pg_constraint where conrelid = 'caravan.dead_letter'::regclass and conname = 'dead_letter_key_unique'
  ) then
    alter table caravan.dead_letter
      add column key_hash bigint generated always as (jsonb_hash_extended(key, 0)) stored,
      drop constraint dead_letter_key_unique,
      add constraint dead_letter_hash_unique unique nulls not distinct (client, source, key_hash);
  end if;
  create index if not exists dead_letter_unresolved on caravan.dead_letter (client) where state in ('retrying', 'open');
  comment on table caravan.dead_letter is 'Changes that a client refuses, with the cause; never row data';
  comment on column caravan.dead_letter.client is 'Who refuses it; * where it breaks the contract of its source, for all';
  comment on column caravan.dead_letter.key_hash is 'Stands for the key in the index, which has no room for a long one';
  comment on column caravan.dead_letter.reason is 'Why it was given up';

  create table if not exists caravan.hub_client (
    hub    name not null,
    client text not null,
    constraint hub_client_pk primary key (hub, client)
  );
  comment on table caravan.hub_client is
    'The clients to which the login of a hub is limited; a login that is not here serves any';

  -- The state of the cleaning, one row, and what it is about to remove.
  create table if not exists caravan.cleaning (
    only_one boolean not null default true,
    newest   bigint not null default 0,
    kept     bigint not null default 0,
    horizon  xid8 not null default '0',
    constraint cleaning_pk primary key (only_one),
    constraint cleaning_only_one check (only_one)
  );
  comment on table caravan.cleaning is 'How far the change log is cleaned';
  comment on column caravan.cleaning.newest is 'The newest id when the log was last passed through';
  comment on column caravan.cleaning.kept is 'How many entries that pass left';
  comment on column caravan.cleaning.horizon is 'Deletions up to this transaction may have been forgotten';
  insert into caravan.cleaning default values on conflict do nothing;

  create table if not exists caravan.superseded (
    batch bigint generated always as identity,
    ids   bigint[] not null,
    constraint superseded_pk primary key (batch)
  );
  comment on table caravan.superseded is 'Changes that the cleaning is about to remove, in batches';

  create table if not exists caravan.milestone (
    at     timestamptz not null default now(),
    xid    xid8 not null default pg_current_xact_id(),
    newest bigint not null,
    constraint milestone_pk primary key (at)
  );
  comment on table caravan.milestone is
    'The newest change at a time, noted once a minute and whenever the server was started; a cursor names the last one that '
    'there was when its client''s rows were read';

  -- Comparisons of a client's table with its source: what was found, and for one under way how far it is.
  create table if not exists caravan.reconciliation (
    id         bigint generated always as identity,
    client     text not null,
    source     text not null,
    target     text not null,
    reason     text not null,
    key        jsonb,
    dry_run    boolean not null default false,
    confirmed  boolean not null default false,
    state      text not null default 'requested',
    requested_at timestamptz not null default now(),
    started_at timestamptz,
    ended_at   timestamptz,
    compared   bigint not null default 0,
    missing    bigint not null default 0,
    stale      bigint not null default 0,
    surplus    bigint not null default 0,
    own        bigint not null default 0,
    repaired   bigint not null default 0,
    skipped    bigint not null default 0,
    notes      text[] not null default '{}',
    found      jsonb not null default '[]',
    -- for one under way
    hub        text,
    alive_at   timestamptz,
    worked     interval not null default '0',
    failures   int not null default 0,
    step       bigint not null default 0,
    checkpoint jsonb,
    mapping    text,
    share      numeric not null default 0,
    constraint reconciliation_pk primary key (id),
    constraint reconciliation_reason_known check (reason in ('request', 'schedule', 'verify')),
    constraint reconciliation_state_known check (
      state in ('requested', 'running', 'waiting', 'done', 'stopped', 'failed')
    )
  );
  -- In an older install central itself decided what a run asks next. One that is under way there begins anew.
  alter table caravan.reconciliation add column if not exists checkpoint jsonb, add column if not exists mapping text,
    drop column if exists question, drop column if exists partial, drop column if exists pending, drop column if exists held;
  create unique index if not exists reconciliation_one_at_a_time on caravan.reconciliation (client) where state = 'running';
  create index if not exists reconciliation_client on caravan.reconciliation (client, target, source, id);
  comment on table caravan.reconciliation is 'Comparisons of clients with central';
  comment on column caravan.reconciliation.reason is 'Requested by a person, scheduled, or to verify';
  comment on column caravan.reconciliation.key is 'Only this key was compared';
  comment on column caravan.reconciliation.confirmed is 'Repairs however much differs';
  comment on column caravan.reconciliation.state is 'waiting: too much differs, nothing is repaired without caravan.confirm()';
  comment on column caravan.reconciliation.compared is 'How many rows of central';
  comment on column caravan.reconciliation.stale is 'Rows with other values, or not noted as central''s';
  comment on column caravan.reconciliation.surplus is 'Rows that came from central, which has them no more, or only their noted keys';
  comment on column caravan.reconciliation.own is 'Rows that did not come from central; they are left alone';
  comment on column caravan.reconciliation.skipped is 'Rows that are dead letters, or changed all the time';
  comment on column caravan.reconciliation.found is 'The first keys that differ, [{"key": [42], "is": "stale"}]; never row data';
  comment on column caravan.reconciliation.alive_at is 'When its hub was last heard of; in the future: it rests until then';
  comment on column caravan.reconciliation.worked is 'How long it took, without its rests';
  comment on column caravan.reconciliation.checkpoint is 'From where a hub can go on with it; see io.caravan.reconcile.Checkpoint';
  comment on column caravan.reconciliation.mapping is 'The hash of the client''s mapping: with another one it begins anew';

  -- Keys that may differ, until a comparison ends.
  create table if not exists caravan.suspect (
    run     bigint not null,
    key     jsonb not null,
    verdict text not null default 'suspected',
    looks   int not null default 0,
    owned   boolean not null default false,
    constraint suspect_pk primary key (run, key),
    constraint suspect_run foreign key (run) references caravan.reconciliation on delete cascade
  );
  alter table caravan.suspect add column if not exists spelled jsonb, add column if not exists key_text text;
  comment on table caravan.suspect is 'Keys that a comparison under way looks at';
  comment on column caravan.suspect.owned is 'Whether the client has noted it as central''s';
  comment on column caravan.suspect.spelled is 'How central writes this key, if in another way';
  comment on column caravan.suspect.key_text is 'The key of the row that the client has by this key, as the client writes it';
  comment on column caravan.suspect.verdict is
    'suspected, changing; missing, stale, surplus, orphaned (these are repaired); own, skipped; repaired, unrepaired';

  create table if not exists caravan.verification (
    client   text not null,
    source   text not null,
    target   text not null,
    equal_at timestamptz,
    own      jsonb,
    constraint verification_pk primary key (client, source, target)
  );
  comment on table caravan.verification is 'What clients map, and until when it was shown to be equal to central';
  comment on column caravan.verification.own is
    'The digest of the rows that are the client''s own, as it last was; see io.caravan.reconcile.SeededDigest';
end
$migration$;
-- Central keeps why a client may have rows that central has no more. Until now the client's cursor said it.
do $migration$
begin
  if not caravan.begins(2, 'doubts about what clients have') then
    return;
  end if;

  alter table caravan.verification
    add column doubt text,
    add column doubted_at timestamptz,
    add constraint verification_doubt_known check (doubt in ('epoch', 'truncate'));
  comment on column caravan.verification.doubt is
    'Why the client may have rows of which the log says nothing, until a run has come through: its cursor was of another '
    'history (epoch), or it could not empty its table (truncate)';
  comment on column caravan.verification.doubted_at is 'Since when; the oldest doubt is looked into first';

  alter table caravan.reconciliation
    drop constraint reconciliation_reason_known,
    add constraint reconciliation_reason_known check (reason in ('request', 'schedule', 'verify', 'epoch', 'truncate'));
  comment on column caravan.reconciliation.reason is
    'Requested by a person, scheduled, to verify; or because of a doubt, see caravan.verification';
end
$migration$;
-- The doorbell: tells the hub that there are changes. It carries nothing that the hub relies on.
--
-- It rings only while the hub sleeps, for commits that NOTIFY wait for each other. A hub that sleeps holds the advisory lock
-- K exclusively. A transaction that can share it does not ring, and shares it until its end. So a hub that is granted K
-- can see all changes that nobody has rung for: it reads once more, and sleeps.

-- The lock K. (Advisory locks are a database's own.)
create or replace function caravan.k()
returns bigint
language sql
immutable
parallel safe
return 7165065861814019950;
comment on function caravan.k is 'The advisory lock that a sleeping hub holds';

-- Tries to fall asleep:
--   granted  this session now holds K
--   held     another hub sleeps: whatever it is rung for, all hear
--   busy     there are transactions that have not rung and have not ended
-- To be called while this session does not hold K.
create or replace function caravan.fall_asleep()
returns text
language sql
set search_path = pg_catalog, pg_temp
as $$
  select case
    when pg_try_advisory_lock(caravan.k()) then 'granted'
    when exists (
      select from pg_locks
      where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32 | objid::bigint) = caravan.k() and objsubid = 1
    ) then 'held'
    else 'busy'
  end
$$;
comment on function caravan.fall_asleep is 'From now on the doorbell rings, if the result is granted or held';

-- Wakes up, if this session holds K: from now on nobody rings.
create or replace function caravan.wake_up()
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select pg_advisory_unlock(caravan.k())
$$;
comment on function caravan.wake_up is 'From now on the doorbell does not ring';

-- For a hub that is awake: whether there are changes that were not visible in a snapshot; what is visible now.
create or replace function caravan.news(since pg_snapshot, out news boolean, out snapshot pg_snapshot)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off  -- PostgreSQL takes much of a log that it has not analyzed yet for new
as $$
begin
  news := since is null
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
comment on function caravan.news is 'Whether there are changes that a snapshot did not show';

-- Whether this transaction has to ring: it has not yet, and the hub sleeps. Otherwise it shares K from now on.
-- Inlined into the trigger functions, it costs next to nothing.
-- Relies on: a lock that a transaction has already is granted without looking at others that wait for it. And
-- set_config(…, is_local => true) ends with the transaction, and is undone by a rollback to a savepoint, just as the
-- NOTIFY is, and the sharing of K.
create or replace function caravan.is_to_ring()
returns boolean
language sql
return coalesce(current_setting('caravan.rung', true), '') = ''
  and not pg_try_advisory_xact_lock_shared(caravan.k());

-- Rings once a transaction, if the hub sleeps. For a source tracked with payload => 'row' it rings for each change, with
-- the row, 200 times a transaction and then once more without a key: many different payloads cost a commit dearly.
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
  rings constant int := coalesce(nullif(current_setting('caravan.rung', true), ''), '0');
  plain constant text := json_build_object('source', source, 'op', op)::text;
  bell text := plain;
begin
  -- A full queue would make the user's COMMIT fail. The hub's tick finds the change without a bell.
  if rings > most_rings or not each_change and not caravan.is_to_ring() or pg_notification_queue_usage() > 0.5 then
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
comment on function caravan.ring is 'Tells whoever listens on the channel caravan that a source has changed';

-- Asks the hubs for something that is no change, whether they sleep or not. It is heard when the transaction commits.
create or replace function caravan.ask_hub(op text)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select pg_notify('caravan', json_build_object('source', 'caravan', 'op', op)::text)
$$;
-- caravan.track and caravan.untrack: which tables are propagated.

-- What track has checked and found about a table. Raises an error with a hint where it can't be a source.
create or replace function caravan.primary_key(source regclass)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant "char" := (select relkind from pg_class where oid = source);
  persistence constant "char" := (select relpersistence from pg_class where oid = source);
  key constant text[] := (
    select array_agg(a.attname::text order by k.position)
    from pg_index i
    cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = source and i.indisprimary and k.position <= i.indnkeyatts
  );
  can_wait constant name := (
    select conname from pg_constraint where conrelid = source and contype = 'p' and condeferrable
  );
begin
  if kind = 'p' then
    raise exception '% is partitioned and cannot be a source', source
      using errcode = 'feature_not_supported',
        detail = 'ATTACH and DETACH PARTITION change the rows of a partitioned table and fire no trigger.',
        hint = 'Track the partitions, each as a source of its own.';
  elsif kind <> 'r' then
    raise exception '% is not a table and cannot be a source', source
      using errcode = 'wrong_object_type', hint = 'Track the table that holds the rows.';
  elsif persistence = 't' then
    raise exception '% is temporary and cannot be a source', source
      using errcode = 'feature_not_supported', hint = 'Track a permanent table.';
  elsif persistence = 'u' then
    raise exception '% is unlogged and cannot be a source', source
      using errcode = 'feature_not_supported',
        detail = 'PostgreSQL empties it after a crash and fires no trigger.',
        hint = format('alter table %s set logged', source);
  elsif key is null then
    raise exception '% has no primary key', source
      using errcode = 'invalid_table_definition', hint = format('alter table %s add primary key (…)', source);
  elsif can_wait is not null then
    raise exception '% has a deferrable primary key and cannot be a source', source
      using errcode = 'feature_not_supported',
        detail = 'Two rows may have the same key until a transaction ends, and the log could not tell them apart.',
        hint = format('alter table %1$s drop constraint %2$I; alter table %1$s add constraint %2$I primary key (%3$s)',
          source, can_wait, (select string_agg(quote_ident(c), ', ') from unnest(key) as c));
  end if;
  return key;
end
$$;

-- The columns to propagate, those of the key first and each once.
create or replace function caravan.propagated(source regclass, key text[], columns text[])
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  name text;
  generated "char";
begin
  if columns is null then
    raise exception 'the columns of % are missing', source
      using errcode = 'null_value_not_allowed', hint = 'Name those to propagate: ''{name, email}''.';
  end if;
  foreach name in array columns loop
    select attgenerated into generated
    from pg_attribute
    where attrelid = source and attname = name and attnum > 0 and not attisdropped;
    if not found then
      raise exception '% has no column "%"', source, name
        using errcode = 'undefined_column',
          hint = 'Its columns: ' || (
            select string_agg(quote_ident(attname), ', ' order by attnum)
            from pg_attribute where attrelid = source and attnum > 0 and not attisdropped
          );
    elsif generated = 'v' then
      raise exception 'column "%" of % is a virtual generated column and cannot be propagated', name, source
        using errcode = 'feature_not_supported',
          hint = 'Propagate the columns that it is computed from, or make it STORED.';
    end if;
  end loop;
  return key || array(
    select c from unnest(columns) with ordinality as u (c, position)
    where c <> all (key)
    group by c order by min(position)
  );
end
$$;

-- The base type of a column, as it is written in SQL: a client need not know central's domains.
create or replace function caravan.column_type(source regclass, column_name text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
  with recursive base (oid) as (
    select atttypid from pg_attribute where attrelid = source and attname = column_name
    union all
    select t.typbasetype from base join pg_type t using (oid) where t.typtype = 'd'
  )
  select format_type(oid, -1) from base join pg_type t using (oid) where t.typtype <> 'd'
$$;

-- The columns of a key, and by whose code their values are looked up. A SECURITY DEFINER function must not run code of
-- whoever owns a type: casts, operators, constraints of domains. So a type is one of these:
--   catalog    it is PostgreSQL's own
--   enum       its operators and its text form are PostgreSQL's own
--   extension  it and its operators, which are in `schema`, belong to a superuser (citext)
-- Raises what other types lack. `loose` are those whose values may be equal and written differently. (Those of numbers,
-- 1.0 and 1.00, are the same key in the log.)
create or replace function caravan.key_parts(source regclass, key text[])
returns table ("position" bigint, name text, type text, kind text, schema text, loose boolean)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  t record;
  why text;
begin
  for t in
    select k.n, k.c, b.oid as type_oid, b.typtype, b.typcategory, b.typname, nspname, r.rolsuper
    from unnest(key) with ordinality as k (c, n)
    join pg_type b on b.oid = caravan.column_type(source, k.c)::regtype
    join pg_namespace n on n.oid = b.typnamespace
    join pg_roles r on r.oid = b.typowner
    order by k.n
  loop
    why := null;
    if t.nspname = 'pg_catalog' and t.typtype <> 'c' then
      kind := 'catalog';
    elsif t.typtype = 'e' and exists (select from pg_cast where castsource = t.type_oid and castcontext = 'i') then
      why := 'It has an implicit cast, whose owner could run code with the rights of Caravan.';
    elsif t.typtype = 'e' then
      kind := 'enum';
    elsif t.typtype <> 'b' or t.typcategory = 'A' then
      why := 'Its values contain values of other types, whose owners could run code with the rights of Caravan.';
    elsif not t.rolsuper then
      why := 'It belongs to a role that is no superuser, and that could run code with the rights of Caravan.';
    elsif 3 > (
      select count(*)
      from pg_operator o
      join pg_proc p on p.oid = o.oprcode
      join pg_roles ro on ro.oid = o.oprowner
      join pg_roles rp on rp.oid = p.proowner
      where o.oprname in ('=', '>', '>=') and o.oprleft = t.type_oid and o.oprright = t.type_oid
        and o.oprnamespace = t.nspname::regnamespace and ro.rolsuper and rp.rolsuper
    ) then
      why := 'It has no operators =, > and >= of its own, made by a superuser.';
    else
      kind := 'extension';
    end if;
    if why is not null then
      raise exception 'column "%" of % is of the type %, which cannot be a key''s', t.c, source, t.type_oid::regtype
        using errcode = 'feature_not_supported', detail = why,
          hint = 'Make the primary key of another column, and this one unique.';
    end if;
    "position" := t.n;
    name := t.c;
    type := caravan.column_type(source, t.c);
    schema := case when kind = 'extension' then t.nspname else 'pg_catalog' end;
    loose := kind = 'extension' or type = 'interval' or exists (
      select from pg_attribute a join pg_collation c on c.oid = attcollation
      where attrelid = source and attname = t.c and not collisdeterministic
    );
    return next;
  end loop;
end
$$;

-- The text form of a value, by its type's output function. A cast to text could be somebody's own.
create or replace function caravan.text_of(value text, type text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format(case when typnamespace = 'pg_catalog'::regnamespace then '%1$s::text'
    else 'case num_nulls(%1$s) when 0 then concat(%1$s) end' end, value)
  from pg_type
  where oid = type::regtype
$$;

-- Whether an element of a JSON array keeps a value of the type as it is; otherwise its text form does, so that a cast
-- makes it the same again.
create or replace function caravan.is_plain_in_json(type text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select typnamespace = 'pg_catalog'::regnamespace and typcategory not in ('A', 'C') and typname <> 'jsonb'
  from pg_type
  where oid = type::regtype
$$;

-- Lets the owner of the schema read a table, which is all that it needs there.
create or replace function caravan.let_read(source regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  reader constant regrole := (select nspowner from pg_namespace where nspname = 'caravan');
  schema constant text := (
    select nspname from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = source
  );
  needs text;
begin
  for needs in
    select format('grant usage on schema %I to %s', schema, reader) where not has_schema_privilege(reader, schema, 'usage')
    union all
    select format('grant select on %s to %s', source, reader) where not has_table_privilege(reader, source, 'select')
  loop
    begin
      execute needs;
    exception
      when insufficient_privilege then null;  -- told below
    end;
    if not has_schema_privilege(reader, schema, 'usage') or needs ~ '^grant select'
      and not has_table_privilege(reader, source, 'select')
    then
      raise exception '% cannot read %, and % may not let it', reader, source, current_user
        using errcode = 'insufficient_privilege', hint = needs;
    end if;
  end loop;
  if (
    select relrowsecurity and not rolsuper and not rolbypassrls
      and (relforcerowsecurity or not pg_has_role(rolname, relowner, 'usage'))
    from pg_class, pg_roles
    where pg_class.oid = source and pg_roles.oid = reader
  ) then
    raise exception 'row security would hide rows of % from %', source, reader
      using errcode = 'insufficient_privilege', hint = format('alter role %s bypassrls', reader);
  end if;
end
$$;

-- A mark of what makes the functions and triggers of a source: install.sql makes them again where it is another.
create or replace function caravan.making()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select md5(string_agg(prosrc, '' order by proname))
  from pg_proc
  where pronamespace = 'caravan'::regnamespace and proname in (
    'make', 'make_functions', 'make_log_functions', 'make_triggers', 'key_parts', 'key_part_value', 'follows', 'text_of', 'row_of',
    'differs', 'is_plain_in_json', 'column_type', 'row_text', 'bounded_text_of'
  )
$$;

-- Makes what a source consists of. No write may slip between the old triggers and the new ones.
create or replace function caravan.make(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set client_min_messages = warning  -- and not what there was not to drop
as $$
begin
  execute format('lock table %s in share row exclusive mode', source.relation);
  perform caravan.let_read(source.relation);
  perform caravan.make_functions(source);
  perform caravan.make_log_functions(source);
  perform caravan.make_triggers(source);
  perform caravan.drop_former_functions(source);
  update caravan.source s
  set made_by = caravan.making(),
    loose = (select bool_or(k.loose) from caravan.key_parts(source.relation, source.key) as k)
  where s.id = make.source.id;
end
$$;

-- Makes the sources again that another version of Caravan has made. Whoever writes to their tables waits until the end of the
-- transaction: so it comes last.
create or replace function caravan.make_again()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning  -- and not what there was not to drop
as $$
declare
  source caravan.source;
begin
  perform caravan.lock_calmly(array(
    select s.relation
    from caravan.source s
    join pg_class c on c.oid = s.relation
    where s.made_by is distinct from caravan.making() and pg_has_role(c.relowner, 'usage')
    order by s.relation
  ), 'share row exclusive');
  for source in
    select s.* from caravan.source s join pg_class c on c.oid = s.relation where s.made_by is distinct from caravan.making()
  loop
    begin
      perform caravan.make(source);
    exception
      when undefined_column or feature_not_supported or insufficient_privilege or undefined_table then
        raise warning 'the source % stays as an older Caravan has made it: %', source.name, sqlerrm
          using hint = 'Track it again with caravan.track.';
    end;
  end loop;
  perform caravan.make_columns_of();
end
$$;

-- Tracks a table: from now on each change of these columns goes to the clients that map them. The key is the primary
-- key. Tracking it again with other columns keeps its history. To be called by a member of the role that owns the schema
-- caravan, who also owns the table; or by a superuser.
create or replace function caravan.track(source regclass, columns text[], payload text default 'key')
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set client_min_messages = warning  -- and not what there was not to drop
as $$
declare
  source_key constant text[] := caravan.primary_key(source);
  source_columns constant text[] := caravan.propagated(source, source_key, columns);
  source_types constant text[] := array(
    select caravan.column_type(source, c) from unnest(source_columns) with ordinality as u (c, position)
    order by position
  );
  source_name constant text := (
    select format('%I.%I', nspname, relname)
    from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = source
  );
  source_attnums constant int2[] := array(
    select attnum
    from unnest(source_columns) with ordinality as u (c, position)
    join pg_attribute on attrelid = source and attname = c
    order by position
  );
  tracked caravan.source;
begin
  perform caravan.key_parts(source, source_key);
  if payload is null or payload not in ('key', 'row') then
    raise exception 'payload must be ''key'' or ''row'', not %', coalesce(quote_literal(payload), 'null')
      using errcode = 'invalid_parameter_value',
        hint = 'With ''row'' a doorbell rings for each change, with its row, for other listeners. Caravan needs ''key''.';
  end if;
  execute format('lock table %s in share row exclusive mode', source);
  -- A table of that name was tracked, dropped and made anew: that is another history. So is another primary key, and so is
  -- the time in which a trigger was missing or disabled.
  perform caravan.untrack_source(s.name, s.relation)
  from caravan.source s
  where s.name = source_name and s.relation <> source or s.relation = source and (
    cardinality(s.key) <> cardinality(source_key)
    or s.types[:cardinality(s.key)] <> source_types[:cardinality(source_key)]
    or case when s.attnums is null then s.key <> source_key
      else s.attnums[:cardinality(s.key)] <> source_attnums[:cardinality(source_key)] end
    or caravan.is_lost(s.id)
    or (select count(*) from pg_trigger where tgrelid = source and tgname ~ '^caravan_' and tgenabled = 'A') < 4
  );

  -- What changed in a column while it was not tracked is not in the log. So the clients have to be filled again.
  insert into caravan.source as s (name, relation, key, columns, types, payload, attnums)
  values (source_name, source, source_key, source_columns, source_types, track.payload, source_attnums)
  on conflict on constraint source_relation_unique do update
    set name = excluded.name, key = excluded.key, columns = excluded.columns, types = excluded.types,
      payload = excluded.payload, attnums = excluded.attnums,
      generation = s.generation + case
        when s.attnums is null then (excluded.columns <@ s.columns)::int # 1
        else (excluded.attnums <@ s.attnums)::int # 1
      end
  returning s.* into tracked;

  perform caravan.make(tracked);
  perform caravan.make_columns_of();
end
$$;
comment on function caravan.track is 'Propagates these columns of a table to the clients that map them';

-- The work of caravan.untrack.
create or replace function caravan.untrack_source(source text, relation regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning  -- and not what there was not to drop
as $$
declare
  tracked caravan.source;
begin
  delete from caravan.source s
  where s.name = untrack_source.source or s.relation = untrack_source.relation
  returning s.* into tracked;
  if not found then
    raise exception '% is not tracked', quote_literal(source)
      using errcode = 'undefined_object',
        hint = 'Tracked are: ' || coalesce((select string_agg(name, ', ') from caravan.source), 'none');
  end if;
  perform caravan.drop_functions(tracked);  -- cascades to the triggers
  perform caravan.make_columns_of();
  delete from caravan.change c where c.source = tracked.id;
end
$$;
-- Stops tracking and forgets the source's changes. The clients keep their rows. The source is named as in SQL, or as it is
-- in caravan.source, where its table is gone.
-- Without a search_path of its own, so that names are found in the caller's.
create or replace function caravan.untrack(source text)
returns void
language sql
as $$
  select caravan.untrack_source(source, pg_catalog.to_regclass(source))
$$;
comment on function caravan.untrack is 'Stops propagating a table';
-- The functions by which the rows of a source are read.

-- Makes the functions of one source:
--   typed_N(key)    a key whose values may be of other JSON types, as it is in the log
-- and a view, rows_N: the propagated columns, in their base types, and where each row is stored.
-- They belong to the owner of the schema, whoever tracks the table. Over the view, and so with the rights of whoever calls
-- them:
--   scan_N()        the keys and rows in the order of the key
--   scan_N(after)   those that follow a key
--   found_N(key)    the row with this key; its columns are the texts of the values, v1, v2, … in the order in which
--                   caravan.tracked has the columns; so are those of the others
--   spelled_N(key)  if keys may be equal and written differently: the row with an equal key, and its key
-- Relies on: a body that begins with `return` or `begin atomic` is bound to columns, not to their names. So renaming
-- a column never breaks reading, and dropping one is refused. And such a body holds nobody up who changes other columns,
-- as the table's row type in a signature would: PostgreSQL refuses to rewrite a table whose row type is used.
create or replace function caravan.make_functions(source caravan.source)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set client_min_messages = warning  -- and not what there was not to drop
as $$
declare
  n constant int := source.id;
  readers text[];
  key_columns text;
  key_of text;
  typed_key text;
  finds text;
  exactly text;
  follows text;
  after_key text;
  texts text;
  names text;
begin
  select string_agg(format('t.%I', name), ', ' order by position),
    format('jsonb_build_array(%s)', string_agg(case when caravan.is_plain_in_json(type) then format('t.%I', name)
      else caravan.text_of(format('t.%I', name), type) end, ', ' order by position)),
    format('jsonb_build_array(%s)', string_agg(case
      when kind <> 'catalog' then format('key ->> %s', position - 1)
      when caravan.is_plain_in_json(type) then format('(key ->> %s)::%s', position - 1, type)
      else format('(key ->> %s)::%s::text', position - 1, type)
    end, ', ' order by position)),
    string_agg(format('t.%I operator(%I.=) %s', name, schema, caravan.key_part_value('found_' || n || '.key', position, type, kind)),
      ' and ' order by position),
    string_agg(format(' and (%s) collate "C" = (found_%s.key ->> %s) collate "C"', caravan.text_of(format('t.%I', name), type), n,
      position - 1), '' order by position) filter (where loose)
  into key_columns, key_of, typed_key, finds, exactly
  from caravan.key_parts(source.relation, source.key);
  follows := caravan.follows(source, 'scan_' || n || '.after');

  execute format($f$
    create or replace function caravan.typed_%1$s(key jsonb) returns jsonb
    language sql stable
    return %2$s
  $f$, n, typed_key);

  -- Expressions of a mapping are computed over it with the rights of the hub, which may read just this.
  -- Who was allowed to read it stays so.
  readers := array(
    select a.grantee::regrole::text
    from pg_class c, aclexplode(c.relacl) as a
    where c.oid = to_regclass('caravan.rows_' || n) and a.privilege_type = 'SELECT' and a.grantee not in (0, c.relowner)
  ) || to_regrole('caravan_hub')::text;
  execute format('drop function if exists caravan.found_%1$s, caravan.spelled_%1$s, caravan.scan_%1$s(jsonb, int), caravan.scan_%1$s(),
    caravan.scan_%1$s(jsonb)', n);
  execute format('drop view if exists caravan.rows_%s', n);
  execute format('create view caravan.rows_%s as select t.ctid as "caravan.ctid", %s from only %s as t', n, (
    select string_agg(format('t.%1$I::%2$s as %1$I', c, caravan.column_type(source.relation, c)), ', ' order by position)
    from unnest(source.columns) with ordinality as u (c, position)
  ), source.relation);
  readers := array_remove(readers, null);
  if readers <> '{}' then
    execute format('grant select on caravan.rows_%s to %s', n, array_to_string(readers, ', '));
  end if;

  execute format('revoke all on function caravan.typed_%1$s from public', n);

  -- PostgreSQL makes them part of the query that calls them, and computes the values that it takes.
  select string_agg(caravan.bounded_text_of(format('t.%I', c), caravan.column_type(source.relation, c)), ', ' order by position),
    string_agg(format('v%s text', position), ', ' order by position)
  into texts, names
  from jsonb_object_keys(jsonb_object(source.columns, source.types)) with ordinality as u (c, position);
  execute format($f$
    create function caravan.found_%1$s(key jsonb) returns table (%3$s)
    language sql stable
    begin atomic
      select %4$s from caravan.rows_%1$s as t where %2$s;
    end
  $f$, n, finds || coalesce(exactly, ''), names, texts);
  if exactly is not null then
    execute format($f$
      create function caravan.spelled_%1$s(key jsonb) returns table (spelled jsonb, %3$s)
      language sql stable
      begin atomic
        select %5$s, %4$s from caravan.rows_%1$s as t where %2$s;
      end
    $f$, n, replace(finds, 'found_' || n || '.key', 'spelled_' || n || '.key'), names, texts, key_of);
    execute format('revoke all on function caravan.spelled_%1$s from public; grant execute on function caravan.spelled_%1$s to public', n);
  end if;
  execute format('revoke all on function caravan.found_%1$s from public; grant execute on function caravan.found_%1$s to public', n);

  foreach after_key in array array['', 'after jsonb'] loop
    execute format($f$
      create function caravan.scan_%1$s(%2$s) returns table (key jsonb, %4$s)
      language sql stable
      begin atomic
        select %6$s, %5$s from caravan.rows_%1$s as t %3$s order by %7$s;
      end
    $f$, n, after_key, case when after_key <> '' then 'where ' || follows end, names, texts, key_of, key_columns);
    execute format('revoke all on function caravan.scan_%1$s(%2$s) from public;
    grant execute on function caravan.scan_%1$s(%2$s) to public',
      n, after_key);
  end loop;
end
$$;

-- The text form of a value. PostgreSQL can't write a bytea of more than half a gigabyte as text. The hub takes no row of even
-- half that size, so it needs to know no more of it than its size.
create or replace function caravan.bounded_text_of(value text, type text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when type::regtype = 'bytea'::regtype
    then format('case when octet_length(%1$s) > 500000000 then repeat(''.'', octet_length(%1$s)) else %1$s::text end', value)
    else caravan.text_of(value, type) end
$$;

-- A value of a key, as it is in the log, in its column's type. Casts between PostgreSQL's own types and a superuser's are
-- a superuser's; a cast to an enum could be its owner's. Null where an enum no longer has the value.
create or replace function caravan.key_part_value(key text, "position" bigint, type text, kind text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select format(case kind
    when 'enum' then '(select e from unnest(enum_range(null::%3$s)) as e where concat(e) = %1$s ->> %2$s)'
    else '(%1$s ->> %2$s)::%3$s'
  end, key, "position" - 1, type)
$$;

-- A condition that is true for rows that follow a key. PostgreSQL finds the rows by an index where it compares rows with
-- one operator; with those of several schemas, it finds them by the first column. Raises an error where an enum no longer
-- has the value, because a fill must not end there.
create or replace function caravan.follows(source caravan.source, key text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  part record;
  columns text;
  "values" text;
  schemas text[];
  condition text;
begin
  for part in
    select *, case kind
      when 'enum' then format('(select r.k from jsonb_to_record(jsonb_build_object(''k'', %s -> %s)) as r (k %s))',
        key, position - 1, type)
      else caravan.key_part_value(key, position, type, kind) end as value
    from caravan.key_parts(source.relation, source.key)
    order by position desc
  loop
    columns := concat_ws(', ', format('t.%I', part.name), columns);
    "values" := concat_ws(', ', part.value, "values");
    schemas := schemas || part.schema;
    condition := case when condition is null then format('t.%1$I operator(%2$I.>) %3$s', part.name, part.schema, part.value)
      else format('t.%1$I operator(%2$I.>=) %3$s and (t.%1$I operator(%2$I.>) %3$s or %4$s)',
        part.name, part.schema, part.value, condition) end;
  end loop;
  return case when schemas[1] = all (schemas) then format('(%s) operator(%I.>) (%s)', columns, schemas[1], "values")
    else condition end;
end
$$;

create or replace function caravan.drop_functions(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  one regprocedure;
begin
  for one in
    select p.oid from pg_proc p
    where pronamespace = 'caravan'::regnamespace
      and proname ~ ('^(log_[a-z]+|typed|respelled|spelled|scan|find|found|row|moves|key)_' || source.id || '$')
  loop
    -- An older Caravan's functions depend on each other.
    if exists (select from pg_proc where oid = one) then
      execute format('drop function %s cascade', one);
    end if;
  end loop;
  execute format('drop view if exists caravan.rows_%s', source.id);
end
$$;

-- Drops what an older Caravan had made for a source, which took the table's row type.
create or replace function caravan.drop_former_functions(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  name text;
begin
  foreach name in array array['log_insert', 'log_update', 'log_delete'] loop
    execute format('drop function if exists caravan.%I()', name || '_' || source.id);
  end loop;
  execute format('drop function if exists caravan.row_%s, caravan.moves_%1$s, caravan.key_%1$s, caravan.find_%1$s,
    caravan.respelled_%1$s', source.id);
end
$$;
-- The triggers that put the keys of changed rows into the log.
--
-- A row trigger does its work in its condition: WHEN (log_insert_N(new.id, …)), which inserts into the log and is false.
-- So no function has the table's row type, and no event waits for the end of the statement.
-- Relies on: PostgreSQL evaluates the condition of an AFTER row trigger just after it has written the row, while the
-- transaction holds the row's lock. And a condition is bound to columns, not to their names: a column may be renamed.
-- And a function in it is called as whoever writes: so all may execute it, but only who has USAGE of the schema can name it.

-- A condition that is true when a column really differs: in its bytes, and not only by its type's equality, for which
-- 1.0 equals 1.00, and which json has not. Types whose equality is that of their bytes are compared as they are.
-- The function and not its operator *<>, because pg_dump writes that on records in a way that it cannot read again.
create or replace function caravan.differs(old text, new text, type text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format(case
    when type in ('smallint', 'integer', 'bigint', 'boolean', 'uuid', 'bytea', 'date',
      'timestamp without time zone', 'timestamp with time zone') then '%1$s is distinct from %2$s'
    when type in ('text', 'character varying') then '%1$s collate "C" is distinct from %2$s collate "C"'
    else 'pg_catalog.record_image_ne(row(%1$s), row(%2$s))'
  end, old, new)
$$;

-- Makes the functions of one source that write into the log, one for each kind of write: log_insert_N, log_update_N,
-- log_delete_N, and the trigger function log_truncate_N. In a transaction of a single row, each expression that they need
-- not compute counts. They take a key's values as they are, but those of an enum or of an extension's type as text: their
-- owners' code may run with the rights of who writes, and not with those of Caravan.
create or replace function caravan.make_log_functions(source caravan.source)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
  n constant int := source.id;
  -- The text form of some types follows settings of the user's session. The key in the log must not.
  settings constant text := case when exists (
    select from caravan.key_parts(source.relation, source.key)
    where kind = 'catalog'
      and type not in ('smallint', 'integer', 'bigint', 'numeric', 'uuid', 'text', 'character varying', 'boolean')
  ) then $set$ set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'postgres' set quote_all_identifiers = off
    set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C' $set$ else '' end;
  old_parameters text;
  new_parameters text;
  old_key text;
  new_key text;
  moves text;
  event text;
  parameters text;
  key text;
  ring text;
begin
  with part as (
    select position, case kind when 'catalog' then type else 'text' end as type,
      kind = 'catalog' and not caravan.is_plain_in_json(type) as as_text
    from caravan.key_parts(source.relation, source.key)
  )
  select string_agg(format('old_%s %s', position, type), ', ' order by position),
    string_agg(format('new_%s %s', position, type), ', ' order by position),
    format('jsonb_build_array(%s)',
      string_agg('old_' || position || case when as_text then '::text' else '' end, ', ' order by position)),
    format('jsonb_build_array(%s)',
      string_agg('new_' || position || case when as_text then '::text' else '' end, ', ' order by position)),
    string_agg(caravan.differs('old_' || position, 'new_' || position, type), ' or ')
  into old_parameters, new_parameters, old_key, new_key, moves
  from part;

  foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
    key := case event when 'truncate' then 'null' when 'delete' then old_key else new_key end;
    parameters := case event
      when 'insert' then new_parameters || ', new_row text'
      when 'update' then concat(old_parameters, ', ', new_parameters, ', new_row text')
      when 'delete' then old_parameters
      else ''
    end;
    ring := case
      when source.payload = 'key' then $sql$if caravan.is_to_ring() then
          perform caravan.ring(%1$L, %2$L, %3$s);
        end if;$sql$
      when event in ('insert', 'update') then 'perform caravan.ring(%1$L, %2$L, %3$s, new_row::json, true);'
      else 'perform caravan.ring(%1$L, %2$L, %3$s, null, true);'
    end;
    execute format($f$
      create or replace function caravan.log_%2$s_%1$s(%3$s) returns %4$s
      language plpgsql
      security definer
      set search_path = pg_catalog, pg_temp %5$s
      as $body$
      begin
        %6$s
        insert into caravan.change (source, key) values (%1$s, %7$s);
        %8$s
        return %9$s;
      end
      $body$
    $f$, n, event, parameters, case event when 'truncate' then 'trigger' else 'boolean' end, settings,
      case event when 'update' then format('if %s then
          insert into caravan.change (source, key) values (%s, %s);
        end if;', moves, n, old_key) end,
      key, format(ring, source.name, event, key), case event when 'truncate' then 'null' else 'false' end);
    -- A trigger's function is not checked when the trigger fires.
    execute format('revoke all on function caravan.log_%s_%s(%s) from public', event, n, parameters);
    if event <> 'truncate' then
      execute format('grant execute on function caravan.log_%s_%s(%s) to public', event, n, parameters);
    end if;
  end loop;
end
$$;

-- Never called: the conditions of the triggers are false.
create or replace function caravan.nothing()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  return null;
end
$$;

-- The text of the row as a JSON object, for a doorbell, unless it is too long for one.
create or replace function caravan.row_of(source caravan.source)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case source.payload when 'row' then format($sql$case when %s < 8000 then %s || '}' end$sql$,
    string_agg(format('coalesce(pg_column_size(new.%I), 0)', c), ' + ' order by position),
    string_agg(format($sql$%L || coalesce(to_json(new.%I)::text, 'null')$sql$,
      case position when 1 then '{' else ',' end || to_json(c) || ':', c), ' || ' order by position)) else 'null' end
  from unnest(source.columns) with ordinality as u (c, position)
$$;

-- UPDATE, not UPDATE OF: that one looks at what the statement names, and a BEFORE trigger may change more.
-- ENABLE ALWAYS: rows that arrive in central by logical replication are changes too.
create or replace function caravan.make_triggers(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
  n constant int := source.id;
  row_of constant text := caravan.row_of(source);
  really_differs constant text := (
    select string_agg(caravan.differs(format('old.%I', c), format('new.%I', c), caravan.column_type(source.relation, c)),
      ' or ')
    from unnest(source.columns) as c
  );
  old_key text;
  new_key text;
  event text;
begin
  select string_agg(case kind when 'catalog' then format('old.%I', name)
      else caravan.text_of(format('old.%I', name), type) end, ', ' order by position),
    string_agg(case kind when 'catalog' then format('new.%I', name)
      else caravan.text_of(format('new.%I', name), type) end, ', ' order by position)
  into old_key, new_key
  from caravan.key_parts(source.relation, source.key);

  foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
    execute format(
      'create or replace trigger caravan_%1$s after %1$s on %2$s for each %3$s %4$s execute function caravan.%5$s()',
      event,
      source.relation,
      case event when 'truncate' then 'statement' else 'row' end,
      case event
        when 'insert' then format('when (caravan.log_insert_%s(%s, %s))', n, new_key, row_of)
        when 'update' then format('when (case when %s then caravan.log_update_%s(%s, %s, %s) else false end)',
          really_differs, n, old_key, new_key, row_of)
        when 'delete' then format('when (caravan.log_delete_%s(%s))', n, old_key)
      end,
      case event when 'truncate' then 'log_truncate_' || n else 'nothing' end
    );
    execute format('alter table %s enable always trigger caravan_%s', source.relation, event);
  end loop;
end
$$;
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
-- What the hub's statements read with the hub's own rights. It makes them in Java: io.caravan.read.WindowStatement.

-- The change log, as far as who asks may read the sources.
-- Relies on: a security barrier hides what it filters also from functions of who asks; conditions whose functions are known
-- to leak nothing, such as comparisons of ids, still find rows by an index.
create view caravan.log with (security_barrier) as
select id, xid, source, key
from caravan.change
where source = any (array(
  select s.id from caravan.source s where has_table_privilege(to_regclass('caravan.rows_' || s.id), 'select')
));
comment on view caravan.log is 'The changes of the sources that one may read';

-- The sources, their columns in the order in which a page has them. A statement that was made for another state of a source
-- does not fit.
create view caravan.tracked as
select id, name, generation, loose, key,
  array(select c.key from jsonb_each_text(jsonb_object(columns, types)) as c) as columns,
  array(select c.value from jsonb_each_text(jsonb_object(columns, types)) as c) as types,
  concat_ws(' ', id, generation, loose, key, columns, types) as state
from caravan.source;
comment on view caravan.tracked is 'The tracked sources';

-- What is still refused, by client. A login in caravan_limited_hub sees what it may speak of, as caravan.check_hub has it.
create view caravan.unresolved with (security_barrier) as
select d.client, d.source
from caravan.dead_letter d
where d.state in ('retrying', 'open')
  and (
    (select not coalesce(pg_has_role(session_user, to_regrole('caravan_limited_hub'), 'member'), false))
    or (
      (select not exists (select from caravan.hub_client h where h.hub = session_user))
      or d.client in (select h.client from caravan.hub_client h where h.hub = session_user)
    )
    and d.source not in (
      select s.name from caravan.source s
      where not coalesce(has_table_privilege(session_user, to_regclass('caravan.rows_' || s.id), 'select'), false)
    )
  );
comment on view caravan.unresolved is 'The dead letters that are not resolved, of the clients that one may speak for';

create view caravan.refusing as
select distinct client from caravan.unresolved;
comment on view caravan.refusing is 'The clients that have unresolved dead letters; * for all';

-- The sources as a page describes them: {"public.users": {"key": ["id"], "columns": {"id": "bigint", "name": "text"}}}.
create or replace function caravan.descriptions()
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_object_agg(name, jsonb_build_object('key', key, 'columns', jsonb_object(columns, types))), '{}')
  from caravan.source
$$;
comment on function caravan.descriptions is 'The sources with their keys and columns';
-- Readers: which login of a hub may read which sources. The truth is PostgreSQL's privilege to select from the source's
-- view rows_N: caravan_hub has it on all, a login in caravan_limited_hub on what it was allowed.

-- Raises that the caller's login may not read a source.
-- Relies on: in a function that runs as its owner, session_user is still who has logged in.
create or replace function caravan.check_reader(source caravan.source)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not has_table_privilege(session_user, 'caravan.rows_' || source.id, 'select') then
    raise exception '% may not read the source %', session_user, source.name
      using errcode = 'insufficient_privilege',
        hint = format('select caravan.allow(%L, %L)', session_user, array[source.name]);
  end if;
end
$$;

-- Raises that the caller's login is limited, and may not speak for a client, or of one of these sources. What is not tracked
-- is nobody's.
create or replace function caravan.check_hub(client text, sources text[])
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not coalesce(pg_has_role(session_user, to_regrole('caravan_limited_hub'), 'member'), false) then
    return;
  end if;
  if exists (select from caravan.hub_client h where h.hub = session_user)
    and not exists (select from caravan.hub_client h where h.hub = session_user and h.client = check_hub.client)
  then
    raise exception '% may not serve the client %', session_user, client
      using errcode = 'insufficient_privilege',
        hint = format('select caravan.allow(%L, …, %L)', session_user, array[client]);
  end if;
  perform caravan.check_reader(s) from caravan.source s where s.name = any (sources);
end
$$;

-- The same of the client and the source of a run.
create or replace function caravan.check_run(run bigint)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan.check_hub(r.client, array[r.source]) from caravan.reconciliation r where r.id = run;
end
$$;

-- Lets the login of a hub read these sources and no others, and speak for these clients and no others (null: for any; '*' is
-- who refuses what breaks a contract). It is to be in caravan_limited_hub, and not in caravan_hub.
-- To be called by the owner of the schema caravan.
create or replace function caravan.allow(hub name, sources text[], clients text[] default null)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  source caravan.source;
  unknown text;
begin
  if pg_has_role(hub, to_regrole('caravan_hub'), 'usage') then
    raise exception '% may read all sources', hub
      using errcode = 'invalid_grant_operation',
        hint = format('revoke caravan_hub from %1$I; grant caravan_limited_hub to %1$I', hub);
  end if;
  select u into unknown from unnest(sources) as u where u not in (select name from caravan.source);
  if found then
    raise exception '% is not tracked', quote_literal(unknown)
      using errcode = 'undefined_object',
        hint = 'Tracked are: ' || coalesce((select string_agg(name, ', ') from caravan.source), 'none');
  end if;
  for source in select * from caravan.source loop
    execute format(case when source.name = any (sources) then 'grant select on caravan.rows_%s to %I'
      else 'revoke select on caravan.rows_%s from %I' end, source.id, hub);
  end loop;
  delete from caravan.hub_client h where h.hub = allow.hub;
  insert into caravan.hub_client (hub, client) select distinct allow.hub, c from unnest(clients) as c;
end
$$;
comment on function caravan.allow is 'Limits the login of a hub to sources, and to clients';
-- What is wrong with a source, as the hub looks for once a minute: nobody else would notice that changes are no longer
-- captured, or that they are of the wrong table. And which runs wait for a person.

create or replace function caravan.find_problems()
returns table (source text, problem text, remedy text)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
  select s.name, p.problem, coalesce(p.remedy, format('select caravan.track(%L, %L)', s.name, s.columns))
  from caravan.source s
  left join pg_class c on c.oid = s.relation
  left join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (select case when c.oid is not null then format('%I.%I', n.nspname, c.relname) end) as now (called)
  cross join lateral (
    select 'its table was dropped', null
    where c.oid is null
    union all
    select format('its table is now %s%s', now.called,
        case when to_regclass(s.name) is null then '' else ', and another table has its name' end),
      case when to_regclass(s.name) is null then format('select caravan.track(%L, %L)', now.called, s.columns) end
    where c.oid is not null and to_regclass(s.name) is distinct from s.relation
    union all
    select 'columns of it were dropped', null
    where c.oid is not null and caravan.is_lost(s.id)
    union all
    select format('the trigger caravan_%s %s', event, case when t.oid is null then 'is missing'
      when t.tgenabled = 'D' then 'is disabled' else 'is not ENABLE ALWAYS' end), null
    from unnest('{insert,update,delete,truncate}'::text[]) as event
    left join pg_trigger t on t.tgrelid = s.relation and t.tgname = 'caravan_' || event
      and pg_get_triggerdef(t.oid) ~ format('caravan\.log_%s_%s\(', event, s.id)
    where c.oid is not null and t.tgenabled is distinct from 'A'
    union all
    select 'its key is no longer the primary key', null
    where s.attnums[:cardinality(s.key)] <> (
      select (i.indkey::int2[])[0:i.indnkeyatts - 1] from pg_index i where i.indrelid = s.relation and i.indisprimary
    ) or c.oid is not null and not exists (select from pg_index i where i.indrelid = s.relation and i.indisprimary)
    union all
    select format('%s may not read it', current_user), format('grant select on %s to %I', now.called, current_user)
    where not has_table_privilege(c.oid, 'select')
  ) as p (problem, remedy)
  union all
  select r.source, format('run %s waits for a person: %s differs from it too much (%s missing, %s stale, %s surplus)',
      r.id, r.target || ' of ' || r.client, r.missing, r.stale, r.surplus),
    format('select caravan.confirm(%1$s), or caravan.stop(%1$s)', r.id)
  from caravan.reconciliation r
  where r.state = 'waiting'
    -- What is another hub's is none of the business of one that is limited.
    and (r.client in (select h.client from caravan.hub_client h where h.hub = session_user)
      or not exists (select from caravan.hub_client h where h.hub = session_user))
$$;
comment on function caravan.find_problems is 'What has to be mended for the sources, for the view caravan.problems';

create or replace view caravan.problems as
select source, problem, remedy from caravan.find_problems() order by source, problem;
comment on view caravan.problems is 'What keeps sources from being captured, or rows from being repaired, and what to do';
-- What a hub's metrics tell of central: one question for all clients, and one that stays cheap however long the log is.

create or replace function caravan.measure(
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
    select client, count(*) as letters from caravan.unresolved group by client
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
comment on function caravan.measure is
  'What the metrics tell: about how many entries the log has, how many dead letters each client, and how many changes are '
  'new to each cursor, up to a bound. A cursor is a snapshot and the id after which it stands in a backlog, or 0';
-- Dead letters: changes that a client refuses, kept until a later state of the key is applied or somebody gives them up.
--   retrying   the key is on its way once more, behind the backlog
--   open       the client refuses it
--   resolved   a later state was applied
--   given up   somebody said that it shall rest

-- Puts keys into the change log once more: they are read anew and come to every client, where equal rows cost nothing.
create or replace function caravan.touch(letters caravan.dead_letter[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into caravan.change (source, key, again)
  select distinct s.id, l.key, true
  from unnest(letters) as l
  join caravan.source s on s.name = l.source
  where l.key = caravan.typed_key(s.id, l.key);  -- a client says what it refuses: what is no key would stop all others
  if found then
    perform caravan.ring('caravan', 'replay');
  end if;
end
$$;

-- Whether what refused a row was another row, which may since have gone or come.
create or replace function caravan.depends_on_others(sqlstate text)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select sqlstate in ('23503', '23505', '23P01')  -- foreign key, unique, exclusion
$$;

-- Sends a client once more what it refused because of other rows: these may have gone or come just now.
create or replace function caravan.touch_dependent(client text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan.touch(array(
    select d
    from caravan.dead_letter d
    where d.client = touch_dependent.client and d.state in ('retrying', 'open') and caravan.depends_on_others(d.sqlstate)
  ));
end
$$;

-- Stores what a client has refused, [{"source", "key", "sqlstate", "message"}], but for what is in `settled` and so
-- was stored before for the same page. A row whose parent is missing, or whose unique value another row still holds, is
-- no dead letter yet: that other row may be in a later page. It is sent again behind the backlog, and counts when it is
-- refused then.
-- Raises CV003 rather than to store more than `most` open dead letters for a client: then something is wrong with the
-- client, and not with the rows.
create or replace function caravan.bury(client text, refused jsonb, settled jsonb, most int)
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
  perform caravan.check_hub(client, array(select r ->> 'source' from jsonb_array_elements(refused) as r));
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
      select d.source, d.key from caravan.dead_letter d where d.client = bury.client and d.state = 'open'
    ) as unresolved
  ) then
    select * into example from jsonb_to_record(refusals -> 0) as e (source text, key jsonb, message text);
    raise exception '% refuses more than % changes, among them % %: %', client, most, example.source, example.key,
        example.message
      using errcode = 'CV003', hint = 'Mend the cause at the client; it goes on by itself.';
  end if;

  with stored as (
    insert into caravan.dead_letter as d (client, source, key, sqlstate, message, state)
    select bury.client, r.source, r.key, r.sqlstate, r.message,
      case when caravan.depends_on_others(r.sqlstate) and r.key is not null then 'retrying' else 'open' end
    from jsonb_to_recordset(refusals) as r (source text, key jsonb, sqlstate text, message text)
    on conflict on constraint dead_letter_hash_unique do update
      set sqlstate = excluded.sqlstate, message = excluded.message, last_at = now(), attempts = d.attempts + 1,
        state = case when d.state in ('retrying', 'open') then 'open' else excluded.state end, reason = null
      -- What breaks the contract is found again on the way to each client.
      where d.client <> '*' or d.state <> 'open' or d.message <> excluded.message
    returning d.*
  )
  select array_agg(s::caravan.dead_letter) into retried from stored s where s.state = 'retrying';
  perform caravan.touch(retried);
end
$$;
comment on function caravan.bury is 'Stores the changes that a client has refused as dead letters';

-- Resolves the dead letters whose keys a client has now taken: those of a page that it has applied, but for `refused`.
-- That may have made room for others, so these are sent once more.
create or replace function caravan.resolve(client text, page jsonb, refused jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan.check_hub(client, array(
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
    perform caravan.touch_dependent(client);
  end if;
end
$$;
comment on function caravan.resolve is 'Resolves the dead letters of the keys that a client has taken';

-- Sends a client once more what it refuses, but for what is new to its cursor and so on its way. To be called when it is
-- not known whether all that it has taken was resolved: a hub may have died in between.
create or replace function caravan.resend(client text, cursor jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off  -- PostgreSQL takes much of a log that it has not analyzed yet for new
as $$
declare
  since constant pg_snapshot := cursor ->> 'snapshot';
  upto constant pg_snapshot := cursor #>> '{window,upto}';
  after constant bigint := cursor #>> '{window,after}';
begin
  perform caravan.check_hub(client, '{}');
  perform caravan.touch(array(
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
comment on function caravan.resend is 'Sends a client once more what may have been taken';

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
  perform caravan.touch(letters);
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
      using errcode = 'no_data_found', hint = 'table caravan.dead_letters';
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
-- Cleaning: the change log holds one entry a key, however long a client is away, and what is recent.
--
-- An entry is superseded when a newer one of its key is in the log, or a newer TRUNCATE of its source: whoever has not
-- seen the old one has not seen the new one either. One that was written to send the key once more supersedes only others of
-- that kind: a writer may be about to commit a change that is older by its id. Whoever has seen a newer one than that has
-- got the row as it was after it was to be sent once more. Finding them takes a pass over the log, which is made only when
-- the log has grown to twice what the last pass left: a few microseconds a change, whatever its size. No index on
-- the key is needed, which each write would have to pay for. The entries go in small batches, which the pass makes: a row
-- for each entry that is about to go would cost more than the entry.

-- The ids of all superseded entries.
create or replace function caravan.find_superseded()
returns setof bigint
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- PostgreSQL may take the log for short: it was analyzed while its entries were not committed yet
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

-- The entries up to `upto` of keys that are gone from their source. Not those that a transaction may be older than which is
-- still open, or prepared: a cursor has the oldest one in its snapshot, and would be taken for one from before the deletion.
create or replace function caravan.find_gone(upto bigint)
returns setof caravan.change
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
declare
  tracked int;
begin
  for tracked in select id from caravan.source where not caravan.is_lost(id) loop
    return query execute format($q$
      select c.*
      from caravan.change c
      where c.source = %1$s and c.id <= $1 and c.xid < $2 and c.key is not null and not exists (select from caravan.found_%1$s(c.key))
    $q$, tracked) using upto, pg_snapshot_xmin(pg_current_snapshot());
  end loop;
end
$$;

-- Removes some entries that are superseded, at most as many as the `batch` of the call that found them; the hub calls it
-- until it returns 0. Of several calls at once only one does anything, and no writer waits for it.
-- The entries of keys that are gone stay for `keep`. A client that comes back later cannot know of them: it is
-- compared as a whole.
create or replace function caravan.clean(batch int default 10000, keep interval default '30 days')
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  last bigint;
  expired bigint;
  state caravan.cleaning;
  removed bigint;
begin
  perform caravan.note_history();
  last := coalesce((select max(id) from caravan.change), 0);
  expired := (select max(m.newest) from caravan.milestone m where m.at < now() - keep);
  select * into state from caravan.cleaning for update skip locked;
  if not found then
    return 0;
  end if;
  insert into caravan.milestone (newest)
  select last where not exists (select from caravan.milestone m where m.at > now() - interval '1 minute');

  if not exists (select from caravan.superseded) then
    if last - state.newest <= greatest(state.kept, 10000) then
      return 0;
    end if;
    with gone as materialized (
      select g.id, g.xid from caravan.find_gone(expired) as g
    ), marked as (
      insert into caravan.superseded (ids)
      select array_agg(id)
      from (
        select id, (row_number() over (order by id) - 1) / clean.batch as n
        from (select id from gone union select caravan.find_superseded()) as all_of_them (id)
      ) as numbered
      group by n
      returning cardinality(ids) as entries
    )
    update caravan.cleaning c
    set newest = last,
      kept = (select count(*) from caravan.change) - (select coalesce(sum(entries), 0) from marked),
      horizon = greatest(c.horizon, (select max(xid) from gone));
    delete from caravan.milestone m where m.newest < expired;
  end if;

  with taken as (
    delete from caravan.superseded s where s.batch = (select min(first.batch) from caravan.superseded as first) returning ids
  )
  delete from caravan.change c using taken where c.id = any (taken.ids);
  get diagnostics removed = row_count;
  return removed;
end
$$;
comment on function caravan.clean is 'Removes a batch of superseded entries from the change log; 0: nothing to do now';
-- What central keeps of the runs that compare a client with it: which one is due, which hub works for it, how far it is, and
-- which keys are suspected. What a run asks, decides and repairs is in Java, io.caravan.reconcile.Reconciliation: it works
-- in small steps, each of which ends with caravan.keep_on, so that another hub can go on where one has died.

-- The type of this name; null: there is none. The hub need not have any rights on the type's schema.
create or replace function caravan.type_named(name text)
returns oid
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select to_regtype(name)
$$;
comment on function caravan.type_named is 'The type of this name';

-- Requests that were made before anything was known of a client are of its targets from now on, the first of which takes
-- the place of the request.
create or replace function caravan.place_requests(client text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  early caravan.reconciliation;
begin
  for early in
    select * from caravan.reconciliation r
    where r.client = place_requests.client and r.state = 'requested' and r.target = '*'
    for update skip locked
  loop
    insert into caravan.reconciliation (client, source, target, reason, key, dry_run)
    select v.client, v.source, v.target, early.reason, early.key, early.dry_run
    from caravan.verification v
    where v.client = place_requests.client and early.source in ('*', v.source)
    order by v.source, v.target
    offset 1;
    update caravan.reconciliation r
    set source = v.source, target = v.target
    from (
      select v.source, v.target
      from caravan.verification v
      where v.client = place_requests.client and early.source in ('*', v.source)
      order by v.source, v.target
      limit 1
    ) as v
    where r.id = early.id;
  end loop;
end
$$;

-- Notes which targets a client has, forgets those that it no longer has, and ends what runs for them.
create or replace function caravan.note_targets(client text, mapping jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  targets constant text[] := array(
    select format('%s > %s', t ->> 'source', t ->> 'table') from jsonb_array_elements(mapping) as t
  );
begin
  insert into caravan.verification (client, source, target)
  select note_targets.client, s.name, t ->> 'table'
  from jsonb_array_elements(mapping) as t
  join caravan.source s on s.name = t ->> 'source'
  on conflict do nothing;
  perform caravan.place_requests(client);
  delete from caravan.verification v
  where v.client = note_targets.client and format('%s > %s', v.source, v.target) <> all (targets);
  update caravan.reconciliation r
  set state = 'stopped', ended_at = clock_timestamp(), notes = notes || 'it is not mapped'::text
  where r.client = note_targets.client and r.state in ('requested', 'running')
    and format('%s > %s', r.source, r.target) <> all (targets);
end
$$;

-- Whether a run was stopped because the client was being filled, by what it has noted.
create or replace function caravan.met_a_fill(notes text[])
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select notes && '{the client is not filled yet,the client is being filled anew}'
$$;

-- A client may have rows of these sources that central has no more, and of which the log says nothing. The reason is `epoch`:
-- its cursor is of another history, or the source was untracked meanwhile; or `truncate`: it could not empty its table. It will
-- be compared. To be called before the cursor moves on. Runs under way begin again. One that waits for a person has not seen
-- what there is to decide about now, and what a person has confirmed was of another history. What the client refuses is not
-- compared, and may be gone, too: it is sent once more. The sources are given parents first, and compared children first: as
-- long as a child is there, a client may refuse to delete its parent.
create or replace function caravan.doubt(client text, mapping jsonb, sources text[], reason text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  noted timestamptz;
begin
  perform caravan.check_hub(client, sources);
  perform caravan.note_targets(client, mapping);
  update caravan.reconciliation r
  set checkpoint = null, step = r.step + 1, confirmed = r.confirmed and doubt.reason <> 'epoch'
  where r.client = doubt.client and r.source = any (sources) and r.state in ('requested', 'running');
  update caravan.reconciliation r
  set state = 'stopped', notes = r.notes || 'the client is compared once more'::text
  where r.client = doubt.client and r.source = any (sources) and r.state = 'waiting';
  noted := clock_timestamp();
  update caravan.verification v
  set doubt = doubt.reason,
    doubted_at = noted + (cardinality(sources) - array_position(sources, v.source)) * interval '1 microsecond'
  where v.client = doubt.client and v.source = any (sources);
  perform caravan.touch(array(
    select d
    from caravan.dead_letter d
    where d.client in (doubt.client, '*') and d.source = any (sources) and d.key is not null and d.state <> 'resolved'
  ));
  perform caravan.ask_hub('reconcile');
end
$$;
comment on function caravan.doubt is 'Has a client compared that may have rows of which the log says nothing';

-- The run of a whole table that was begun last; null: none was.
create or replace function caravan.last_run(compared caravan.verification)
returns caravan.reconciliation
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select r
  from caravan.reconciliation r
  where r.client = compared.client and r.source = compared.source and r.target = compared.target and r.key is null
    and r.started_at is not null
  order by r.id desc
  limit 1
$$;

-- When a table may be compared again at the soonest: at once where it was not, soon after a run that met a fill.
create or replace function caravan.rested_at(last caravan.reconciliation)
returns timestamptz
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select last.ended_at + case when caravan.met_a_fill(last.notes) then interval '5 seconds' else interval '1 minute' end
$$;

-- The run for the oldest doubt about a client, if any. The next one has to wait until that is settled, by a person if need be.
-- After a TRUNCATE nobody is asked, nor waited for: it said that all rows go.
create or replace function caravan.run_for_doubt(client text)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  doubted caravan.verification;
  due caravan.reconciliation;
begin
  select v.* into doubted
  from caravan.verification v
  left join lateral caravan.last_run(v) as last on true
  where v.client = run_for_doubt.client and v.doubt is not null
    and not exists (
      select from caravan.verification child
      where child.client = v.client and child.doubted_at < v.doubted_at and (v.doubt = 'epoch' or child.doubt = 'truncate')
    )
    and coalesce(last.started_at < v.doubted_at or last.state <> 'waiting'
      and now() > caravan.rested_at(last), true)
  order by v.doubted_at
  limit 1;
  if not found then
    return null;
  end if;

  delete from caravan.reconciliation r
  where r.client = doubted.client and r.source = doubted.source and r.target = doubted.target
    and r.reason in ('epoch', 'truncate') and r.state = 'stopped' and r.missing + r.stale + r.surplus = 0;
  insert into caravan.reconciliation (client, source, target, reason, confirmed)
  values (doubted.client, doubted.source, doubted.target, doubted.doubt, doubted.doubt = 'truncate')
  returning * into due;
  return due;
end
$$;

-- Which run is due for a client, if any: one that was requested; one because of a doubt; the one that was scheduled last, at
-- `scheduled_at`; one to verify, as often as it takes no more than `percent` of the time, but soon after a fill. Not while
-- one waits for a person.
create or replace function caravan.due_run(client text, scheduled_at timestamptz, percent numeric)
returns caravan.reconciliation
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  due caravan.reconciliation;
begin
  select * into due
  from caravan.reconciliation r
  where r.client = due_run.client and r.state = 'requested'
  order by r.id
  limit 1;
  if found then
    return due;
  end if;
  due := caravan.run_for_doubt(client);
  if due.id is not null then
    return due;
  end if;

  select v.source, v.target,
    case when coalesce(last.started_at < scheduled_at, scheduled_at is not null) then 'schedule' else 'verify' end
  into due.source, due.target, due.reason
  from caravan.verification v
  left join lateral caravan.last_run(v) as last on true
  where v.client = due_run.client and last.state is distinct from 'waiting' and (
    last.started_at < scheduled_at or last.started_at is null and scheduled_at is not null
    or percent > 0 and coalesce(now() > greatest(caravan.rested_at(last), case when caravan.met_a_fill(last.notes) then null
      else last.started_at + last.worked * (100 / nullif(percent, 0))::float8 end), true)
  )
  order by last.started_at nulls first
  limit 1;
  if due.source is not null then
    delete from caravan.reconciliation r
    where r.client = due_run.client and r.source = due.source and r.target = due.target and r.reason = 'verify'
      and r.state = 'stopped' and caravan.met_a_fill(r.notes);
    insert into caravan.reconciliation (client, source, target, reason)
    values (due_run.client, due.source, due.target, due.reason)
    returning * into due;
  end if;
  return due;
end
$$;

-- Whether somebody waits for a comparison of a client.
create or replace function caravan.is_requested(client text)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from caravan.reconciliation r where r.client = is_requested.client and r.state = 'requested')
$$;

-- The run that a hub is to work for now; run is null if there is none. `percent` of the time may go into verifying. Of several
-- hubs one works for a client at a time; another takes over when it has not been heard of for `patience`. A run whose client
-- has got another mapping begins anew.
--   checkpoint  where to go on; null: at the beginning
--   equal_at    until when all that the client maps was shown to be equal to central; null: never
create or replace function caravan.claim_run(
  client text, mapping jsonb, hub text, scheduled_at timestamptz, percent numeric, patience interval default '2 minutes',
  out run bigint, out step bigint, out source text, out target text, out reason text, out key jsonb, out dry_run boolean,
  out confirmed boolean, out checkpoint jsonb, out equal_at timestamptz
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  chosen caravan.reconciliation;
begin
  perform caravan.check_hub(client, array(select t ->> 'source' from jsonb_array_elements(mapping) as t));
  perform caravan.note_targets(client, mapping);
  select case when bool_and(v.equal_at is not null) then min(v.equal_at) end into equal_at
  from caravan.verification v where v.client = claim_run.client;

  select * into chosen
  from caravan.reconciliation r
  where r.client = claim_run.client and r.state = 'running'
  for update skip locked;
  if not found then
    if exists (select from caravan.reconciliation r where r.client = claim_run.client and r.state = 'running') then
      return;  -- another hub is just about to go on with it
    end if;
    chosen := caravan.due_run(client, scheduled_at, percent);
  elsif chosen.hub <> hub and chosen.alive_at > clock_timestamp() - patience
    or chosen.alive_at > clock_timestamp() and not caravan.is_requested(client)
  then
    return;
  end if;
  if chosen.id is null then
    return;
  end if;

  if chosen.checkpoint is null or chosen.mapping is distinct from md5(mapping::text) then
    delete from caravan.suspect s where s.run = chosen.id;
    chosen.checkpoint := null;
    chosen.started_at := clock_timestamp();
    chosen.notes := '{}';
  end if;
  update caravan.reconciliation r
  set state = 'running', hub = claim_run.hub, alive_at = clock_timestamp(), step = r.step + 1, started_at = chosen.started_at,
    mapping = md5(claim_run.mapping::text), checkpoint = chosen.checkpoint, notes = chosen.notes
  where r.id = chosen.id
  returning r.id, r.step, r.source, r.target, r.reason, r.key, r.dry_run, r.confirmed, r.checkpoint
  into run, step, source, target, reason, key, dry_run, confirmed, checkpoint;
exception
  when unique_violation then
    null;  -- another hub was quicker
end
$$;
comment on function caravan.claim_run is 'The run that a hub is to work for, to compare a client';

-- Notes that a hub goes on with a run; first of all in each transaction that writes for the run. `step` grows; null: the run
-- is no longer this hub's, because another one has gone on with it, or somebody has stopped it.
--   checkpoint    from where another hub could go on; null: from where it could until now
--   rest_percent  one that only verifies has no hurry, and between two parts of a table it rests until it has taken no more
--                 than this share of the time; unless another one was requested meanwhile. Null: it does not rest
create or replace function caravan.keep_on(
  run bigint, hub text, inout step bigint, checkpoint jsonb default null, share numeric default null,
  rest_percent numeric default null, out rests boolean
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  r caravan.reconciliation;
  rests_until timestamptz;
begin
  perform caravan.check_run(run);
  select * into r
  from caravan.reconciliation c
  where c.id = keep_on.run and c.step = keep_on.step and c.hub = keep_on.hub and c.state = 'running'
  for update;
  if not found then
    step := null;
    return;
  end if;
  r.worked := r.worked + (clock_timestamp() - r.alive_at);
  if not caravan.is_requested(r.client) then
    rests_until := r.started_at + r.worked * (100 / nullif(rest_percent, 0))::float8;
  end if;
  update caravan.reconciliation c
  set step = c.step + 1, worked = r.worked, alive_at = greatest(clock_timestamp(), rests_until), failures = 0,
    checkpoint = coalesce(keep_on.checkpoint, c.checkpoint), share = coalesce(keep_on.share, c.share)
  where c.id = keep_on.run
  returning c.step, c.alive_at > clock_timestamp() into step, rests;
end
$$;
comment on function caravan.keep_on is 'Notes that a hub goes on with a run, and from where another one could';

-- Whether a client can be compared at present, by its cursor: it follows this history of central and is filled. Otherwise
-- much may be missing that it is about to get.
create or replace function caravan.is_comparable(cursor jsonb, source text)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(cursor ->> 'epoch' = caravan.epoch() and caravan.is_known(cursor) and not cursor ? 'fill' and (
    select caravan.is_filled_from(s, cursor) from caravan.source s where s.name = is_comparable.source
  ), false)
$$;
comment on function caravan.is_comparable is 'Whether a client that stands at a cursor can be compared';

-- The keys of a source that a client refuses, that break its contract, or that were given up: they are not compared.
create or replace function caravan.refused_keys(client text, source text)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(d.key), '[]')
  from caravan.dead_letter d
  where d.client in (refused_keys.client, '*') and d.source = refused_keys.source and d.key is not null
    and d.state <> 'resolved'
$$;

-- What is wrong with a source whose name another table has taken; null: none has. That the tracked table has only been renamed
-- does no harm.
create or replace function caravan.replaced_by_another(tracked caravan.source)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('%s is another table now than the tracked one, which is called %s: track it', tracked.name, tracked.relation)
  where to_regclass(tracked.name) <> tracked.relation
$$;

-- The digest of the client's own rows in the target of a run, as it last was; null: it is not known.
create or replace function caravan.own_digest(run bigint)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(own_digest.run);
  select v.own
  from caravan.reconciliation r
  join caravan.verification v on v.client = r.client and v.source = r.source and v.target = r.target
  where r.id = own_digest.run
$$;
comment on function caravan.own_digest is 'The digest of a client''s own rows';

-- What a run must know of its source. unfit: why it can't be compared; null: it can.
--   description  key and columns, as a page describes them
--   rows         about how many
--   own          the digest of the client's own rows, as it last was
create or replace function caravan.source_of_run(
  run bigint, out unfit text, out id int, out relation oid, out description jsonb, out rows bigint, out refused text[],
  out own jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  r constant caravan.reconciliation := (select c from caravan.reconciliation c where c.id = source_of_run.run);
  tracked constant caravan.source := (select s from caravan.source s where s.name = r.source);
begin
  perform caravan.check_run(run);
  unfit := case when tracked.id is null then 'it is no longer tracked' else caravan.replaced_by_another(tracked) end;
  if unfit is null then
    id := tracked.id;
    relation := tracked.relation;
    description := caravan.describe(array[r.source]) -> r.source;
    rows := caravan.estimated_rows(tracked);
    refused := array(select jsonb_array_elements(caravan.refused_keys(r.client, r.source))::text);
    own := caravan.own_digest(run);
  end if;
end
$$;
comment on function caravan.source_of_run is 'What a run must know of its source';

-- Those of some types of a client that central lacks.
create or replace function caravan.unknown_types(types text[])
returns text[]
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select array(select t from unnest(types) as t where to_regtype(t) is null)
$$;
comment on function caravan.unknown_types is 'Which of a client''s types central lacks';

-- Keeps the digest of the rows that are the client's own. They seldom change: so a comparison need not tell them from the
-- others, as long as it is right.
create or replace function caravan.keep_own_digest(run bigint, own jsonb)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(keep_own_digest.run);
  update caravan.verification v
  set own = keep_own_digest.own
  from caravan.reconciliation r
  where r.id = keep_own_digest.run and v.client = r.client and v.source = r.source and v.target = r.target
$$;
comment on function caravan.keep_own_digest is 'Keeps the digest of a client''s own rows';

-- Keys of a list, arrays of text, as they are in the log; null where it can't be one of the source's. With the settings of
-- those who write the log.
create or replace function caravan.typed_key(source int, key jsonb)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
as $$
declare
  typed jsonb;
begin
  execute format('select caravan.typed_%s($1)', source) into typed using key;
  return typed;
exception
  when data_exception then
    return null;
end
$$;

-- Suspects keys: those as they are in the log, and those of a list of the client's, each an array of texts as text. What can be
-- no key of the source is none.
create or replace function caravan.suspect_keys(run bigint, keys text[], key_texts text[] default '{}')
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  source constant int := (
    select s.id from caravan.reconciliation r join caravan.source s on s.name = r.source where r.id = suspect_keys.run
  );
begin
  perform caravan.check_run(run);
  insert into caravan.suspect (run, key)
  select suspect_keys.run, k.key
  from (
    select k::jsonb as key from unnest(keys) as k
    union
    select caravan.typed_key(source, to_jsonb(k::text[])) from unnest(key_texts) as k
  ) as k
  where k.key is not null
  on conflict do nothing;
end
$$;
comment on function caravan.suspect_keys is 'Suspects keys that differ in a list';

-- Suspects keys that the client has noted as central's. What is no key of the source would stop all others, were it to be
-- repaired.
create or replace function caravan.suspect_noted(run bigint, keys text[])
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(suspect_noted.run);
  insert into caravan.suspect (run, key)
  select suspect_noted.run, k::jsonb
  from unnest(keys) as k, caravan.reconciliation r
  join caravan.source s on s.name = r.source
  where r.id = suspect_noted.run and k::jsonb = caravan.typed_key(s.id, k::jsonb)
  on conflict do nothing
$$;
comment on function caravan.suspect_noted is 'Suspects keys that the client has noted without having a row';

-- Finds those of the keys that the client has noted as central's which central has no more. What is no key of the source would
-- stop all others, were it to be repaired.
create or replace function caravan.suspect_gone(run bigint, keys text[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  source constant caravan.source := (
    select s from caravan.reconciliation r join caravan.source s on s.name = r.source where r.id = suspect_gone.run
  );
begin
  perform caravan.check_run(run);
  execute format($q$
    insert into caravan.suspect (run, key, verdict, owned)
    select $1, k::jsonb, 'surplus', true
    from unnest($2) as k
    where k::jsonb = caravan.typed_key(%1$s, k::jsonb) and not exists (select from caravan.%2$s_%1$s(k::jsonb))
    on conflict do nothing
  $q$, source.id, case when source.loose then 'spelled' else 'found' end) using run, keys;
end
$$;
comment on function caravan.suspect_gone is 'Finds keys that the client has noted and that are gone from central';

-- The keys that are to be looked at next: those that were not looked at yet, or else those that were changing; at most
-- `most`, and none more than `most_looks` times. And the keys that are not compared.
create or replace function caravan.to_look_at(
  run bigint, most int, most_looks int, out keys text[], out looks int, out refused text[]
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(to_look_at.run);
  select coalesce(array_agg(s.key::text), '{}'), coalesce(min(s.looks), 0), (
      select array(select jsonb_array_elements(caravan.refused_keys(r.client, r.source))::text)
      from caravan.reconciliation r where r.id = to_look_at.run
    )
  from (
    select *
    from caravan.suspect s
    where s.run = to_look_at.run and s.verdict in ('suspected', 'changing') and s.looks < most_looks
    order by s.looks, s.key
    limit most
  ) as s
$$;
comment on function caravan.to_look_at is 'The keys that a run looks at next';

-- What has become known since both sides were looked at: in a later transaction than both looks, so that what could have come
-- between them is in the log by now.
--   changing  those keys of which the log has a change that central's reading or the client's cursor has not seen. All of
--             them if the source was truncated. A cursor that is within a backlog has also seen the entries up to its
--             position there
--   refused   those keys that are not compared
create or replace function caravan.since_look(
  run bigint, keys text[], read pg_snapshot, cursor jsonb,
  out is_comparable boolean, out changing text[], out refused text[]
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- PostgreSQL takes the keys for few
set jit = off
as $$
declare
  r constant caravan.reconciliation := (select c from caravan.reconciliation c where c.id = since_look.run);
  source_id constant int := (select s.id from caravan.source s where s.name = r.source);
  seen constant pg_snapshot := cursor ->> 'snapshot';
  upto constant pg_snapshot := cursor #>> '{window,upto}';
  after constant bigint := cursor #>> '{window,after}';
  unseen jsonb[];
begin
  perform caravan.check_run(run);
  is_comparable := caravan.is_comparable(cursor, r.source);
  if not is_comparable then
    return;
  end if;
  unseen := array(
    select c.key
    from caravan.change c
    where c.source = source_id
      and (c.xid >= least(pg_snapshot_xmax(read), pg_snapshot_xmax(seen))
        or c.xid = any (array(select pg_snapshot_xip(read) union all select pg_snapshot_xip(seen))))
      and not (pg_visible_in_snapshot(c.xid, read) and (pg_visible_in_snapshot(c.xid, seen)
        or coalesce(c.id <= after and pg_visible_in_snapshot(c.xid, upto), false)))
  );
  changing := case when array_position(unseen, null) is not null then keys else array(
    select k from unnest(keys) as k where k::jsonb in (select u from unnest(unseen) as u)
  ) end;
  refused := array(
    select k from unnest(keys) as k where k::jsonb in (select jsonb_array_elements(caravan.refused_keys(r.client, r.source)))
  );
end
$$;
comment on function caravan.since_look is 'What has become known since both sides were looked at';

-- Keeps what was decided about keys: `verdict`, one of those of caravan.suspect or equal; `owned`, whether the client has noted
-- it as central's; `spelled`, the key as central writes it, if in another way: that is suspected, too; `key_text`, the key
-- of the client's row as the client writes it. Returns how many keys are known to differ by now.
create or replace function caravan.judge_keys(
  run bigint, keys text[], verdicts text[], owned boolean[], spelled text[], key_texts text[]
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_nestloop = off  -- PostgreSQL takes the keys for few
set jit = off
as $$
begin
  perform caravan.check_run(run);
  -- A key that central writes in another way: central has no row of this key, and one of the other.
  insert into caravan.suspect (run, key)
  select judge_keys.run, k::jsonb from unnest(judge_keys.spelled) as k where k is not null
  on conflict do nothing;
  update caravan.suspect s
  set looks = s.looks + 1, verdict = j.verdict, owned = j.owned, spelled = j.spelled::jsonb, key_text = j.key_text
  from unnest(judge_keys.keys, judge_keys.verdicts, judge_keys.owned, judge_keys.spelled, judge_keys.key_texts)
    as j (key, verdict, owned, spelled, key_text)
  where s.run = judge_keys.run and s.key = j.key::jsonb;
  -- For the client, too, it is the same key, and the same row.
  delete from caravan.suspect s
  using caravan.suspect as right_one
  where s.run = judge_keys.run and right_one.run = s.run and right_one.key = s.spelled and right_one.key_text = s.key_text;
  delete from caravan.suspect s where s.run = judge_keys.run and s.verdict = 'equal';
  return (
    select count(*)
    from caravan.suspect s
    where s.run = judge_keys.run and s.verdict in ('missing', 'stale', 'surplus', 'orphaned')
  );
end
$$;
comment on function caravan.judge_keys is 'Keeps what was decided about keys';

-- How many keys are what. unnoted: missing or stale, and the client has not noted them as central's.
create or replace function caravan.tally(
  run bigint, out missing bigint, out stale bigint, out surplus bigint, out orphaned bigint, out own bigint,
  out changing bigint, out skipped bigint, out repaired bigint, out "all" bigint, out unnoted bigint
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(tally.run);
  select count(*) filter (where verdict = 'missing'), count(*) filter (where verdict = 'stale'),
    count(*) filter (where verdict = 'surplus'), count(*) filter (where verdict = 'orphaned'),
    count(*) filter (where verdict = 'own'), count(*) filter (where verdict = 'changing'),
    count(*) filter (where verdict = 'skipped'), count(*) filter (where verdict = 'repaired'), count(*),
    count(*) filter (where verdict in ('missing', 'stale') and not owned)
  from caravan.suspect s
  where s.run = tally.run
$$;
comment on function caravan.tally is 'How many of the keys of a run are what';

-- What would be written, for a person to read: without values, which are read when it is.
create or replace function caravan.as_sql(
  run caravan.reconciliation, key jsonb, verdict text, key_columns text[], columns text[]
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case verdict
    when 'missing' then format('insert into %s (%s) values (%s)', run.target,
      array_to_string(key_names || names, ', '),
      array_to_string(key_values || array_fill('…'::text, array[cardinality(names)]), ', '))
    -- The number of a target, as the hub computes it.
    when 'orphaned' then format('delete from caravan.replicated where target = %s and key = %L', ('x' || left(md5(
      convert_to(concat_ws(E'\n', run.client, run.source, run.target, 1), 'UTF8')), 16))::bit(64)::bigint, key)
    when 'surplus' then format('delete from %s where %s', run.target, this_row)
    else format('update %s set %s where %s', run.target, array_to_string(names, ' = …, ') || ' = …', this_row)
  end
  from (
    select array_agg(quote_ident(c) order by n) as key_names,
      array_agg(quote_nullable(key ->> (n - 1)::int) order by n) as key_values,
      string_agg(format('%I = %L', c, key ->> (n - 1)::int), ' and ' order by n) as this_row
    from unnest(key_columns) with ordinality as u (c, n)
  ) as k, (
    select array(select quote_ident(c) from unnest(columns) as c) as names
  ) as v
$$;

-- Keeps what a run has found: how many rows of central were compared, how many rows are what, and the first keys that differ.
-- For a dry run with what would be written to the columns of the target.
create or replace function caravan.keep_findings(
  run bigint, compared bigint, missing bigint, stale bigint, surplus bigint, own bigint, skipped bigint,
  key_columns text[], columns text[], notes text[] default '{}'
)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(keep_findings.run);
  update caravan.reconciliation r
  set compared = keep_findings.compared, missing = keep_findings.missing, stale = keep_findings.stale,
    surplus = keep_findings.surplus, own = keep_findings.own, skipped = keep_findings.skipped,
    notes = r.notes || keep_findings.notes,
    found = (
      select coalesce(jsonb_agg(jsonb_build_object('key', f.key, 'is', f.verdict) || case when r.dry_run
          then jsonb_build_object('sql', caravan.as_sql(r, f.key, f.verdict, key_columns, columns)) else '{}' end), '[]')
      from (
        select s.key, s.verdict
        from caravan.suspect s
        where s.run = r.id and s.verdict in ('missing', 'stale', 'surplus', 'orphaned')
        order by s.verdict, s.key
        limit 300
      ) as f
    )
  where r.id = keep_findings.run
$$;
comment on function caravan.keep_findings is 'Keeps what a run has found';

-- Adds to what a run has to say.
create or replace function caravan.note(run bigint, notes text[])
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(note.run);
  update caravan.reconciliation r set notes = r.notes || note.notes where r.id = note.run
$$;
comment on function caravan.note is 'Adds to what a run has to say';

-- Has what differs repaired: its keys are put into the change log once more. The client's pump reads them anew, in its own
-- order, and applies them as any change. So a repair can't overwrite anything newer.
create or replace function caravan.repair(run bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan.check_run(run);
  delete from caravan.suspect s
  where s.run = repair.run and s.verdict not in ('missing', 'stale', 'surplus', 'orphaned');
  insert into caravan.change (source, key, again)
  select t.id, s.key, true
  from caravan.suspect s
  join caravan.reconciliation r on r.id = s.run
  join caravan.source t on t.name = r.source
  where s.run = repair.run;
  perform caravan.ring('caravan', 'replay');
  update caravan.suspect s set verdict = 'changing', looks = 1 where s.run = repair.run;
end
$$;
comment on function caravan.repair is 'Has what a run found to differ sent once more';

-- Ends a run.
create or replace function caravan.end_run(run bigint, state text, note text default null)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(end_run.run);
  update caravan.reconciliation r
  set state = end_run.state, ended_at = clock_timestamp(), notes = r.notes || array_remove(array[end_run.note], null),
    checkpoint = null
  where r.id = end_run.run;
  delete from caravan.suspect s where s.run = end_run.run
$$;
comment on function caravan.end_run is 'Ends a run';

-- Ends a run that has come through. The client is shown to be equal as of its beginning, if all its rows and columns were
-- compared, and none is refused at present.
create or replace function caravan.finish_run(
  run bigint, is_equal boolean, repaired bigint default 0, skipped bigint default 0, notes text[] default '{}'
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  r caravan.reconciliation;
begin
  perform caravan.check_run(run);
  update caravan.reconciliation c
  set repaired = finish_run.repaired, skipped = c.skipped + finish_run.skipped, notes = c.notes || finish_run.notes
  where c.id = finish_run.run
  returning * into r;
  if is_equal and r.key is null and r.notes = '{}' and not exists (
    select from caravan.dead_letter d
    where d.client in (r.client, '*') and d.source = r.source and d.state in ('retrying', 'open')
  ) and not exists (
    select from caravan.source s where s.name = r.source and caravan.replaced_by_another(s) is not null
  ) then
    update caravan.verification v
    set equal_at = r.started_at
    where v.client = r.client and v.source = r.source and v.target = r.target;
  end if;
  if is_equal and r.key is null and not r.dry_run then
    update caravan.verification v
    set doubt = null, doubted_at = null
    where v.client = r.client and v.source = r.source and v.target = r.target and v.doubted_at < r.started_at;
  end if;
  -- What was repaired may have made room for others.
  if repaired > 0 then
    perform caravan.touch_dependent(r.client);
  end if;
  -- Of those that have only verified, the last one is enough.
  delete from caravan.reconciliation o
  where o.client = r.client and o.source = r.source and o.target = r.target and o.id < r.id
    and (o.reason = 'verify' and o.state in ('done', 'stopped') and o.missing + o.stale + o.surplus = 0
      or o.ended_at < now() - interval '90 days');
  perform caravan.end_run(run, 'done');
end
$$;
comment on function caravan.finish_run is 'Ends a run that has come through';

-- A run in a line; null where it is not worth one.
create or replace function caravan.progress(run bigint)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(progress.run);
  select case
    when r.state = 'running' then
      case when r.share between 0.01 and 0.99
        then format('%s %% of %s compared, about %s s left', round(100 * r.share), r.target,
          ceil((1 - r.share) / r.share * extract(epoch from clock_timestamp() - r.started_at))) end
    when r.reason = 'verify' and r.state <> 'waiting' and r.missing + r.stale + r.surplus = 0 then null
    else concat_ws('. ',
      format('%s: %s rows of %s compared with %s in %s s: %s missing, %s stale, %s surplus, %s repaired, %s skipped',
        r.state, r.compared, r.source, r.target, round(extract(epoch from r.ended_at - r.started_at), 1),
        r.missing, r.stale, r.surplus, r.repaired, r.skipped),
      nullif(array_to_string(r.notes, '. '), ''),
      (select string_agg(e'\n' || (f ->> 'sql') || ';', '') from jsonb_array_elements(r.found) as f))
  end
  from caravan.reconciliation r
  where r.id = progress.run
$$;
comment on function caravan.progress is 'A run in a line, where it is worth one';

-- A run could not go on. It is tried again, but not for ever.
create or replace function caravan.run_failed(run bigint, hub text, cause text)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan.check_run(run_failed.run);
  update caravan.reconciliation c
  set failures = failures + 1, notes = case when failures >= 4 then notes || cause else notes end,
    state = case when failures >= 4 then 'failed' else state end,
    ended_at = case when failures >= 4 then clock_timestamp() end
  where c.id = run_failed.run and c.hub = run_failed.hub and c.state = 'running'
$$;
comment on function caravan.run_failed is 'Counts a failure of a run, and ends it after the fifth';
-- What people ask of reconciling: to have a client compared, to let a run repair, to stop one; and what came of it.

-- Raises what is wrong with a key that somebody asks for. One that is not as in the log would be looked for at the client
-- under another name than it is noted by.
create or replace function caravan.check_requested_key(source text, key jsonb)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  tracked constant caravan.source := (select s from caravan.source s where s.name = check_requested_key.source);
  is_complete constant boolean := jsonb_typeof(key) = 'array' and jsonb_array_length(key) = cardinality(tracked.key)
    and not key @> '[null]';
  typed jsonb;
begin
  if tracked.id is null then
    raise exception '% is not tracked', quote_literal(source)
      using errcode = 'undefined_object',
        hint = 'Tracked are: ' || coalesce((select string_agg(name, ', ') from caravan.source), 'none');
  end if;
  typed := caravan.typed_key(tracked.id, case when is_complete then key
    when cardinality(tracked.key) = 1 and jsonb_typeof(key) not in ('array', 'object', 'null') then jsonb_build_array(key) end);
  if not is_complete or typed is distinct from key then
    raise exception '% is no key of %', key, source
      using errcode = 'invalid_parameter_value',
        hint = format('A key is a JSON array of the values of (%s), as in the change log', array_to_string(tracked.key, ', '))
          || coalesce(', e.g. ' || case when not typed @> '[null]' then typed::text end, '') || '.';
  end if;
end
$$;

-- Has a client compared with central: all that it maps, or one source, or one key of it. Differences are repaired, unless
-- it is a dry run. Returns the runs, rows of caravan.reconciliation. For a client of which no hub has told yet, as when it
-- has just been started, the request waits until one does.
create or replace function caravan.reconcile(
  client text, source text default null, key jsonb default null, dry_run boolean default false
)
returns setof bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if key is not null and source is null then
    raise exception 'a key needs its source'
      using errcode = 'invalid_parameter_value', hint = 'select caravan.reconcile(''blog'', ''public.users'', ''[42]'')';
  elsif key is not null then
    perform caravan.check_requested_key(source, key);
  end if;
  return query
    insert into caravan.reconciliation (client, source, target, reason, key, dry_run)
    select v.client, v.source, v.target, 'request', reconcile.key, reconcile.dry_run
    from caravan.verification v
    where v.client = reconcile.client and (reconcile.source is null or v.source = reconcile.source)
    returning id;
  if not found and not exists (select from caravan.verification v where v.client = reconcile.client) then
    return query
      insert into caravan.reconciliation (client, source, target, reason, key, dry_run)
      values (reconcile.client, coalesce(reconcile.source, '*'), '*', 'request', reconcile.key, reconcile.dry_run)
      returning id;
    raise warning 'no hub has told of a client % yet: the request waits for it', client;
  elsif not found then
    raise exception 'no hub maps % to the client %', source, client
      using errcode = 'no_data_found', hint = 'table caravan.verification';
  end if;
  perform caravan.ask_hub('reconcile');
end
$$;
comment on function caravan.reconcile is 'Has a client compared with central, and what differs repaired';

-- Lets a run repair, though much differs. It compares once more before.
create or replace function caravan.confirm(run bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update caravan.reconciliation r
  set state = 'requested', confirmed = true, checkpoint = null, ended_at = null
  where r.id = confirm.run and r.state = 'waiting';
  if not found then
    raise exception 'the run % does not wait', run using errcode = 'no_data_found', hint = 'table caravan.reconciliations';
  end if;
  perform caravan.ask_hub('reconcile');
end
$$;
comment on function caravan.confirm is 'Lets a run repair, though much differs';

-- Stops a run, or one that waits. What it has sent already is applied.
create or replace function caravan.stop(run bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update caravan.reconciliation r
  set state = 'stopped', ended_at = clock_timestamp(), checkpoint = null
  where r.id = stop.run and r.state in ('requested', 'running', 'waiting');
  if not found then
    raise exception 'the run % has ended', run using errcode = 'no_data_found', hint = 'table caravan.reconciliations';
  end if;
  delete from caravan.suspect s where s.run = stop.run;
end
$$;
comment on function caravan.stop is 'Stops a run that reconciles a client';

create or replace view caravan.reconciliations as
select id, client, source, target, reason, key, dry_run, state, started_at,
  coalesce(ended_at, now()) - started_at as took, case state when 'running' then round(share, 2) end as share,
  compared, round(compared / greatest(extract(epoch from coalesce(ended_at, now()) - started_at), 0.001)) as rows_per_second,
  missing, stale, surplus, own, repaired, skipped, notes, found
from caravan.reconciliation
order by id desc;
comment on view caravan.reconciliations is 'Comparisons of clients with central, the newest first';

create or replace view caravan.verified as
select client, case when bool_and(equal_at is not null) then min(equal_at) end as equal_as_of
from caravan.verification
group by client
order by client;
comment on view caravan.verified is 'Until when each client was shown to be equal to central; null: never yet';
-- Who may do what. The tables are private. track and untrack are for the owner of the schema, who need not be a superuser.
revoke execute on all functions in schema caravan from public;
do $$
declare
  open_to_all regprocedure;
  role text;
begin
  -- See 32-capture.sql; and 31-find.sql: these find only what their caller may read.
  for open_to_all in
    select oid from pg_proc
    where pronamespace = 'caravan'::regnamespace
      and (proname ~ '^log_(insert|update|delete)_[0-9]+$' and pronargs > 0 or proname ~ '^(found|spelled|scan)_[0-9]+$')
  loop
    execute format('grant execute on function %s to public', open_to_all);
  end loop;

  foreach role in array array['caravan_hub', 'caravan_limited_hub'] loop
    continue when to_regrole(role) is null;
    execute format('grant usage on schema caravan to %I', role);
    execute format('grant execute on function caravan.version to %I', role);
    execute format('grant execute on function caravan.read, caravan.bury, caravan.resolve, caravan.clean, caravan.sources,
      caravan.fall_asleep, caravan.wake_up, caravan.news, caravan.k, caravan.descriptions, caravan.resend, caravan.find_problems,
      caravan.measure to %I', role);
    execute format('grant execute on function caravan.claim_run, caravan.keep_on, caravan.is_comparable, caravan.source_of_run,
      caravan.unknown_types, caravan.own_digest, caravan.keep_own_digest, caravan.suspect_keys, caravan.suspect_noted,
      caravan.suspect_gone, caravan.to_look_at, caravan.since_look, caravan.judge_keys, caravan.tally, caravan.keep_findings,
      caravan.note, caravan.repair, caravan.end_run, caravan.finish_run, caravan.progress, caravan.run_failed,
      caravan.doubt to %I', role);
    execute format('grant select on caravan.problems to %I', role);
    execute format('grant execute on function caravan.shows_all_of to %I', role);
    execute format('grant select on caravan.log, caravan.tracked, caravan.refusing, caravan.history, caravan.life,
      caravan.cleaning, caravan.milestone to %I', role);
    execute format('grant select (id, xid) on caravan.change to %I', role);
    execute format('grant execute on function caravan.type_named to %I', role);
  end loop;

  if to_regrole('caravan_hub') is not null then
    grant select on caravan.change to caravan_hub;  -- what caravan.log keeps from others, without its price
  end if;

  if to_regrole('caravan_operator') is not null then
    grant usage on schema caravan to caravan_operator;
    grant select on caravan.source, caravan.change, caravan.dead_letter, caravan.dead_letters, caravan.cleaning,
      caravan.milestone, caravan.reconciliation, caravan.reconciliations, caravan.verification, caravan.verified,
      caravan.problems, caravan.migration to caravan_operator;
    grant execute on function caravan.version, caravan.replay, caravan.give_up, caravan.reconcile, caravan.confirm, caravan.stop,
      caravan.find_problems to caravan_operator;
  end if;
end
$$;

-- What others were granted before; see version.sql.
do $$
declare
  before record;
begin
  for before in
    select *
    from jsonb_to_recordset(current_setting('caravan.granted')::jsonb) as g (function text, view text, role text)
  loop
    if to_regprocedure(before.function) is not null then
      execute format('grant execute on function %s to %s', before.function, before.role);
    elsif to_regclass(before.view) is not null then
      execute format('grant select on %s to %s', before.view, before.role);
    else
      raise warning '% was granted what is no longer there: %', before.role, coalesce(before.function, before.view);
    end if;
  end loop;
end
$$;

-- Who installs may be allowed what the owner of the schema is not: to change the tables of the sources.
do $$
begin
  perform set_config('role', current_setting('caravan.installer'), true);
  perform caravan.make_again();
end
$$;
