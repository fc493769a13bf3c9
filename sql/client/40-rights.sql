-- Who may do what. The functions run with the rights of who calls them: the user that the hub connects as is granted
-- caravan_hub, and the DML on the tables of its mapping.
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
grant execute on all functions in schema caravan to caravan_hub;
grant select, insert on caravan.target to caravan_hub;
grant select, insert, update, delete on caravan.cursor, caravan.owned, caravan.prepared to caravan_hub;
