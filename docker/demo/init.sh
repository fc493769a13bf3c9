#!/bin/bash
# Makes one database of the demo, once: PostgreSQL's image runs it. The hub's user is `hub` everywhere.
set -euo pipefail
sql=(psql -q -v ON_ERROR_STOP=1 -v password="$(cat "${SECRETS:-/run/secrets}/hub")" -U "$POSTGRES_USER" -d "$POSTGRES_DB")
if [ "$POSTGRES_DB" = central ]; then
  "${sql[@]}" -f "${CARAVAN:-/caravan}/sql/central/install.sql"
fi
"${sql[@]}" -f "${CARAVAN:-/caravan}/docker/demo/$POSTGRES_DB.sql"
"${sql[@]}" <<SQL
select format('create role hub login password %L', :'password') where to_regrole('hub') is null \\gexec
SQL
if [ "$POSTGRES_DB" = central ]; then
  "${sql[@]}" <<< "grant caravan_hub to hub"
else
  "${sql[@]}" <<SQL
grant create on database $POSTGRES_DB to hub;
grant select, insert, update, delete on all tables in schema public to hub;
SQL
fi
