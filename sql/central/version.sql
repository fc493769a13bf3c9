-- Begins an installation. It refuses to replace a newer version, and drops the functions and views: the files that follow
-- create them again. So a function may take and return other things than before. Tables stay; migrations/ changes them.
--
-- The schema caravan is the door: what people call and query. The schema caravan_internal is the rooms behind it: what only
-- triggers and the hub use. Each version may change it.

-- The version of this SQL. It grows with each migration, and with whatever else the hub relies on: the hub works with this
-- very version, io.caravan.install.Installation.VERSION.
do $$
declare
  this constant int := 3;
  there int := 0;
  owner text := (select nspowner::regrole from pg_namespace where nspname = 'caravan');
begin
  perform pg_advisory_xact_lock(7165065861814019951);  -- one at a time
  perform set_config('client_min_messages', 'warning', true);
  perform set_config('caravan.installer', current_user, true);
  if owner is null then
    create schema caravan;
    owner := current_user::regrole;
  elsif not pg_has_role(owner, 'usage') then
    raise exception 'the schema caravan belongs to %, and % may not change it', owner, current_user
      using errcode = 'insufficient_privilege', hint = format('grant %s to %I', owner, current_user);
  else
    execute 'set local role ' || owner;  -- who installs must not become the owner of its functions
  end if;
  if to_regprocedure('caravan.version()') is not null then
    there := caravan.version();
  end if;
  if there > this then
    raise exception 'central has version % of Caravan''s SQL, and this is the older version %', there, this
      using errcode = 'CV009', hint = 'Install the SQL of the release that central is of. To go back, restore a backup of central.';
  end if;
  execute format('create or replace function caravan.version() returns int language sql stable return %s', this);

  -- Somebody has dropped the schema caravan alone. Nothing needs what is left over.
  if to_regclass('caravan.change') is null or to_regclass('caravan.history') is not null then
    drop schema if exists caravan_internal cascade;
  end if;
  if to_regnamespace('caravan_internal') is null then
    begin
      create schema caravan_internal;
    exception
      when insufficient_privilege then
        begin
          execute format('set local role %I', current_setting('caravan.installer'));
          execute 'create schema caravan_internal authorization ' || owner;
          execute 'set local role ' || owner;
        exception
          when insufficient_privilege then
            raise exception '% may not make the schema caravan_internal', owner
              using errcode = 'insufficient_privilege',
                hint = format('grant create on database %I to %s', current_database(), owner);
        end;
    end;
  end if;
end
$$;
comment on schema caravan is 'Keeps client databases in step with this one';
comment on schema caravan_internal is 'What only Caravan''s triggers and hub use: it may be another with each version';
comment on function caravan.version is 'The version of what is installed here; each hub works with one version';

-- Keeps the grants of functions and views that others have made, for rights.sql.
do $$
begin
  perform set_config('caravan.granted', coalesce(jsonb_agg(granted), '[]')::text, true)
  from (
    select p.oid::regprocedure::text as function, null as view, a.grantee::regrole::text as role
    from pg_proc p, aclexplode(p.proacl) as a
    where p.pronamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace) and p.proname !~ '_[0-9]+$'
      and a.grantee not in (0, p.proowner)
    union all
    select null, c.oid::regclass::text, a.grantee::regrole::text
    from pg_class c, aclexplode(c.relacl) as a
    where c.relnamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace) and c.relkind = 'v'
      and c.relname !~ '^rows_[0-9]+$' and a.privilege_type = 'SELECT' and a.grantee not in (0, c.relowner)
  ) as granted
  where role not in ('caravan_hub', 'caravan_limited_hub', 'caravan_operator');
end
$$;

-- The functions of a source stay: caravan_internal.make_again replaces them while nobody writes to its table. So do those that
-- the triggers call, because a writer may be about to call them.
-- Relies on: a running call does not notice that a function is replaced, but it fails if the function is dropped.
do $$
declare
  old text;
begin
  select string_agg(oid::regclass::text, ', ') into old
  from pg_class
  where relnamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace) and relkind = 'v'
    and relname !~ '^rows_[0-9]+$';
  if old is not null then
    execute 'drop view ' || old;
  end if;
  select string_agg(oid::regprocedure::text, ', ') into old
  from pg_proc
  where pronamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace) and proname !~ '_[0-9]+$'
    and proname not in ('version', 'nothing', 'ring', 'must_notify', 'sleep_lock', 'is_to_ring', 'k');
  if old is not null then
    execute 'drop function ' || old;
  end if;
end
$$;

-- What has been done to the tables.
do $$
begin
  if to_regclass('caravan.migration') is not null then
    alter table caravan.migration set schema caravan_internal;
  end if;
  create table if not exists caravan_internal.migration (
    number int not null,
    what   text not null,
    at     timestamptz not null default now(),
    constraint migration_pk primary key (number)
  );
  comment on table caravan_internal.migration is 'Which migrations of Caravan''s tables have been made here';
end
$$;

-- Whether a migration is to be made now. Each is made once.
create function caravan_internal.begins(number int, what text)
returns boolean
language sql
set search_path = pg_catalog, pg_temp
as $$
  with begun as (
    insert into caravan_internal.migration (number, what) values (begins.number, begins.what)
    on conflict do nothing
    returning number
  )
  select exists (select from begun)
$$;

-- Locks tables all at once. While it waits for a writer, others who want to write queue behind it: so it gives up after a
-- moment, and tries again.
create function caravan_internal.lock_calmly(tables regclass[], mode text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
as $$
declare
  patience constant interval := '5 minutes';
  began constant timestamptz := clock_timestamp();
begin
  while tables <> '{}' loop
    begin
      execute format('lock table only %s in %s mode', array_to_string(tables, ', only '), mode);
      return;
    exception
      when lock_not_available or deadlock_detected then
        if clock_timestamp() > began + patience then
          raise exception 'transactions that stay open keep % from being changed', array_to_string(tables, ', ')
            using errcode = 'lock_not_available',
              hint = 'Install Caravan again when they have ended: '
                'select * from pg_stat_activity where xact_start < now() - interval ''1 minute''';
        end if;
    end;
    perform pg_sleep(0.5);
  end loop;
end
$$;
