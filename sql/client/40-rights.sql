-- Who may do what. The functions run with the rights of who calls them: the user that the hub connects as is granted
-- caravan_hub, and the DML on the tables of its mapping.
revoke execute on all functions in schema caravan from public;
do $$
begin
  if to_regrole('caravan_hub') is null then
    begin
      create role caravan_hub nologin;
      comment on role caravan_hub is 'May run what Caravan''s hub needs; grant it to the user that the hub connects as';
    exception
      when insufficient_privilege then
        raise warning 'there is no role caravan_hub, and % may not make it', current_user
          using hint = 'An administrator does: create role caravan_hub nologin. Then install Caravan again.';
        return;
    end;
  end if;
  grant usage on schema caravan to caravan_hub;
  grant execute on all functions in schema caravan to caravan_hub;
end
$$;
