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

-- The key comes first, for it is what differs from row to row, and bytes are compared quicker than words.
create table if not exists caravan.owned (
  client text collate "C" not null,
  target text collate "C" not null,
  source text collate "C" not null,
  key    jsonb not null,
  constraint owned_pk primary key (key, source, target, client)
);
comment on table caravan.owned is 'Keys of the rows that came from central, for tables that also have rows of their own';

create table if not exists caravan.prepared (
  id       bigint generated always as identity,
  client   text not null,
  source   text not null,
  made_for text not null,
  targets  jsonb not null,
  constraint prepared_pk primary key (client, source)
);
comment on table caravan.prepared is 'What a mapping comes to, so that it is not worked out for each page; the functions upsert_<id>_<n> and remove_<id>_<n> are part of it';
comment on column caravan.prepared.made_for is 'A digest of what it depends on: mapping, source and tables; empty: it is to be worked out anew';
