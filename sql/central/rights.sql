-- Who may do what. A hub may use both schemas, and the operator only caravan. track, untrack and allow are for the owner of
-- the schemas, who need not be a superuser. Who writes to a source needs no right here.
revoke execute on all functions in schema caravan, caravan_internal from public;
do $$
declare
  -- In the order of the files.
  called_by_hubs constant text[] := '{
    sleep_lock, fall_asleep, wake_up, changes_since, shows_all_of, sources, descriptions, read, refusing_clients, find_problems, measure,
    store_dead_letters, resolve, resend, compact, doubt, claim_run, keep_on, type_named, unknown_types, is_comparable, local_digest,
    keep_local_digest, source_of_run, suspect_keys, suspect_noted, suspect_gone, keys_to_check, changed_since_check,
    keep_verdicts, tally, keep_findings, note, progress, repair, end_run, finish_run, run_failed}';
  called regprocedure;
  role text;
begin
  -- See capture.sql; and rows.sql: these find only what their caller may read. Some were made before there was a schema
  -- caravan_internal.
  for called in
    select oid from pg_proc
    where pronamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace) and prorettype <> 'trigger'::regtype
      and proname ~ '^(log_insert|log_update|log_delete|found|spelled|scan)_[0-9]+$'
  loop
    execute format('grant execute on function %s to public', called);
  end loop;

  foreach role in array array['caravan_hub', 'caravan_limited_hub'] loop
    continue when to_regrole(role) is null;
    execute format('grant usage on schema caravan, caravan_internal to %I', role);
    execute format('grant execute on function caravan.version to %I', role);
    execute format('grant select on caravan.problems to %I', role);
    execute format('grant select (id, xid) on caravan.change to %I', role);
    execute format('grant select on caravan_internal.log, caravan_internal.tracked, caravan_internal.refusing,
      caravan_internal.history, caravan_internal.incarnation, caravan_internal.compaction, caravan_internal.watermark to %I', role);
    for called in
      select oid from pg_proc where pronamespace = 'caravan_internal'::regnamespace and proname = any (called_by_hubs)
    loop
      execute format('grant execute on function %s to %I', called, role);
    end loop;
  end loop;

  if to_regrole('caravan_hub') is not null then
    grant select on caravan.change to caravan_hub;  -- what caravan_internal.log keeps from others, without its price
  end if;

  if to_regrole('caravan_operator') is not null then
    grant usage on schema caravan to caravan_operator;
    grant select on all tables in schema caravan to caravan_operator;
    grant execute on function caravan.version, caravan.replay, caravan.give_up, caravan.reconcile, caravan.confirm, caravan.stop,
      caravan_internal.find_problems to caravan_operator;
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
      raise warning '% had a grant on %, which no longer exists', before.role, coalesce(before.function, before.view);
    end if;
  end loop;
end
$$;

-- Who installs may be allowed what the owner of the schema is not: to change the tables of the sources.
do $$
begin
  perform set_config('role', current_setting('caravan.installer'), true);
  perform caravan_internal.make_again();
end
$$;
