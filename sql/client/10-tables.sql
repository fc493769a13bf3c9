-- The hub makes its tables by itself. What follows these lines is what comparing asks of a client.
create schema if not exists caravan;

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
