-- Removes Caravan from a client's database; the rows stay: psql -f sql/client/uninstall.sql
\set ON_ERROR_STOP on
drop schema caravan cascade;
\echo An older release made a role caravan_hub, which may serve other databases of this server. If not: drop role caravan_hub;
