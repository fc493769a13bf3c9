-- What Caravan keeps in a client's database: how far it has come, and which of its rows came from central.
create schema if not exists caravan;
comment on schema caravan is 'Keeps tables of this database in step with a central one';

create table if not exists caravan.cursor (
  client     text not null,
  step       bigint not null default 0,
  cursor     jsonb,
  applied_at timestamptz not null default now(),
  constraint cursor_pk primary key (client)
);
comment on table caravan.cursor is 'How far each client in this database has come; delete a row to have that client filled anew';
comment on column caravan.cursor.step is 'Grows with each page, and is never met twice; a page made for another step is not written';

create table if not exists caravan.target (
  id       int generated always as identity,
  client   text not null,
  source   text not null,
  relation text not null,
  constraint target_pk primary key (id),
  constraint target_names unique (client, source, relation)
);
comment on table caravan.target is 'The tables that sources are mapped to, as the mappings name them';

-- The key comes first, for it is what differs from row to row.
create table if not exists caravan.owned (
  target int not null,
  key    jsonb not null,
  constraint owned_pk primary key (key, target)
);
comment on table caravan.owned is 'Keys of the rows that came from central, for tables that also have rows of their own';
comment on column caravan.owned.target is 'caravan.target.id';

create table if not exists caravan.prepared (
  id          bigint generated always as identity,
  client      text not null,
  source      text not null,
  n           int not null,
  mapping     jsonb,
  description jsonb not null,
  target      int not null,
  relation    text not null,
  file        oid,
  clear       text not null,
  park        text,
  filtered    boolean not null,
  cascades    boolean not null,
  constraint prepared_pk primary key (client, source, n)
);
comment on table caravan.prepared is 'What a target of a mapping comes to, so that it is not worked out for each page; the functions upsert_<id> and remove_<id> are part of it';
comment on column caravan.prepared.n is 'The order of the client''s targets, parents first';
comment on column caravan.prepared.mapping is 'What it was worked out for; null: it is to be worked out anew';
comment on column caravan.prepared.description is 'What it was worked out for: the source''s key and columns';
comment on column caravan.prepared.file is 'What it was worked out for: the table. One that is made anew or rewritten, as for a column of another type, has another file';
