-- The roles that others are made members of; see rights.sql. Whoever installs makes them, and need not be able to.
do $$
declare
  role text;
  what text;
begin
  for role, what in
    values ('caravan_hub', 'May run what Caravan''s hub needs; grant it to the user that the hub connects as'),
      ('caravan_limited_hub', 'Like caravan_hub, but limited to the sources and clients that caravan.allow grants'),
      ('caravan_operator', 'May look after Caravan: read its tables, replay and give up dead letters, reconcile clients')
  loop
    if to_regrole(role) is null then
      begin
        execute format('create role %I nologin', role);
        execute format('comment on role %I is %L', role, what);
      exception
        when insufficient_privilege then
          raise warning 'there is no role %, and % may not make it', role, current_user
            using hint = format('Have an administrator run: create role %I nologin. Then install Caravan again.', role);
      end;
    end if;
  end loop;
end
$$;
