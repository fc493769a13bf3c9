-- caravan.track and caravan.untrack: which tables are propagated.

-- Lets the owner of the schema read a table, which is all that it needs there.
create or replace function caravan_internal.let_read(source regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  reader constant regrole := (select nspowner from pg_namespace where nspname = 'caravan');
  schema constant text := (
    select nspname from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = source
  );
  needs text;
begin
  for needs in
    select format('grant usage on schema %I to %s', schema, reader) where not has_schema_privilege(reader, schema, 'usage')
    union all
    select format('grant select on %s to %s', source, reader) where not has_table_privilege(reader, source, 'select')
  loop
    begin
      execute needs;
    exception
      when insufficient_privilege then null;  -- told below
    end;
    if not has_schema_privilege(reader, schema, 'usage') or needs ~ '^grant select'
      and not has_table_privilege(reader, source, 'select')
    then
      raise exception '% cannot read %, and % may not let it', reader, source, current_user
        using errcode = 'insufficient_privilege', hint = needs;
    end if;
  end loop;
  if (
    select relrowsecurity and not rolsuper and not rolbypassrls
      and (relforcerowsecurity or not pg_has_role(rolname, relowner, 'usage'))
    from pg_class, pg_roles
    where pg_class.oid = source and pg_roles.oid = reader
  ) then
    raise exception 'row security would hide rows of % from %', source, reader
      using errcode = 'insufficient_privilege', hint = format('alter role %s bypassrls', reader);
  end if;
end
$$;

-- A mark of what makes the functions and triggers of a source: install.sql makes them again where it is another.
create or replace function caravan_internal.making()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select md5(string_agg(prosrc, '' order by proname))
  from pg_proc
  where pronamespace = 'caravan_internal'::regnamespace and proname in (
    'make', 'make_functions', 'make_log_functions', 'make_triggers', 'key_parts', 'key_part_value', 'follows', 'text_of', 'row_of',
    'differs', 'is_plain_in_json', 'column_type', 'row_text', 'bounded_text_of'
  )
$$;

-- Makes what a source consists of. No write may slip between the old triggers and the new ones.
create or replace function caravan_internal.make(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set client_min_messages = warning  -- suppresses "does not exist, skipping"
as $$
begin
  execute format('lock table %s in share row exclusive mode', source.relation);
  perform caravan_internal.let_read(source.relation);
  perform caravan_internal.make_functions(source);
  perform caravan_internal.make_log_functions(source);
  perform caravan_internal.make_triggers(source);
  perform caravan_internal.drop_former_functions(source);
  update caravan.source s
  set made_by = caravan_internal.making(),
    loose = (select bool_or(k.loose) from caravan_internal.key_parts(source.relation, source.key) as k)
  where s.id = make.source.id;
end
$$;

-- Makes the sources again that another version of Caravan has made. Whoever writes to their tables waits until the end of the
-- transaction: so it comes last.
create or replace function caravan_internal.make_again()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning  -- suppresses "does not exist, skipping"
as $$
declare
  source caravan.source;
begin
  perform caravan_internal.lock_calmly(array(
    select s.relation
    from caravan.source s
    join pg_class c on c.oid = s.relation
    where s.made_by is distinct from caravan_internal.making() and pg_has_role(c.relowner, 'usage')
    order by s.relation
  ), 'share row exclusive');
  for source in
    select s.*
    from caravan.source s
    join pg_class c on c.oid = s.relation
    where s.made_by is distinct from caravan_internal.making()
  loop
    begin
      perform caravan_internal.make(source);
    exception
      when undefined_column or feature_not_supported or insufficient_privilege or undefined_table then
        raise warning 'the source % stays as an older Caravan has made it: %', source.name, sqlerrm
          using hint = 'Track it again with caravan.track.';
    end;
  end loop;
  perform caravan_internal.make_columns_of();

  -- Sources that were made before there was a schema caravan_internal call these when somebody writes to them.
  if not exists (
    select
    from caravan.source s
    join pg_class c on c.oid = s.relation
    where s.made_by is distinct from caravan_internal.making()
  ) then
    drop function if exists caravan.nothing, caravan.is_to_ring, caravan.ring, caravan.k;
  end if;
end
$$;

-- Tracks a table: from now on each change of these columns goes to the clients that map them. The key is the primary
-- key. Tracking it again with other columns keeps its history. To be called by a member of the role that owns the schema
-- caravan, who also owns the table; or by a superuser.
create or replace function caravan.track(source regclass, columns text[], payload text default 'key')
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set client_min_messages = warning  -- suppresses "does not exist, skipping"
as $$
declare
  source_key constant text[] := caravan_internal.primary_key(source);
  source_columns constant text[] := caravan_internal.propagated(source, source_key, columns);
  source_types constant text[] := array(
    select caravan_internal.column_type(source, c) from unnest(source_columns) with ordinality as u (c, position)
    order by position
  );
  source_name constant text := (
    select format('%I.%I', nspname, relname)
    from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = source
  );
  source_attnums constant int2[] := array(
    select attnum
    from unnest(source_columns) with ordinality as u (c, position)
    join pg_attribute on attrelid = source and attname = c
    order by position
  );
  tracked caravan.source;
begin
  perform caravan_internal.key_parts(source, source_key);
  if payload is null or payload not in ('key', 'row') then
    raise exception 'payload must be ''key'' or ''row'', not %', coalesce(quote_literal(payload), 'null')
      using errcode = 'invalid_parameter_value',
        hint = 'With ''row'' a doorbell rings for each change, with its row, for other listeners. Caravan needs ''key''.';
  end if;
  execute format('lock table %s in share row exclusive mode', source);
  -- A table of that name was tracked, dropped and created again: that is another history. So is another primary key, and so is
  -- the time in which a trigger was missing or disabled.
  perform caravan_internal.untrack_source(s.name, s.relation)
  from caravan.source s
  where s.name = source_name and s.relation <> source or s.relation = source and (
    cardinality(s.key) <> cardinality(source_key)
    or s.types[:cardinality(s.key)] <> source_types[:cardinality(source_key)]
    or case when s.attnums is null then s.key <> source_key
      else s.attnums[:cardinality(s.key)] <> source_attnums[:cardinality(source_key)] end
    or caravan_internal.is_lost(s.id)
    or (select count(*) from pg_trigger where tgrelid = source and tgname ~ '^caravan_' and tgenabled = 'A') < 4
  );

  -- What changed in a column while it was not tracked is not in the log. So the clients have to be loaded again.
  insert into caravan.source as s (name, relation, key, columns, types, payload, attnums)
  values (source_name, source, source_key, source_columns, source_types, track.payload, source_attnums)
  on conflict on constraint source_relation_unique do update
    set name = excluded.name, key = excluded.key, columns = excluded.columns, types = excluded.types,
      payload = excluded.payload, attnums = excluded.attnums,
      generation = s.generation + case
        when s.attnums is null then (excluded.columns <@ s.columns)::int # 1
        else (excluded.attnums <@ s.attnums)::int # 1
      end
  returning s.* into tracked;

  perform caravan_internal.make(tracked);
  perform caravan_internal.make_columns_of();
end
$$;
comment on function caravan.track is 'Propagates these columns of a table to the clients that map them';

-- The work of caravan.untrack.
create or replace function caravan_internal.untrack_source(source text, relation regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning  -- suppresses "does not exist, skipping"
as $$
declare
  tracked caravan.source;
begin
  delete from caravan.source s
  where s.name = untrack_source.source or s.relation = untrack_source.relation
  returning s.* into tracked;
  if not found then
    raise exception '% is not tracked', quote_literal(source)
      using errcode = 'undefined_object',
        hint = 'Tracked are: ' || coalesce((select string_agg(name, ', ') from caravan.source), 'none');
  end if;
  perform caravan_internal.drop_functions(tracked);  -- cascades to the triggers
  perform caravan_internal.make_columns_of();
  delete from caravan.change c where c.source = tracked.id;
end
$$;

-- Stops tracking and forgets the source's changes. The clients keep their rows. The source is named as in SQL, or as it is
-- in caravan.source, where its table is gone.
-- Without a search_path of its own, so that names are found in the caller's.
create or replace function caravan.untrack(source text)
returns void
language sql
as $$
  select caravan_internal.untrack_source(source, pg_catalog.to_regclass(source))
$$;
comment on function caravan.untrack is 'Stops propagating a table';
