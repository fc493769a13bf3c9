-- Removes Caravan from the central database, with its triggers: psql -f sql/central/uninstall.sql
\set ON_ERROR_STOP on
begin;
select caravan.untrack(name) from caravan.source;
drop schema caravan cascade;
commit;
\echo The role caravan_hub may serve other databases of this server. If not: drop role caravan_hub;
