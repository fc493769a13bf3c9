-- What a run has found, and how it is repaired.

-- What would be written, for a person to read: without values, which are read when it is.
create or replace function caravan_internal.as_sql(
  run caravan.reconciliation, key jsonb, verdict text, key_columns text[], columns text[]
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case verdict
    when 'missing' then format('insert into %s (%s) values (%s)', run.target,
      array_to_string(key_names || names, ', '),
      array_to_string(key_values || array_fill('…'::text, array[cardinality(names)]), ', '))
    -- The number of a target, as the hub computes it.
    when 'orphaned' then format('delete from caravan.replicated where target = %s and coalesce(spelled, canonical_key) = %L',
      ('x' || left(md5(
        convert_to(concat_ws(E'\n', run.client, run.source, run.target, 1), 'UTF8')
      ), 16))::bit(64)::bigint, key)
    when 'surplus' then format('delete from %s where %s', run.target, this_row)
    else format('update %s set %s where %s', run.target, array_to_string(names, ' = …, ') || ' = …', this_row)
  end
  from (
    select array_agg(quote_ident(c) order by n) as key_names,
      array_agg(quote_nullable(key ->> (n - 1)::int) order by n) as key_values,
      string_agg(format('%I = %L', c, key ->> (n - 1)::int), ' and ' order by n) as this_row
    from unnest(key_columns) with ordinality as u (c, n)
  ) as k, (
    select array(select quote_ident(c) from unnest(columns) as c) as names
  ) as v
$$;

-- Keeps what a run has found: how many rows of central were compared, how many rows are what, and the first keys that differ.
-- For a dry run with what would be written to the columns of the target.
create or replace function caravan_internal.keep_findings(
  run bigint, compared bigint, missing bigint, stale bigint, surplus bigint, local bigint, skipped bigint,
  key_columns text[], columns text[], notes text[] default '{}'
)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(keep_findings.run);
  update caravan.reconciliation r
  set compared = keep_findings.compared, missing = keep_findings.missing, stale = keep_findings.stale,
    surplus = keep_findings.surplus, local = keep_findings.local, skipped = keep_findings.skipped,
    notes = r.notes || keep_findings.notes,
    found = (
      select coalesce(jsonb_agg(jsonb_build_object('key', f.key, 'is', f.verdict) || case when r.dry_run
          then jsonb_build_object('sql', caravan_internal.as_sql(r, f.key, f.verdict, key_columns, columns)) else '{}' end), '[]')
      from (
        select s.key, s.verdict
        from caravan_internal.suspect s
        where s.run = r.id and s.verdict in ('missing', 'stale', 'surplus', 'orphaned')
        order by s.verdict, s.key
        limit 300
      ) as f
    )
  where r.id = keep_findings.run
$$;
comment on function caravan_internal.keep_findings is 'Keeps what a run has found';

-- Adds to what a run has to say.
create or replace function caravan_internal.note(run bigint, notes text[])
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(note.run);
  update caravan.reconciliation r set notes = r.notes || note.notes where r.id = note.run
$$;
comment on function caravan_internal.note is 'Adds to what a run has to say';

-- A run in a line; null where it is not worth one.
create or replace function caravan_internal.progress(run bigint)
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select caravan_internal.check_run(progress.run);
  select case
    when r.state = 'running' then
      case when r.share between 0.01 and 0.99
        then format('%s %% of %s compared, about %s s left', round(100 * r.share), r.target,
          ceil((1 - r.share) / r.share * extract(epoch from clock_timestamp() - r.started_at))) end
    when r.reason = 'verify' and r.state <> 'waiting' and r.missing + r.stale + r.surplus = 0 then null
    else concat_ws('. ',
      format('%s: %s rows of %s compared with %s in %s s: %s missing, %s stale, %s surplus, %s repaired, %s skipped',
        r.state, r.compared, r.source, r.target, round(extract(epoch from r.ended_at - r.started_at), 1),
        r.missing, r.stale, r.surplus, r.repaired, r.skipped),
      nullif(array_to_string(r.notes, '. '), ''),
      (select string_agg(e'\n' || (f ->> 'sql') || ';', '') from jsonb_array_elements(r.found) as f))
  end
  from caravan.reconciliation r
  where r.id = progress.run
$$;
comment on function caravan_internal.progress is 'A run in a line, where it is worth one';

-- Has what differs repaired: its keys are put into the change log once more. The client's pump reads them again, in its own
-- order, and applies them as any change. So a repair can't overwrite anything newer.
create or replace function caravan_internal.repair(run bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan_internal.check_run(run);
  delete from caravan_internal.suspect s
  where s.run = repair.run and s.verdict not in ('missing', 'stale', 'surplus', 'orphaned');
  insert into caravan.change (source, key, again)
  select t.id, s.key, true
  from caravan_internal.suspect s
  join caravan.reconciliation r on r.id = s.run
  join caravan.source t on t.name = r.source
  where s.run = repair.run;
  perform caravan_internal.ring('caravan', 'replay');
  update caravan_internal.suspect s set verdict = 'changing', checks = 1 where s.run = repair.run;
end
$$;
comment on function caravan_internal.repair is 'Has what a run found to differ sent once more';
