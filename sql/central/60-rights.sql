-- Who may do what. The tables are private. track and untrack are for the owner of the schema.
do $$
begin
  if not exists (select from pg_roles where rolname = 'caravan_hub') then
    create role caravan_hub nologin;
    comment on role caravan_hub is 'May run what Caravan''s hub needs; grant it to the user that the hub connects as';
  end if;
  if not exists (select from pg_roles where rolname = 'caravan_operator') then
    create role caravan_operator nologin;
    comment on role caravan_operator is 'May look after Caravan: read its tables, replay and give up dead letters';
  end if;
end
$$;

revoke execute on all functions in schema caravan from public;
grant usage on schema caravan to caravan_hub, caravan_operator;
grant execute on function caravan.read, caravan.bury, caravan.resolve, caravan.clean, caravan.sources, caravan.fall_asleep,
  caravan.wake_up, caravan.news, caravan.k to caravan_hub;
grant select on all tables in schema caravan to caravan_operator;
grant execute on function caravan.replay, caravan.give_up to caravan_operator;
