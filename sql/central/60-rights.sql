-- Who may do what. The tables are private. track and untrack are for the owner of the schema.
do $$
begin
  if not exists (select from pg_roles where rolname = 'caravan_hub') then
    create role caravan_hub nologin;
    comment on role caravan_hub is 'May run what Caravan''s hub needs; grant it to the user that the hub connects as';
  end if;
end
$$;

revoke execute on all functions in schema caravan from public;
grant usage on schema caravan to caravan_hub;
grant execute on function caravan.read, caravan.bury, caravan.resolve to caravan_hub;
