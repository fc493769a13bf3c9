-- Applying: a page of changes becomes rows, and the cursor moves with them, in one transaction.

-- What runs the statements of a mapping does so under the search_path of who calls caravan.apply, which notes it: what
-- the client's own triggers name is found as it is for anybody else who writes to its tables.
-- Relies on: where a function sets a variable, set_config(…, is_local => true) within it lasts until its end.

-- Makes the functions that write to a target, caravan.upsert_<id> and caravan.remove_<id>. PostgreSQL keeps the plans of
-- their statements, and an EXECUTE would plan each anew.
-- Relies on: they run with the rights of who calls them, as a statement of his own would.
create or replace function caravan.make_writers(id bigint, upsert text, own text, remove text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  body constant text := e'#variable_conflict use_column\ndeclare "caravan.rows" bigint;\nbegin\n%s;\n'
    'get diagnostics "caravan.rows" = row_count;\n%s\nreturn "caravan.rows";\nend';
  name text;
  code text;
begin
  for name, code in
    values ('upsert_' || id, format(body, upsert, own || ';')), ('remove_' || id, format(body, remove, ''))
  loop
    if code is distinct from (
      select prosrc from pg_proc where oid = to_regprocedure(format('caravan.%I(jsonb, int)', name))
    ) then
      execute format('create or replace function caravan.%I(jsonb, int) returns bigint language plpgsql as %L', name, code);
      execute format('revoke execute on function caravan.%I from public', name);
      if to_regrole('caravan_hub') is not null then
        execute format('grant execute on function caravan.%I to caravan_hub', name);
      end if;
    end if;
  end loop;
end
$$;

create or replace function caravan.drop_writers(id bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('drop function if exists caravan.%I, caravan.%I', 'upsert_' || id, 'remove_' || id);
end
$$;

-- Works out what the changes of a source, as a page describes it, are applied with, and keeps it.
create or replace function caravan.prepare(client text, mapping jsonb, source text, description jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  made record;
  number bigint;
  kept bigint[] := '{}';
begin
  for made in
    select s.*, target, n
    from (select target, row_number() over (order by depth, "position") as n from caravan.targets(mapping)) as t
    cross join lateral caravan.statements(target, description) as s
    where target ->> 'source' = prepare.source
  loop
    insert into caravan.target (client, source, relation)
    select prepare.client, prepare.source, made.target ->> 'table'
    where caravan.number_of(prepare.client, made.target) is null
    on conflict do nothing;
    insert into caravan.prepared as p (
      client, source, n, mapping, description, target, relation, file, clear, park, filtered, cascades
    )
    values (prepare.client, prepare.source, made.n, prepare.mapping, prepare.description,
      caravan.number_of(prepare.client, made.target), made.target ->> 'table',
      pg_relation_filenode(to_regclass(made.target ->> 'table')), made.clear, made.park, made.filtered, made.cascades)
    on conflict on constraint prepared_pk do update
    set mapping = excluded.mapping, description = excluded.description, target = excluded.target,
      relation = excluded.relation, file = excluded.file, clear = excluded.clear, park = excluded.park, filtered = excluded.filtered, cascades = excluded.cascades
    returning id into number;
    kept := kept || number;
    perform caravan.make_writers(number, made.upsert, made.own, made.remove);
  end loop;
  for number in
    delete from caravan.prepared p
    where p.client = prepare.client and p.source = prepare.source and p.id <> all (kept)
    returning id
  loop
    perform caravan.drop_writers(number);
  end loop;
end
$$;

-- What a page that brings changes of these sources is applied with: of each of their targets, parents first. It is kept
-- from page to page.
create or replace function caravan.prepared(client text, mapping jsonb, sources jsonb)
returns caravan.prepared[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  writers caravan.prepared[];
  w caravan.prepared;
  is_valid boolean;
  missing jsonb;
begin
  for attempt in 1..2 loop
    writers := '{}';
    is_valid := true;
    missing := sources;
    for w in
      select * from caravan.prepared p where p.client = prepared.client and sources ? p.source order by p.n
    loop
      is_valid := is_valid and w.mapping is not distinct from mapping and w.description = sources -> w.source
        and w.file is not distinct from pg_relation_filenode(to_regclass(w.relation));
      missing := missing - w.source;
      writers := writers || w;
    end loop;
    exit when is_valid and missing = '{}' or attempt = 2;
    perform caravan.prepare(client, mapping, source, description) from jsonb_each(sources) as s (source, description);
  end loop;
  return writers;
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
  update caravan.prepared p set mapping = null where p.client = prepare_anew.client and p.mapping is not null;
  for number in
    delete from caravan.prepared p
    where p.client = prepare_anew.client and not prepare_anew.mapping @> jsonb_build_array(jsonb_build_object('source', p.source))
    returning id
  loop
    perform caravan.drop_writers(number);
  end loop;
end
$$;

-- Deletes what is gone, children before parents. Runs under the search_path of who calls it, as caravan.upsert does.
create or replace function caravan.remove(writers caravan.prepared[], cleared jsonb, changes jsonb)
returns bigint
language plpgsql
as $$
declare
  w caravan.prepared;
  count bigint;
  removed bigint := 0;
begin
  for n in reverse cardinality(writers)..1 loop
    w := writers[n];
    if cleared ? w.source then
      execute w.clear using null::jsonb, w.target;
      get diagnostics count = row_count;
      removed := removed + count;
    end if;
    -- Strict, for a lax path would look into the arrays.
    if w.filtered and changes ? w.source or changes -> w.source @? 'strict $[*] ? (@.size() == 1)' then
      execute 'select caravan.remove_' || w.id || '($1, $2)' into count using changes -> w.source, w.target;
      removed := removed + count;
    end if;
  end loop;
  return removed;
end
$$;

-- Writes what is there, parents before children.
create or replace function caravan.upsert(writers caravan.prepared[], changes jsonb)
returns bigint
language plpgsql
as $$
declare
  w caravan.prepared;
  count bigint;
  written bigint := 0;
begin
  foreach w in array writers loop
    if changes ? w.source then
      execute 'select caravan.upsert_' || w.id || '($1, $2)' into count using changes -> w.source, w.target;
      written := written + count;
    end if;
  end loop;
  return written;
end
$$;

-- Takes the unique values from rows that are about to go or to get others.
create or replace function caravan.park(writers caravan.prepared[], changes jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  w caravan.prepared;
begin
  perform set_config('search_path', current_setting('caravan.search_path'), true);
  foreach w in array writers loop
    if w.park is not null then
      execute w.park using changes -> w.source;
    end if;
  end loop;
end
$$;

-- Whether a removal touches rows that reference the removed one.
create or replace function caravan.cascade(writers caravan.prepared[])
returns boolean
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  w caravan.prepared;
begin
  foreach w in array writers loop
    if w.cascades then
      return true;
    end if;
  end loop;
  return false;
end
$$;

-- Applies changes of several sources, as a page has them. Removes first, for a new row may need a unique value that an old
-- one has. But where a removal touches the rows that reference the removed one, these must have gone to their new parents
-- before. Raises what the database raises.
create or replace function caravan.apply_changes(
  writers caravan.prepared[], cleared jsonb, changes jsonb,
  out written bigint, out removed bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('search_path', current_setting('caravan.search_path'), true);
  if caravan.cascade(writers) and cleared = '[]' then
    written := caravan.upsert(writers, changes);
    removed := caravan.remove(writers, cleared, changes);
  else
    removed := caravan.remove(writers, cleared, changes);
    written := caravan.upsert(writers, changes);
  end if;
end
$$;

-- Applies changes one by one, [{"source": …, "change": …}], each under a savepoint, and those that are refused again after
-- the others, for as long as that gets any of them in. Each time in the other direction: a unique value that passes along a
-- chain of rows needs two rounds, however the chain is ordered.
create or replace function caravan.apply_singly(
  writers caravan.prepared[], changes jsonb,
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
  in_schema text;
  in_table text;
  in_column text;
  broken text;
begin
  written := 0;
  removed := 0;
  loop
    refused := '[]';
    for single in select p ->> 'source' as source, p -> 'change' as change from jsonb_array_elements(pending) as p loop
      begin
        if single.change -> 0 = 'null' then
          count := caravan.apply_changes(writers, jsonb_build_array(single.source), '{}');
        else
          count := caravan.apply_changes(writers, '[]',
            jsonb_build_object(single.source, jsonb_build_array(single.change)));
        end if;
        written := written + count.written;
        removed := removed + count.removed;
      exception
        when data_exception or integrity_constraint_violation or raise_exception then
          get stacked diagnostics cause = message_text, in_schema = schema_name, in_table = table_name,
            in_column = column_name, broken = constraint_name;
          refused := jsonb_build_array(jsonb_build_object('source', single.source, 'change', single.change,
            'sqlstate', sqlstate, 'message', cause, 'schema', in_schema, 'table', in_table, 'column', in_column,
            'constraint', broken)) || refused;
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
  writers caravan.prepared[], inout refused jsonb, out written bigint
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
  cross join lateral (select r ->> 'sqlstate' = '23505' and jsonb_array_length(r -> 'change') > 1 as in_circle) as c;

  while jsonb_array_length(circle) > 1 loop
    begin
      perform caravan.park(writers, (
        select jsonb_object_agg(source, list)
        from (
          select c ->> 'source' as source, jsonb_agg(c -> 'change') as list from jsonb_array_elements(circle) as c group by 1
        ) as by_source
      ));
      select a.refused, a.written into left_over, written from caravan.apply_singly(writers, circle) as a;
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
            where l -> 'source' = c -> 'source' and l -> 'change' -> 0 = c -> 'change' -> 0
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
-- "sqlstate", "message", "schema", "table", "column", "constraint"}]. The message may quote row data, and the hub drops it.
create or replace function caravan.apply_carefully(
  writers caravan.prepared[], cleared jsonb, changes jsonb,
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
  select coalesce(jsonb_agg(c) filter (where jsonb_array_length(change) > 1), '[]'),
    coalesce(jsonb_agg(c) filter (where jsonb_array_length(change) = 1), '[]')
  into rows, gone
  from (
    select source, '[null]'::jsonb as change from jsonb_array_elements_text(cleared) as t (source)
    union all
    select source, change from jsonb_each(changes) as e (source, list), jsonb_array_elements(list) as change
  ) as c;

  if caravan.cascade(writers) then
    begin
      perform caravan.park(writers, (
        select jsonb_object_agg(source, list)
        from (select g ->> 'source' as source, jsonb_agg(g -> 'change') as list from jsonb_array_elements(gone) as g
              where g -> 'change' -> 0 <> 'null' group by 1) as by_source
      ));
    exception
      when data_exception or integrity_constraint_violation or raise_exception then
        null;  -- then the rows that need the values are refused
    end;
    select * into done from caravan.apply_singly(writers, rows);
    written := done.written;
    select * into done from caravan.apply_singly(writers, gone || done.refused);
    written := written + done.written;
  else
    select * into done from caravan.apply_singly(writers, gone || rows);
    written := done.written;
  end if;
  removed := done.removed;

  select * into done from caravan.apply_circles(writers, done.refused);
  written := written + done.written;
  refused := (
    select coalesce(jsonb_agg(r - 'change' || jsonb_build_object('key', r -> 'change' -> 0)), '[]')
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

-- Applies a page that was read for a client that stood at `expected_step`, but for the changes in `skipped`. Returns
-- the client's step and cursor afterwards, the number of rows written and removed, and as the outcome:
--   applied  the cursor has moved to the page's
--   stale    the client stands elsewhere: somebody else was quicker. Nothing was written
--   refused  the client refuses some changes that are not in `settled` yet: `refused`, [{"source", "key", "sqlstate",
--            …}]. Nothing was written. Store them as dead letters, and call again with them as `settled`
-- Anything but a refusal of the data (SQLSTATE 22xxx, 23xxx, P0001) is raised.
-- A TRUNCATE that is refused is no dead letter: the cursor then says `sweep`, and the rows go one by one.
-- What the client's tables have of their own (triggers, defaults) runs under `search_path`.
create or replace function caravan.apply(
  client text, expected_step bigint, mapping jsonb, page jsonb, settled jsonb, skipped jsonb default '[]',
  search_path text default pg_catalog.current_setting('search_path'),
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
  writers caravan.prepared[];
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
  where c.client = apply.client and c.step = expected_step
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
            where s ->> 'source' = source and s -> 'key' = change -> 0
          )
        group by source
      ) as by_source
    );
  end if;

  writers := caravan.prepared(client, mapping, page -> 'sources');
  begin
    select a.written, a.removed into written, removed
    from caravan.apply_changes(writers, page -> 'cleared', changes) as a;
  exception
    when data_exception or integrity_constraint_violation or raise_exception or cardinality_violation then
      begin
        -- Perhaps nothing is wrong with the data, and the statements are for what the table was.
        perform caravan.prepare_anew(client, mapping);
        writers := caravan.prepared(client, mapping, page -> 'sources');
        select a.written, a.removed, a.refused into written, removed, refused
        from caravan.apply_carefully(writers, page -> 'cleared', changes) as a;
        to_sweep := (
          select w.source
          from unnest(writers) as w
          join jsonb_to_recordset(refused::jsonb) as r (source text, key jsonb) on r.source = w.source and r.key is null
          order by w.n
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
  set step = apply.step, cursor = apply.cursor::jsonb, applied_at = now()
  where c.client = apply.client;
end
$$;
comment on function caravan.apply is 'Applies a page of changes and moves the cursor, in one transaction';
