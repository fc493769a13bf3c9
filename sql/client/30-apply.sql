-- Applying: a page of changes becomes rows, and the cursor moves with them, in one transaction.

-- What runs the statements of a mapping does so under the search_path of the caller, which caravan.apply notes: what the
-- client's own triggers name is found as it is for anybody else who writes to its tables.
-- Relies on: where a function sets a variable, set_config(…, is_local => true) within it lasts until its end.

-- Makes the functions that write to the targets of a source, caravan.upsert_<id>_<n> and caravan.remove_<id>_<n>, and drops
-- those that are no longer needed. PostgreSQL keeps the plans of their statements, and an EXECUTE would plan each anew.
-- Relies on: they run with the rights of who calls them, as a statement of his own would.
create or replace function caravan.make_writers(id bigint, statements jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  body constant text := e'#variable_conflict use_column\ndeclare "caravan.rows" bigint;\nbegin\n%s;\n'
    'get diagnostics "caravan.rows" = row_count;\n%s\nreturn "caravan.rows";\nend';
  made text[] := '{}';
  name text;
  code text;
  old oid;
begin
  for name, code in
    select kind || '_' || make_writers.id || '_' || (s ->> 'n'), format(body, s ->> kind, case kind when 'upsert' then (s ->> 'own') || ';' end)
    from jsonb_array_elements(statements) as s, unnest('{upsert,remove}'::text[]) as kind
  loop
    made := made || name;
    old := to_regprocedure(format('caravan.%I(jsonb, text, text, text)', name));
    if code is distinct from (select prosrc from pg_proc where oid = old) then
      execute format('create or replace function caravan.%I(jsonb, text, text, text) returns bigint language plpgsql as %L', name, code);
      execute format('revoke execute on function caravan.%I from public', name);
      execute format('grant execute on function caravan.%I to caravan_hub', name);
    end if;
  end loop;
  for name in
    select proname
    from pg_proc
    where pronamespace = 'caravan'::regnamespace and proname ~ format('^(upsert|remove)_%s_[0-9]+$', make_writers.id)
      and proname <> all (made)
  loop
    execute format('drop function caravan.%I', name);
  end loop;
end
$$;

-- What a page that brings changes of one source is applied with: [{"target", "n", "clear", …}], the statements of each
-- target, and the order `n` of the targets, parents first. It is kept for the next page.
create or replace function caravan.prepared(client text, mapping jsonb, source text, description jsonb)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  -- A table that is made anew or rewritten, as for a column of another type, has another file.
  for_this constant text := (
    select md5(concat(mapping, description, string_agg(pg_relation_filenode(to_regclass(t ->> 'table'))::text, ',' order by p)))
    from jsonb_array_elements(mapping) with ordinality as m (t, p)
    where t ->> 'source' = prepared.source
  );
  made jsonb := (
    select p.targets
    from caravan.prepared p
    where p.client = prepared.client and p.source = prepared.source and p.made_for = for_this
  );
  number bigint;
begin
  if made is null then
    select coalesce(jsonb_agg(to_jsonb(s) || jsonb_build_object('source', prepared.source, 'target', target -> 'table', 'n', n)), '[]')
    into made
    from (select target, row_number() over (order by depth, "position") as n from caravan.targets(mapping)) as t
    cross join lateral caravan.statements(target, description) as s
    where target ->> 'source' = prepared.source;
    insert into caravan.prepared as p (client, source, made_for, targets)
    values (prepared.client, prepared.source, for_this, '[]')
    on conflict on constraint prepared_pk do update set made_for = excluded.made_for
    returning p.id into number;
    perform caravan.make_writers(number, made);
    made := (
      select coalesce(jsonb_agg(s - 'own' || jsonb_build_object(
        'upsert', format('select caravan.upsert_%s_%s($1, $2, $3, $4)', number, s -> 'n'),
        'remove', format('select caravan.remove_%s_%s($1, $2, $3, $4)', number, s -> 'n'))), '[]')
      from jsonb_array_elements(made) as s
    );
    update caravan.prepared p set targets = made where p.id = number;
  end if;
  return made;
end
$$;

-- The same for all sources of a page.
create or replace function caravan.prepared(client text, mapping jsonb, sources jsonb)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  name text;
  statements jsonb := '[]';
begin
  for name in select jsonb_object_keys(sources) loop
    statements := statements || caravan.prepared(client, mapping, name, sources -> name);
  end loop;
  return statements;
end
$$;

-- Has what is prepared for a client worked out anew: its tables may have changed. For sources that are no longer mapped
-- it is dropped.
create or replace function caravan.prepare_anew(client text, mapping jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  number bigint;
begin
  update caravan.prepared p set made_for = '' where p.client = prepare_anew.client and p.made_for <> '';
  for number in
    delete from caravan.prepared p
    where p.client = prepare_anew.client and not mapping @> jsonb_build_array(jsonb_build_object('source', p.source))
    returning p.id
  loop
    perform caravan.make_writers(number, '[]');
  end loop;
end
$$;

-- Deletes what is gone, children before parents.
create or replace function caravan.remove(client text, statements jsonb, cleared jsonb, changes jsonb)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  s record;
  count bigint;
  removed bigint := 0;
begin
  perform set_config('search_path', current_setting('caravan.search_path'), true);
  for s in select * from jsonb_to_recordset(statements)
      as s (source text, target text, clear text, remove text, filtered boolean, n int) order by n desc
  loop
    if cleared ? s.source then
      execute s.clear using null::jsonb, client, s.target, s.source;
      get diagnostics count = row_count;
      removed := removed + count;
    end if;
    if s.filtered and changes ? s.source or changes -> s.source @? '$[*] ? (!exists(@.row))' then
      execute s.remove into count using changes -> s.source, client, s.target, s.source;
      removed := removed + count;
    end if;
  end loop;
  return removed;
end
$$;

-- Writes what is there, parents before children.
create or replace function caravan.upsert(client text, statements jsonb, changes jsonb)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  s record;
  count bigint;
  written bigint := 0;
begin
  perform set_config('search_path', current_setting('caravan.search_path'), true);
  for s in select * from jsonb_to_recordset(statements)
      as s (source text, target text, upsert text, n int) where changes ? source order by n
  loop
    execute s.upsert into count using changes -> s.source, client, s.target, s.source;
    written := written + count;
  end loop;
  return written;
end
$$;

-- Takes the unique values from rows that are about to go or to get others.
create or replace function caravan.park(statements jsonb, changes jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  s record;
begin
  perform set_config('search_path', current_setting('caravan.search_path'), true);
  for s in select * from jsonb_to_recordset(statements) as s (source text, park text) where park is not null loop
    execute s.park using changes -> s.source;
  end loop;
end
$$;

-- Applies changes of several sources, {"public.users": [{"key": …, "row": …}]}. Removes first, for a new row may need a
-- unique value that an old one has. But where a removal touches the rows that reference the removed one, these must
-- have gone to their new parents before. Raises what the database raises.
create or replace function caravan.apply_changes(
  client text, statements jsonb, cleared jsonb, changes jsonb,
  out written bigint, out removed bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if statements @> '[{"cascades": true}]' and cleared = '[]' then
    written := caravan.upsert(client, statements, changes);
    removed := caravan.remove(client, statements, cleared, changes);
  else
    removed := caravan.remove(client, statements, cleared, changes);
    written := caravan.upsert(client, statements, changes);
  end if;
end
$$;

-- Applies changes one by one, [{"source": …, "change": {"key": …, "row": …}}], each under a savepoint, and those that are
-- refused again after the others, for as long as that gets any of them in. Each time in the other direction: a unique
-- value that passes along a chain of rows needs two rounds, however the chain is ordered.
create or replace function caravan.apply_singly(
  client text, statements jsonb, changes jsonb,
  out written bigint, out removed bigint, out refused jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  pending jsonb := changes;
  single record;
  count record;
  cause text;
begin
  written := 0;
  removed := 0;
  loop
    refused := '[]';
    for single in select p ->> 'source' as source, p -> 'change' as change from jsonb_array_elements(pending) as p loop
      begin
        if single.change -> 'key' = 'null' then
          count := caravan.apply_changes(client, statements, jsonb_build_array(single.source), '{}');
        else
          count := caravan.apply_changes(client, statements, '[]',
            jsonb_build_object(single.source, jsonb_build_array(single.change)));
        end if;
        written := written + count.written;
        removed := removed + count.removed;
      exception
        when data_exception or integrity_constraint_violation or raise_exception then
          get stacked diagnostics cause = message_text;
          refused := jsonb_build_array(jsonb_build_object('source', single.source, 'change', single.change,
            'sqlstate', sqlstate, 'message', cause)) || refused;
      end;
    end loop;
    exit when jsonb_array_length(refused) in (0, jsonb_array_length(pending));
    pending := refused;
  end loop;
end
$$;

-- Applies changes whose unique values move in a circle, as when two rows swap them: takes the values from all of them
-- first. Those that do not fit even then are left out, and the others tried again. Returns what is refused still.
create or replace function caravan.apply_circles(
  client text, statements jsonb, inout refused jsonb, out written bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  others jsonb;
  circle jsonb;
  left_over jsonb;
begin
  written := 0;
  select coalesce(jsonb_agg(r) filter (where in_circle), '[]'), coalesce(jsonb_agg(r) filter (where not in_circle), '[]')
  into circle, others
  from jsonb_array_elements(refused) as r
  cross join lateral (select r ->> 'sqlstate' = '23505' and r -> 'change' ? 'row' as in_circle) as c;

  while jsonb_array_length(circle) > 1 loop
    begin
      perform caravan.park(statements, (
        select jsonb_object_agg(source, list)
        from (
          select c ->> 'source' as source, jsonb_agg(c -> 'change') as list from jsonb_array_elements(circle) as c group by 1
        ) as by_source
      ));
      select a.refused, a.written into left_over, written from caravan.apply_singly(client, statements, circle) as a;
      if left_over = '[]' then
        refused := others;
        return;
      end if;
      written := 0;
      raise exception 'not a circle' using errcode = 'CV001';
    exception
      when sqlstate 'CV001' then
        others := others || left_over;
        circle := (
          select coalesce(jsonb_agg(c), '[]')
          from jsonb_array_elements(circle) as c
          where not exists (
            select from jsonb_array_elements(left_over) as l
            where l -> 'source' = c -> 'source' and l -> 'change' -> 'key' = c -> 'change' -> 'key'
          )
        );
      when data_exception or integrity_constraint_violation or raise_exception then
        exit;  -- the client does not let go of the values
    end;
  end loop;
  refused := others || circle;
end
$$;

-- Applies a page that was refused as a whole, so that only what must be is refused: returns it as [{"source", "key",
-- "sqlstate", "message"}].
create or replace function caravan.apply_carefully(
  client text, statements jsonb, cleared jsonb, changes jsonb,
  out written bigint, out removed bigint, out refused jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  rows jsonb;
  gone jsonb;
  done record;
begin
  select coalesce(jsonb_agg(c) filter (where change ? 'row'), '[]'),
    coalesce(jsonb_agg(c) filter (where not change ? 'row'), '[]')
  into rows, gone
  from (
    select source, '{"key": null}'::jsonb as change from jsonb_array_elements_text(cleared) as t (source)
    union all
    select source, change from jsonb_each(changes) as e (source, list), jsonb_array_elements(list) as change
  ) as c;

  if statements @> '[{"cascades": true}]' then
    begin
      perform caravan.park(statements, (
        select jsonb_object_agg(source, list)
        from (select g ->> 'source' as source, jsonb_agg(g -> 'change') as list from jsonb_array_elements(gone) as g
              where g -> 'change' -> 'key' <> 'null' group by 1) as by_source
      ));
    exception
      when data_exception or integrity_constraint_violation or raise_exception then
        null;  -- then the rows that need the values are refused
    end;
    select * into done from caravan.apply_singly(client, statements, rows);
    written := done.written;
    select * into done from caravan.apply_singly(client, statements, gone || done.refused);
    written := written + done.written;
  else
    select * into done from caravan.apply_singly(client, statements, gone || rows);
    written := done.written;
  end if;
  removed := done.removed;

  select * into done from caravan.apply_circles(client, statements, done.refused);
  written := written + done.written;
  refused := (
    select coalesce(jsonb_agg(jsonb_build_object('source', r -> 'source', 'key', r -> 'change' -> 'key',
      'sqlstate', r -> 'sqlstate',
      -- PostgreSQL quotes the offending value. Row data has no place in a dead letter.
      'message', case when r ->> 'sqlstate' like '22%'
        then btrim(regexp_replace(r ->> 'message', '[: ]*".*"', '')) else r ->> 'message' end)), '[]')
    from jsonb_array_elements(done.refused) as r
  );
end
$$;

-- Where a client stands: its step, its cursor (null: nothing has come yet), the sources that its mapping wants, and
-- whether a page was applied in the last five seconds. Raises what is wrong with the mapping.
create or replace function caravan.standing(
  client text, mapping jsonb,
  out step bigint, out cursor text, out sources text, out recent boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform caravan.check(mapping);
  perform caravan.prepare_anew(client, mapping);
  select c.step, c.cursor, c.applied_at > now() - interval '5 s'
  into step, cursor, recent
  from caravan.cursor c
  where c.client = standing.client;
  if not found then
    insert into caravan.cursor (client) values (standing.client) on conflict do nothing;
    step := 0;
    recent := false;
  end if;
  sources := caravan.sources(mapping);
end
$$;
comment on function caravan.standing is 'How far a client has come';

-- The work of caravan.apply, whose names are found in the given search path.
create or replace function caravan.apply_page(
  client text, expected_step bigint, mapping jsonb, page jsonb, settled jsonb, skipped jsonb, search_path text,
  out outcome text, out step bigint, out cursor text, out written bigint, out removed bigint, out refused text
)
language plpgsql
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
set enable_seqscan = off  -- plans are kept, and those for a small table would be kept for a large one
set jit = off
as $$
declare
  statements jsonb;
  changes jsonb := page -> 'changes';
  filled jsonb;
  to_sweep text;
begin
  written := 0;
  removed := 0;
  refused := '[]';
  perform set_config('caravan.search_path', search_path, true);
  -- A page that a crash of this server takes back takes the cursor back with it, and comes again.
  perform set_config('synchronous_commit', 'off', true);
  select c.cursor -> 'filled' into filled
  from caravan.cursor c
  where c.client = apply_page.client and c.step = expected_step
  for update;
  if not found then
    outcome := 'stale';
    return;
  end if;

  if skipped <> '[]' then
    changes := (
      select coalesce(jsonb_object_agg(source, kept), '{}')
      from (
        select source, jsonb_agg(change) as kept
        from jsonb_each(changes) as e (source, list), jsonb_array_elements(list) as change
        where not skipped @> jsonb_build_array(jsonb_build_object('source', source))
          or not exists (
            select from jsonb_array_elements(skipped) as s
            where s ->> 'source' = source and s -> 'key' = change -> 'key'
          )
        group by source
      ) as by_source
    );
  end if;

  statements := caravan.prepared(client, mapping, page -> 'sources');
  begin
    select a.written, a.removed into written, removed
    from caravan.apply_changes(client, statements, page -> 'cleared', changes) as a;
  exception
    when data_exception or integrity_constraint_violation or raise_exception or cardinality_violation then
      begin
        -- Perhaps nothing is wrong with the data, and the statements are for what the table was.
        perform caravan.prepare_anew(client, mapping);
        statements := caravan.prepared(client, mapping, page -> 'sources');
        select a.written, a.removed, a.refused into written, removed, refused
        from caravan.apply_carefully(client, statements, page -> 'cleared', changes) as a;
        to_sweep := (
          select s.source
          from jsonb_to_recordset(statements) as s (source text, n int)
          join jsonb_to_recordset(refused::jsonb) as r (source text, key jsonb) on r.source = s.source and r.key is null
          order by s.n
          limit 1
        );
        refused := (
          select coalesce(jsonb_agg(r), '[]') from jsonb_array_elements(refused::jsonb) as r where r -> 'key' <> 'null'
        );
        if exists (
          select r.source, r.key from jsonb_to_recordset(refused::jsonb) as r (source text, key jsonb)
          except
          select s.source, s.key from jsonb_to_recordset(settled) as s (source text, key jsonb)
        ) then
          raise exception 'refused' using errcode = 'CV001';
        end if;
      exception
        when sqlstate 'CV001' then
          outcome := 'refused';
          step := expected_step;
          written := 0;
          removed := 0;
          return;
      end;
  end;
  outcome := 'applied';
  -- Drawn from the clock: where the cursor is deleted or restored, a hub may remember a step that a counter meets again.
  step := greatest(expected_step + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint);
  cursor := jsonb_build_object('filled', filled) || (page -> 'cursor') || case when to_sweep is null then '{}' else jsonb_build_object('sweep', jsonb_build_object(
    'source', to_sweep, 'key', page -> 'sources' -> to_sweep -> 'key', 'target', 0, 'after', null, 'confirmed', true
  )) end;
  update caravan.cursor c
  set step = apply_page.step, cursor = apply_page.cursor::jsonb, applied_at = now()
  where c.client = apply_page.client;
end
$$;
-- Applies a page that was read for a client that stood at `expected_step`, but for the changes in `skipped`. Returns
-- the client's step and cursor afterwards, the number of rows written and removed, and as the outcome:
--   applied  the cursor has moved to the page's
--   stale    the client stands elsewhere: somebody else was quicker. Nothing was written
--   refused  the client refuses some changes that are not in `settled` yet: `refused`, [{"source", "key", "sqlstate",
--            "message"}]. Nothing was written. Store them as dead letters, and call again with them as `settled`
-- Anything but a refusal of the data (SQLSTATE 22xxx, 23xxx, P0001) is raised.
-- A TRUNCATE that is refused is no dead letter: the cursor then says `sweep`, and the rows go one by one.
create or replace function caravan.apply(
  client text, expected_step bigint, mapping jsonb, page jsonb, settled jsonb, skipped jsonb default '[]',
  out outcome text, out step bigint, out cursor text, out written bigint, out removed bigint, out refused text
)
language plpgsql
as $$
begin
  select p.* into outcome, step, cursor, written, removed, refused
  from caravan.apply_page(client, expected_step, mapping, page, settled, skipped, pg_catalog.current_setting('search_path')) as p;
end
$$;
comment on function caravan.apply is 'Applies a page of changes and moves the cursor, in one transaction';
