-- What install.sql of an older release made of a client's database, but for the bodies of its functions.
create schema caravan;
create table caravan.cursor (
  client     text not null,
  step       bigint not null default 0,
  cursor     jsonb,
  applied_at timestamptz not null default now(),
  constraint cursor_pk primary key (client)
);
create table caravan.target (
  id       int generated always as identity,
  client   text not null,
  source   text not null,
  relation text not null,
  constraint target_pk primary key (id),
  constraint target_names unique (client, source, relation)
);
create table caravan.owned (
  target int not null,
  key    jsonb not null,
  constraint owned_pk primary key (key, target)
);
create function caravan.column_type(relation regclass, column_name text) returns text language sql as $$ select '' $$;
do $$
begin
  if to_regrole('caravan_hub') is null then
    create role caravan_hub nologin;
  end if;
end
$$;
grant usage on schema caravan to caravan_hub;
grant execute on all functions in schema caravan to caravan_hub;
grant select, insert on caravan.target to caravan_hub;
grant select, insert, update, delete on caravan.cursor, caravan.owned to caravan_hub;
