-- Comparing is a program of the hub, which brings its statements. What it had here before goes.
do $$
declare
  old regprocedure;
begin
  for old in
    select oid from pg_proc
    where pronamespace = 'caravan'::regnamespace and proname = any (array[
      'answer', 'answer_under', 'chained_hash', 'comparable', 'digest', 'equality', 'has_value',
      'in_order', 'is_integer', 'is_trusted', 'join_stretches', 'key_hash', 'key_values', 'list',
      'look_up', 'mapped_rows', 'mapped_values', 'neighbours_hash', 'no_cast_to', 'part_of', 'prepare',
      'row_hash', 'run_under', 'stretches', 'value_in_key'
    ])
  loop
    execute format('drop function %s', old);
  end loop;
end
$$;

-- The type of this name; null: there is none. The hub need not have any rights on the type's schema.
create or replace function caravan.type_named(name text)
returns oid
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select to_regtype(name)
$$;
