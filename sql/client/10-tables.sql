-- What Caravan keeps in a client's database: how far it has come, and which of its rows came from central.
create schema if not exists caravan;
comment on schema caravan is 'Keeps tables of this database in step with a central one';

-- Its functions are made anew; those that are no longer needed go.
do $$
declare
  function regprocedure;
begin
  for function in select oid from pg_proc where pronamespace = 'caravan'::regnamespace loop
    execute format('drop function %s', function);
  end loop;
end
$$;
drop table if exists caravan.prepared;

create table if not exists caravan.cursor (
  client     text not null,
  step       bigint not null default 0,
  cursor     jsonb,
  applied_at timestamptz not null default now(),
  tables     jsonb,
  constraint cursor_pk primary key (client)
);
alter table caravan.cursor add column if not exists tables jsonb;
comment on table caravan.cursor is 'How far each client in this database has come; delete a row to have that client filled anew';
comment on column caravan.cursor.tables is 'Which tables it has, by their ids; one that was made anew is filled again';
comment on column caravan.cursor.step is 'Grows with each page, and is never met twice; a page made for another step is not written';

create table if not exists caravan.target (
  id       int generated always as identity,
  client   text not null,
  source   text not null,
  relation text not null,
  entry    int not null default 1,
  constraint target_pk primary key (id),
  constraint target_entries unique (client, source, relation, entry)
);
-- An older install takes one source to one table by one entry only.
do $$
begin
  if exists (select from pg_constraint where conrelid = 'caravan.target'::regclass and conname = 'target_names') then
    alter table caravan.target
      add column entry int not null default 1,
      drop constraint target_names,
      add constraint target_entries unique (client, source, relation, entry);
  end if;
end
$$;
comment on column caravan.target.entry is 'Which of the entries that take this source to this table';
comment on table caravan.target is 'The tables that sources are mapped to, as the mappings name them';

-- The key comes first, for it is what differs from row to row.
create table if not exists caravan.owned (
  target int not null,
  key    jsonb not null,
  constraint owned_pk primary key (key, target)
);
comment on table caravan.owned is 'Keys of the rows that came from central, for tables that also have rows of their own';
comment on column caravan.owned.target is 'caravan.target.id';
