#!/bin/bash
# Makes the demo's passwords, once, as files that only its containers see.
set -euo pipefail
cd "${SECRETS:-/run/secrets}"
umask 022
for name in postgres hub prometheus grafana; do
  [ -s "$name" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > "$name"
done
printf 'user.prometheus = %s\n' "$(cat prometheus)" > management-users
