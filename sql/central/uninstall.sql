-- Removes Caravan from the central database, with its triggers: psql -f sql/central/uninstall.sql
\set ON_ERROR_STOP on
begin;
select caravan.untrack(name) from caravan.source;
drop schema caravan, caravan_internal cascade;
commit;
\echo The roles caravan_hub, caravan_limited_hub and caravan_operator may serve other databases of this server.
\echo If not: drop role caravan_hub, caravan_limited_hub, caravan_operator;
