-- caravan.track and caravan.untrack: which tables are propagated.

-- What track has checked and found about a table. Raises an error with a hint where it can't be a source.
create or replace function caravan.primary_key(source regclass)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  kind constant "char" := (select relkind from pg_class where oid = source);
  persistence constant "char" := (select relpersistence from pg_class where oid = source);
  key constant text[] := (
    select array_agg(a.attname::text order by k.position)
    from pg_index i
    cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = source and i.indisprimary and k.position <= i.indnkeyatts
  );
begin
  if kind = 'p' then
    raise exception '% is partitioned and cannot be a source', source
      using errcode = 'feature_not_supported',
        detail = 'ATTACH and DETACH PARTITION change the rows of a partitioned table and fire no trigger.',
        hint = 'Track the partitions, each as a source of its own.';
  elsif kind <> 'r' then
    raise exception '% is not a table and cannot be a source', source
      using errcode = 'wrong_object_type', hint = 'Track the table that holds the rows.';
  elsif persistence = 't' then
    raise exception '% is temporary and cannot be a source', source
      using errcode = 'feature_not_supported', hint = 'Track a permanent table.';
  elsif persistence = 'u' then
    raise exception '% is unlogged and cannot be a source', source
      using errcode = 'feature_not_supported',
        detail = 'PostgreSQL empties it after a crash and fires no trigger.',
        hint = format('alter table %s set logged', source);
  elsif key is null then
    raise exception '% has no primary key', source
      using errcode = 'invalid_table_definition', hint = format('alter table %s add primary key (…)', source);
  end if;
  return key;
end
$$;

-- The columns to propagate, those of the key first and each once.
create or replace function caravan.propagated(source regclass, key text[], columns text[])
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  name text;
  generated "char";
begin
  if columns is null then
    raise exception 'the columns of % are missing', source
      using errcode = 'null_value_not_allowed', hint = 'Name those to propagate: ''{name, email}''.';
  end if;
  foreach name in array columns loop
    select attgenerated into generated
    from pg_attribute
    where attrelid = source and attname = name and attnum > 0 and not attisdropped;
    if not found then
      raise exception '% has no column "%"', source, name
        using errcode = 'undefined_column',
          hint = 'Its columns: ' || (
            select string_agg(quote_ident(attname), ', ' order by attnum)
            from pg_attribute where attrelid = source and attnum > 0 and not attisdropped
          );
    elsif generated = 'v' then
      raise exception 'column "%" of % is a virtual generated column and cannot be propagated', name, source
        using errcode = 'feature_not_supported',
          hint = 'Propagate the columns that it is computed from, or make it STORED.';
    end if;
  end loop;
  return key || array(
    select c from unnest(columns) with ordinality as u (c, position)
    where c <> all (key)
    group by c order by min(position)
  );
end
$$;

-- The base type of a column, as it is written in SQL: a client need not know central's domains.
create or replace function caravan.column_type(source regclass, column_name text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive base (oid) as (
    select atttypid from pg_attribute where attrelid = source and attname = column_name
    union all
    select t.typbasetype from base join pg_type t using (oid) where t.typtype = 'd'
  )
  select format_type(oid, -1) from base join pg_type t using (oid) where t.typtype <> 'd'
$$;

-- Makes the functions of one source:
--   key_N(row)      its key as JSON
--   moves_N(old, new)  whether an update changes the key
--   row_N(row)      its row as JSON for a doorbell, unless it is too long for one
--   find_N(key)     the row with this key as a JSON array, as a page has it
--   scan_N(after)   the keys and rows that follow a key, in the order of the key
--   typed_N(key)    a key whose values may be of other JSON types, as it is in the log
-- and a view, rows_N: the propagated columns, in their base types, and where each row is stored.
-- Relies on: a body that begins with `return` or `begin atomic` is bound to columns, not to their names. So renaming
-- a column of the key never breaks a user's write, and dropping one is refused.
create or replace function caravan.make_functions(source caravan.source)
returns void
language plpgsql
as $$
declare
  n constant int := source.id;
  -- In the order in which a page names the columns.
  row_text constant text := format('array_to_json(array[%s])::text', (
    select string_agg(format('t.%I::text', c), ', ' order by position)
    from jsonb_object_keys(jsonb_object(source.columns, source.types)) with ordinality as u (c, position)
  ));
  key_columns constant text := (
    select string_agg(format('t.%I', c), ', ' order by position)
    from unnest(source.key) with ordinality as u (c, position)
  );
  -- A value that would become a JSON array or object is its type's own text, so that a cast makes it the same again.
  key_of constant text := (
    select format('jsonb_build_array(%s)', string_agg(case
      when t.typcategory in ('A', 'C') or t.typname = 'jsonb' then format('t.%I::text', c)
      else format('t.%I', c)
    end, ', ' order by position))
    from unnest(source.key) with ordinality as u (c, position)
    join pg_type t on t.oid = caravan.column_type(source.relation, c)::regtype
  );
  key_values constant text := (
    select string_agg(format('(%%1$s ->> %s)::%s', position - 1, caravan.column_type(source.relation, c)), ', '
      order by position)
    from unnest(source.key) with ordinality as u (c, position)
  );
  typed_key constant text := (
    select format('jsonb_build_array(%s)', string_agg(
      format('(typed_%s.key ->> %s)::%s', n, position - 1, caravan.column_type(source.relation, c))
        || case when t.typcategory in ('A', 'C') or t.typname = 'jsonb' then '::text' else '' end, ', ' order by position))
    from unnest(source.key) with ordinality as u (c, position)
    join pg_type t on t.oid = caravan.column_type(source.relation, c)::regtype
  );
begin
  execute format($f$
    create or replace function caravan.key_%1$s(t %2$s) returns jsonb
    language sql stable
    return %3$s
  $f$, n, source.relation, key_of);

  execute format($f$
    create or replace function caravan.moves_%1$s(old %2$s, new %2$s) returns boolean
    language sql stable
    return %3$s
  $f$, n, source.relation,
    (select string_agg(caravan.differs(source.relation, c), ' or ') from unnest(source.key) as c));

  execute format($f$
    create or replace function caravan.row_%1$s(t %2$s) returns json
    language sql stable
    return case when %3$s < 8000 then (select row_to_json(r.*) from (select %4$s) as r) end
  $f$, n, source.relation,
    (select string_agg(format('coalesce(pg_column_size(t.%I), 0)', c), ' + ') from unnest(source.columns) as c),
    (select string_agg(format('t.%1$I as %1$I', c), ', ' order by position)
     from unnest(source.columns) with ordinality as u (c, position)));

  execute format($f$
    create or replace function caravan.find_%1$s(key jsonb) returns setof text
    language sql stable
    begin atomic
      select %3$s from only %2$s as t where (%4$s) = (%5$s);
    end
  $f$, n, source.relation, row_text, key_columns, format(key_values, 'find_' || n || '.key'));

  -- Two branches, so that each is an index scan that stops after `most` rows.
  execute format($f$
    create or replace function caravan.scan_%1$s(after jsonb, most int) returns table (key jsonb, "row" text)
    language sql stable
    begin atomic
      (select %6$s, %3$s from only %2$s as t where scan_%1$s.after is null order by %4$s limit scan_%1$s.most)
      union all
      (select %6$s, %3$s from only %2$s as t where (%4$s) > (%5$s) order by %4$s limit scan_%1$s.most);
    end
  $f$, n, source.relation, row_text, key_columns, format(key_values, 'scan_' || n || '.after'), key_of);

  execute format($f$
    create or replace function caravan.typed_%1$s(key jsonb) returns jsonb
    language sql stable
    return %2$s
  $f$, n, typed_key);

  -- Expressions of a mapping are computed over it with the rights of the hub, which may read just this.
  execute format('drop view if exists caravan.rows_%s', n);
  execute format('create view caravan.rows_%s as select t.ctid as "caravan.ctid", %s from only %s as t', n, (
    select string_agg(format('t.%1$I::%2$s as %1$I', c, caravan.column_type(source.relation, c)), ', ' order by position)
    from unnest(source.columns) with ordinality as u (c, position)
  ), source.relation);
  execute format('grant select on caravan.rows_%s to caravan_hub', n);

  execute format('revoke all on function caravan.key_%1$s, caravan.moves_%1$s, caravan.row_%1$s, caravan.find_%1$s,
    caravan.scan_%1$s, caravan.typed_%1$s from public', n);
end
$$;

-- Makes the trigger functions of one source, an own one for each kind of write: log_insert_N, log_update_N,
-- log_delete_N, log_truncate_N. In a transaction of a single row, each expression that they need not compute counts.
create or replace function caravan.make_trigger_functions(source caravan.source)
returns void
language plpgsql
as $$
declare
  n constant int := source.id;
  -- The text form of some types follows settings of the user's session. The key in the log must not.
  settings constant text := case when exists (
    select from unnest(source.key) as c
    where caravan.column_type(source.relation, c)
      not in ('smallint', 'integer', 'bigint', 'numeric', 'uuid', 'text', 'character varying', 'boolean')
  ) then $set$ set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'postgres'
    set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C' $set$ else '' end;
  event text;
  key text;
  old_key text;
  ring text;
begin
  foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
    key := case event when 'truncate' then 'null' when 'delete' then 'caravan.key_%s(old)' else 'caravan.key_%s(new)' end;
    old_key := case when event = 'update' then $sql$
        if caravan.moves_%1$s(old, new) then
          insert into caravan.change (source, key) values (%1$s, caravan.key_%1$s(old));
        end if;$sql$ else '' end;
    ring := case
      when source.payload = 'key' then $sql$if caravan.is_to_ring() then
          perform caravan.ring(%2$L, %3$L, %4$s);
        end if;$sql$
      when event in ('insert', 'update') then 'perform caravan.ring(%2$L, %3$L, %4$s, caravan.row_%1$s(new), true);'
      else 'perform caravan.ring(%2$L, %3$L, %4$s, null, true);'
    end;
    execute format($f$
      create or replace function caravan.log_%3$s_%1$s() returns trigger
      language plpgsql
      security definer
      set search_path = pg_catalog, pg_temp %5$s
      as $body$
      begin$f$ || old_key || $f$
        insert into caravan.change (source, key) values (%1$s, %4$s);
        $f$ || ring || $f$
        return null;
      end
      $body$
    $f$, n, source.name, event, format(key, n), settings);
    execute format('revoke all on function caravan.log_%s_%s from public', event, n);
  end loop;
end
$$;

create or replace function caravan.drop_functions(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  prefix text;
begin
  foreach prefix in array array[
    'log_truncate', 'log_delete', 'log_update', 'log_insert', 'typed', 'scan', 'find', 'row', 'moves', 'key'
  ] loop
    execute format('drop function if exists caravan.%I cascade', prefix || '_' || source.id);
  end loop;
  execute format('drop view if exists caravan.rows_%s', source.id);
end
$$;

-- A condition that is true when a column really differs: in its bytes, and not only by its type's equality, for which
-- 1.0 equals 1.00, and which json has not. Types whose equality is that of their bytes are compared as they are.
-- The function and not its operator *<>, because pg_dump writes that on records in a way that it cannot read again.
create or replace function caravan.differs(source regclass, column_name text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format(case
    when type in ('smallint', 'integer', 'bigint', 'boolean', 'uuid', 'bytea', 'date',
      'timestamp without time zone', 'timestamp with time zone') then 'old.%1$I is distinct from new.%1$I'
    when type in ('text', 'character varying') then 'old.%1$I collate "C" is distinct from new.%1$I collate "C"'
    else 'pg_catalog.record_image_ne(row(old.%1$I), row(new.%1$I))'
  end, column_name)
  from caravan.column_type(source, column_name) as type
$$;

-- UPDATE, not UPDATE OF: that one looks at what the statement names, and a BEFORE trigger may change more.
-- ENABLE ALWAYS: rows that arrive in central by logical replication are changes too.
create or replace function caravan.make_triggers(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  event text;
  really_differs constant text := (
    select string_agg(caravan.differs(source.relation, c), ' or ') from unnest(source.columns) as c
  );
begin
  foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
    execute format(
      'create or replace trigger caravan_%1$s after %1$s on %2$s for each %3$s %4$s
        execute function caravan.log_%1$s_%5$s()',
      event,
      source.relation,
      case event when 'truncate' then 'statement' else 'row' end,
      case event when 'update' then format('when (%s)', really_differs) end,
      source.id
    );
    execute format('alter table %s enable always trigger caravan_%s', source.relation, event);
  end loop;
end
$$;

-- Tracks a table: from now on each change of these columns goes to the clients that map them. The key is the primary
-- key. Tracking it again with other columns keeps its history. To be called by the owner of the schema caravan.
create or replace function caravan.track(source regclass, columns text[], payload text default 'key')
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning  -- and not what there was not to drop
as $$
declare
  source_key constant text[] := caravan.primary_key(source);
  source_columns constant text[] := caravan.propagated(source, source_key, columns);
  source_types constant text[] := array(
    select caravan.column_type(source, c) from unnest(source_columns) with ordinality as u (c, position)
    order by position
  );
  source_name constant text := (
    select format('%I.%I', nspname, relname)
    from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = source
  );
  tracked caravan.source;
begin
  if payload is null or payload not in ('key', 'row') then
    raise exception 'payload must be ''key'' or ''row'', not %', coalesce(quote_literal(payload), 'null')
      using errcode = 'invalid_parameter_value',
        hint = 'With ''row'' a doorbell rings for each change, with its row, for other listeners. Caravan needs ''key''.';
  end if;
  -- No write may slip between the old triggers and the new ones.
  execute format('lock table %s in share row exclusive mode', source);
  -- A table of that name was tracked, dropped and made anew: that is another history.
  perform caravan.untrack(s.name) from caravan.source s where s.name = source_name and s.relation <> source;

  insert into caravan.source as s (name, relation, key, columns, types, payload)
  values (source_name, source, source_key, source_columns, source_types, track.payload)
  on conflict on constraint source_relation_unique do update
    set name = excluded.name, key = excluded.key, columns = excluded.columns, types = excluded.types,
      payload = excluded.payload
  returning s.* into tracked;

  -- Operators of a key's type may live elsewhere than in pg_catalog (citext). The functions bind them when made.
  perform set_config('search_path', concat_ws(', ', 'pg_catalog', (
    select string_agg(distinct quote_ident(nspname), ', ')
    from pg_attribute a join pg_type t on t.oid = atttypid join pg_namespace n on n.oid = typnamespace
    where attrelid = source and attname = any (source_key) and nspname <> 'pg_catalog'
  ), 'pg_temp'), true);
  perform caravan.make_functions(tracked);
  perform caravan.make_trigger_functions(tracked);
  perform caravan.make_triggers(tracked);
  perform caravan.make_find_all();
end
$$;
comment on function caravan.track is 'Propagates these columns of a table to the clients that map them';

-- The work of caravan.untrack.
create or replace function caravan.untrack_source(source text, relation regclass)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set client_min_messages = warning  -- and not what there was not to drop
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
  perform caravan.drop_functions(tracked);  -- cascades to the triggers
  perform caravan.make_find_all();
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
  select caravan.untrack_source(source, pg_catalog.to_regclass(source))
$$;
comment on function caravan.untrack is 'Stops propagating a table';
