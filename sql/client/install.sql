-- Installs Caravan in a client's database, or brings it up to date: psql -f sql/client/install.sql
\set ON_ERROR_STOP on
begin;
\ir 10-tables.sql
\ir 20-catalog.sql
\ir ../shared/digest.sql
\ir 36-digest.sql
\ir 40-rights.sql
commit;
