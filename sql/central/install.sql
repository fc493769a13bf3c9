-- Installs Caravan in the central database, or brings it up to date: psql -f sql/central/install.sql
\set ON_ERROR_STOP on
begin;
\ir roles.sql
\ir version.sql
\ir migrations/001-tables.sql
\ir migrations/002-doubts.sql
\ir migrations/003-rooms.sql
\ir doorbell.sql
\ir keys.sql
\ir track.sql
\ir rows.sql
\ir capture.sql
\ir history.sql
\ir sources.sql
\ir read.sql
\ir views.sql
\ir readers.sql
\ir problems.sql
\ir measure.sql
\ir dead-letters.sql
\ir compact.sql
\ir runs/targets.sql
\ir runs/due.sql
\ir runs/claim.sql
\ir runs/basis.sql
\ir runs/suspects.sql
\ir runs/findings.sql
\ir runs/end.sql
\ir reconcile.sql
\ir rights.sql
commit;
