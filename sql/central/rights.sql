-- Who may do what. The tables are private. track and untrack are for the owner of the schema, who need not be a superuser.
revoke execute on all functions in schema caravan from public;
do $$
declare
  open_to_all regprocedure;
  role text;
begin
  -- See capture.sql; and rows.sql: these find only what their caller may read.
  for open_to_all in
    select oid from pg_proc
    where pronamespace = 'caravan'::regnamespace
      and (proname ~ '^log_(insert|update|delete)_[0-9]+$' and pronargs > 0 or proname ~ '^(found|spelled|scan)_[0-9]+$')
  loop
    execute format('grant execute on function %s to public', open_to_all);
  end loop;

  foreach role in array array['caravan_hub', 'caravan_limited_hub'] loop
    continue when to_regrole(role) is null;
    execute format('grant usage on schema caravan to %I', role);
    execute format('grant execute on function caravan.version to %I', role);
    execute format('grant execute on function caravan.read, caravan.bury, caravan.resolve, caravan.clean, caravan.sources,
      caravan.fall_asleep, caravan.wake_up, caravan.news, caravan.k, caravan.descriptions, caravan.resend, caravan.find_problems,
      caravan.measure to %I', role);
    execute format('grant execute on function caravan.claim_run, caravan.keep_on, caravan.is_comparable, caravan.source_of_run,
      caravan.unknown_types, caravan.own_digest, caravan.keep_own_digest, caravan.suspect_keys, caravan.suspect_noted,
      caravan.suspect_gone, caravan.to_look_at, caravan.since_look, caravan.judge_keys, caravan.tally, caravan.keep_findings,
      caravan.note, caravan.repair, caravan.end_run, caravan.finish_run, caravan.progress, caravan.run_failed,
      caravan.doubt to %I', role);
    execute format('grant select on caravan.problems to %I', role);
    execute format('grant execute on function caravan.shows_all_of to %I', role);
    execute format('grant select on caravan.log, caravan.tracked, caravan.refusing, caravan.history, caravan.life,
      caravan.cleaning, caravan.milestone to %I', role);
    execute format('grant select (id, xid) on caravan.change to %I', role);
    execute format('grant execute on function caravan.type_named to %I', role);
  end loop;

  if to_regrole('caravan_hub') is not null then
    grant select on caravan.change to caravan_hub;  -- what caravan.log keeps from others, without its price
  end if;

  if to_regrole('caravan_operator') is not null then
    grant usage on schema caravan to caravan_operator;
    grant select on caravan.source, caravan.change, caravan.dead_letter, caravan.dead_letters, caravan.cleaning,
      caravan.milestone, caravan.reconciliation, caravan.reconciliations, caravan.verification, caravan.verified,
      caravan.problems, caravan.migration to caravan_operator;
    grant execute on function caravan.version, caravan.replay, caravan.give_up, caravan.reconcile, caravan.confirm, caravan.stop,
      caravan.find_problems to caravan_operator;
  end if;
end
$$;

-- What others were granted before; see version.sql.
do $$
declare
  before record;
begin
  for before in
    select *
    from jsonb_to_recordset(current_setting('caravan.granted')::jsonb) as g (function text, view text, role text)
  loop
    if to_regprocedure(before.function) is not null then
      execute format('grant execute on function %s to %s', before.function, before.role);
    elsif to_regclass(before.view) is not null then
      execute format('grant select on %s to %s', before.view, before.role);
    else
      raise warning '% was granted what is no longer there: %', before.role, coalesce(before.function, before.view);
    end if;
  end loop;
end
$$;

-- Who installs may be allowed what the owner of the schema is not: to change the tables of the sources.
do $$
begin
  perform set_config('role', current_setting('caravan.installer'), true);
  perform caravan.make_again();
end
$$;
