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

create table if not exists caravan.owned (
  client text not null,
  target text not null,
  source text not null,
  key    jsonb not null,
  constraint owned_pk primary key (client, target, source, key)
);
comment on table caravan.owned is 'Keys of the rows that came from central, for tables that also have rows of their own';
