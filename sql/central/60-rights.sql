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
  caravan.wake_up, caravan.news, caravan.k, caravan.next_run, caravan.judge, caravan.run_failed to caravan_hub;
-- What the hub needs to compute rows as a client holds them: with its own rights, over the views rows_N.
grant execute on function caravan.answer, caravan.answer_under, caravan.prepare, caravan.mapped_rows, caravan.mapped_values,
  caravan.key_values, caravan.equality, caravan.chained_hash, caravan.key_hash, caravan.row_hash, caravan.part_of,
  caravan.is_integer, caravan.neighbours_hash, caravan.stretches, caravan.join_stretches, caravan.in_order,
  caravan.digest, caravan.list, caravan.run_under, caravan.look_up, caravan.is_trusted, caravan.comparable,
  caravan.key_value, caravan.has_value, caravan.type_named to caravan_hub;
grant select on caravan.source, caravan.change, caravan.dead_letter, caravan.dead_letters, caravan.cleaning,
  caravan.milestone, caravan.reconciliation, caravan.reconciliations, caravan.verification, caravan.verified
  to caravan_operator;
grant execute on function caravan.replay, caravan.give_up, caravan.reconcile, caravan.confirm, caravan.stop to caravan_operator;
