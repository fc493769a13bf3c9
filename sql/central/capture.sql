-- The triggers that put the keys of changed rows into the log.
--
-- A row trigger does its work in its condition: WHEN (log_insert_N(new.id, …)), which inserts into the log and is false.
-- So no function has the table's row type, and no event waits for the end of the statement.
-- Relies on: PostgreSQL evaluates the condition of an AFTER row trigger just after it has written the row, while the
-- transaction holds the row's lock. And a condition is bound to columns, not to their names: a column may be renamed.
-- And a function in it is called as whoever writes: so all may execute it, but only who has USAGE of the schema can name it.

-- A condition that is true when a column really differs: in its bytes, and not only by its type's equality, for which
-- 1.0 equals 1.00, and which json has not. Types whose equality is that of their bytes are compared as they are.
-- The function and not its operator *<>, because pg_dump writes that on records in a way that it cannot read again.
create or replace function caravan_internal.differs(old text, new text, type text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format(case
    when type in ('smallint', 'integer', 'bigint', 'boolean', 'uuid', 'bytea', 'date',
      'timestamp without time zone', 'timestamp with time zone') then '%1$s is distinct from %2$s'
    when type in ('text', 'character varying') then '%1$s collate "C" is distinct from %2$s collate "C"'
    else 'pg_catalog.record_image_ne(row(%1$s), row(%2$s))'
  end, old, new)
$$;

-- Makes the functions of one source that write into the log, one for each kind of write: log_insert_N, log_update_N,
-- log_delete_N, and the trigger function log_truncate_N. In a transaction of a single row, each expression that they need
-- not compute counts. They take a key's values as they are, but those of an enum or of an extension's type as text: their
-- owners' code may run with the rights of who writes, and not with those of Caravan.
create or replace function caravan_internal.make_log_functions(source caravan.source)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
  n constant int := source.id;
  -- The text form of some types follows settings of the user's session. The key in the log must not.
  settings constant text := case when exists (
    select from caravan_internal.key_parts(source.relation, source.key)
    where kind = 'catalog'
      and type not in ('smallint', 'integer', 'bigint', 'numeric', 'uuid', 'text', 'character varying', 'boolean')
  ) then $set$ set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'postgres' set quote_all_identifiers = off
    set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C' $set$ else '' end;
  old_parameters text;
  new_parameters text;
  old_key text;
  new_key text;
  moves text;
  event text;
  parameters text;
  key text;
  ring text;
begin
  with part as (
    select position, case kind when 'catalog' then type else 'text' end as type,
      kind = 'catalog' and not caravan_internal.is_plain_in_json(type) as as_text
    from caravan_internal.key_parts(source.relation, source.key)
  )
  select string_agg(format('old_%s %s', position, type), ', ' order by position),
    string_agg(format('new_%s %s', position, type), ', ' order by position),
    format('jsonb_build_array(%s)',
      string_agg('old_' || position || case when as_text then '::text' else '' end, ', ' order by position)),
    format('jsonb_build_array(%s)',
      string_agg('new_' || position || case when as_text then '::text' else '' end, ', ' order by position)),
    string_agg(caravan_internal.differs('old_' || position, 'new_' || position, type), ' or ')
  into old_parameters, new_parameters, old_key, new_key, moves
  from part;

  foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
    key := case event when 'truncate' then 'null' when 'delete' then old_key else new_key end;
    parameters := case event
      when 'insert' then new_parameters || ', new_row text'
      when 'update' then concat(old_parameters, ', ', new_parameters, ', new_row text')
      when 'delete' then old_parameters
      else ''
    end;
    ring := case
      when source.payload = 'key' then $sql$if caravan_internal.must_notify() then
          perform caravan_internal.ring(%1$L, %2$L, %3$s);
        end if;$sql$
      when event in ('insert', 'update') then 'perform caravan_internal.ring(%1$L, %2$L, %3$s, new_row::json, true);'
      else 'perform caravan_internal.ring(%1$L, %2$L, %3$s, null, true);'
    end;
    execute format($f$
      create or replace function caravan_internal.log_%2$s_%1$s(%3$s) returns %4$s
      language plpgsql
      security definer
      set search_path = pg_catalog, pg_temp %5$s
      as $body$
      begin
        %6$s
        insert into caravan.change (source, key) values (%1$s, %7$s);
        %8$s
        return %9$s;
      end
      $body$
    $f$, n, event, parameters, case event when 'truncate' then 'trigger' else 'boolean' end, settings,
      case event when 'update' then format('if %s then
          insert into caravan.change (source, key) values (%s, %s);
        end if;', moves, n, old_key) end,
      key, format(ring, source.name, event, key), case event when 'truncate' then 'null' else 'false' end);
    -- A trigger's function is not checked when the trigger fires.
    execute format('revoke all on function caravan_internal.log_%s_%s(%s) from public', event, n, parameters);
    if event <> 'truncate' then
      execute format('grant execute on function caravan_internal.log_%s_%s(%s) to public', event, n, parameters);
    end if;
  end loop;
end
$$;

-- Never called: the conditions of the triggers are false.
create or replace function caravan_internal.nothing()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  return null;
end
$$;

-- The text of the row as a JSON object, for a doorbell, unless it is too long for one.
create or replace function caravan_internal.row_of(source caravan.source)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case source.payload when 'row' then format($sql$case when %s < 8000 then %s || '}' end$sql$,
    string_agg(format('coalesce(pg_column_size(new.%I), 0)', c), ' + ' order by position),
    string_agg(format($sql$%L || coalesce(to_json(new.%I)::text, 'null')$sql$,
      case position when 1 then '{' else ',' end || to_json(c) || ':', c), ' || ' order by position)) else 'null' end
  from unnest(source.columns) with ordinality as u (c, position)
$$;

-- UPDATE, not UPDATE OF: that one looks at what the statement names, and a BEFORE trigger may change more.
-- ENABLE ALWAYS: rows that arrive in central by logical replication are changes too.
-- Relies on: a condition that names the log makes the trigger depend on it. So whoever drops the schema caravan with all that
-- depends on it drops the triggers, too, and no write fails because the log is missing. PostgreSQL computes it once a statement.
create or replace function caravan_internal.make_triggers(source caravan.source)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
  n constant int := source.id;
  row_of constant text := caravan_internal.row_of(source);
  really_differs constant text := (
    select string_agg(caravan_internal.differs(format('old.%I', c), format('new.%I', c),
      caravan_internal.column_type(source.relation, c)), ' or ')
    from unnest(source.columns) as c
  );
  old_key text;
  new_key text;
  event text;
begin
  select string_agg(case kind when 'catalog' then format('old.%I', name)
      else caravan_internal.text_of(format('old.%I', name), type) end, ', ' order by position),
    string_agg(case kind when 'catalog' then format('new.%I', name)
      else caravan_internal.text_of(format('new.%I', name), type) end, ', ' order by position)
  into old_key, new_key
  from caravan_internal.key_parts(source.relation, source.key);

  foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
    execute format(
      $f$create or replace trigger caravan_%1$s after %1$s on %2$s for each %3$s
        when ('caravan.change'::regclass is not null%4$s) execute function caravan_internal.%5$s()$f$,
      event,
      source.relation,
      case event when 'truncate' then 'statement' else 'row' end,
      case event
        when 'insert' then format(' and caravan_internal.log_insert_%s(%s, %s)', n, new_key, row_of)
        when 'update' then format(' and case when %s then caravan_internal.log_update_%s(%s, %s, %s) else false end',
          really_differs, n, old_key, new_key, row_of)
        when 'delete' then format(' and caravan_internal.log_delete_%s(%s)', n, old_key)
      end,
      case event when 'truncate' then 'log_truncate_' || n else 'nothing' end
    );
    execute format('alter table %s enable always trigger caravan_%s', source.relation, event);
  end loop;
end
$$;
