-- What people need not see moves to the schema caravan_internal, and gets a name that tells what it is.
-- The log stays where it is, and so do the functions that write into it, until the triggers of their source are made again:
-- who writes to a source would have to wait.
do $migration$
declare
  made record;
begin
  if not caravan_internal.begins(3, 'rooms behind the door') then
    return;
  end if;

  perform caravan_internal.lock_calmly(array[
    'caravan.life', 'caravan.history', 'caravan.cleaning', 'caravan.superseded', 'caravan.milestone', 'caravan.hub_client',
    'caravan.suspect', 'caravan.reconciliation', 'caravan.verification'
  ]::regclass[], 'access exclusive');
  alter table caravan.life rename to incarnation;
  alter table caravan.incarnation rename constraint life_pk to incarnation_pk;
  alter table caravan.incarnation rename constraint life_only_one to incarnation_only_one;
  alter table caravan.incarnation set schema caravan_internal;
  alter table caravan.history set schema caravan_internal;
  alter table caravan.cleaning rename to compaction;
  alter table caravan.compaction rename constraint cleaning_pk to compaction_pk;
  alter table caravan.compaction rename constraint cleaning_only_one to compaction_only_one;
  alter table caravan.compaction set schema caravan_internal;
  alter table caravan.superseded set schema caravan_internal;
  alter table caravan.milestone rename to watermark;
  alter table caravan.watermark rename constraint milestone_pk to watermark_pk;
  alter table caravan.watermark set schema caravan_internal;
  alter table caravan.hub_client set schema caravan_internal;
  alter table caravan.suspect set schema caravan_internal;
  alter table caravan_internal.suspect rename owned to replicated;
  alter table caravan_internal.suspect rename looks to checks;
  update caravan_internal.suspect set verdict = 'local' where verdict = 'own';
  comment on column caravan_internal.suspect.verdict is
    'suspected, changing; missing, stale, surplus, orphaned (these are repaired); local, skipped; repaired, unrepaired';
  comment on table caravan_internal.compaction is 'How far the change log is compacted';
  comment on table caravan_internal.superseded is 'Changes that the compaction is about to remove, in batches';

  -- A client's local rows are called so. A run under way begins again: its hub has noted where it was in other words.
  alter table caravan.reconciliation rename own to local;
  alter table caravan.verification rename own to local;
  update caravan.reconciliation set checkpoint = null where checkpoint is not null;
  update caravan.reconciliation
  set notes = array_replace(array_replace(notes, 'the client is not filled yet', 'the client is not loaded yet'),
    'the client is being filled anew', 'the client is being loaded again')
  where notes && '{the client is not filled yet,the client is being filled anew}';
  comment on column caravan.source.generation is 'Grows when columns are added: the clients are loaded again';
  comment on column caravan.verification.local is
    'The digest of the client''s local rows, as it last was; see io.caravan.reconcile.SeededDigest';

  -- What reads the rows of a source. It is found by its name, also where a source can't be made again.
  for made in
    select 'view' as kind, oid::regclass::text as name
    from pg_class
    where relnamespace = 'caravan'::regnamespace and relkind = 'v' and relname ~ '^rows_[0-9]+$'
    union all
    select 'function', oid::regprocedure::text
    from pg_proc
    where pronamespace = 'caravan'::regnamespace and proname ~ '^(typed|spelled|scan|found)_[0-9]+$'
  loop
    execute format('alter %s %s set schema caravan_internal', made.kind, made.name);
  end loop;
end
$migration$;
