-- Central keeps why a client may have rows that central has no more. Until now the client's cursor said it.
do $migration$
begin
  if not caravan_internal.begins(2, 'doubts about what clients have') then
    return;
  end if;

  alter table caravan.verification
    add column doubt text,
    add column doubted_at timestamptz,
    add constraint verification_doubt_known check (doubt in ('epoch', 'truncate'));
  comment on column caravan.verification.doubt is
    'Why the client may have rows of which the log says nothing, until a run has come through: its cursor was of another '
    'history (epoch), or it could not empty its table (truncate)';
  comment on column caravan.verification.doubted_at is 'Since when; the oldest doubt is looked into first';

  alter table caravan.reconciliation
    drop constraint reconciliation_reason_known,
    add constraint reconciliation_reason_known check (reason in ('request', 'schedule', 'verify', 'epoch', 'truncate'));
  comment on column caravan.reconciliation.reason is
    'Requested by a person, scheduled, to verify; or because of a doubt, see caravan.verification';
end
$migration$;
