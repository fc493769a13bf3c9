-- Installs Caravan in the central database, or brings it up to date: psql -f sql/central/install.sql
\set ON_ERROR_STOP on
begin;
\ir roles.sql
\ir version.sql
\ir migrations/001-tables.sql
\ir migrations/002-doubts.sql
\ir 20-doorbell.sql
\ir 30-track.sql
\ir 31-find.sql
\ir 32-capture.sql
\ir 40-read.sql
\ir 43-log.sql
\ir 46-readers.sql
\ir 47-problems.sql
\ir 48-measure.sql
\ir 50-dead-letters.sql
\ir 55-clean.sql
\ir 57-runs.sql
\ir 58-reconcile.sql
\ir 60-rights.sql
commit;
