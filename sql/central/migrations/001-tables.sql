-- What Caravan keeps in central: which tables are sources, and which of their keys changed. An install from before there were
-- migrations has most of it, and gets what it lacks.
-- Relies on: where a column or an index is there already, nobody is kept waiting who writes to the log.
do $migration$
begin
  if not caravan_internal.begins(1, 'the tables') then
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
  comment on column caravan.reconciliation.alive_at is 'When its hub was last heard of';
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
