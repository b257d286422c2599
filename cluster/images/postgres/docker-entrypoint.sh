#!/bin/bash
# Starts PostgreSQL as the official image does: an empty data folder is initialised from POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB,
# POSTGRES_INITDB_ARGS and POSTGRES_HOST_AUTH_METHOD (each also as …_FILE) and from /docker-entrypoint-initdb.d.
set -Eeuo pipefail

# from_file NAME DEFAULT: the value of NAME, or the content of the file that NAME_FILE names, or DEFAULT.
from_file() {
  local name=$1 default=${2:-} file_name="${1}_FILE"
  if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then
    echo "error: both $name and $file_name are set" >&2
    exit 1
  fi
  local value=${!name:-$default}
  if [ -n "${!file_name:-}" ]; then value=$(<"${!file_name}"); fi
  export "$name=$value"
  unset "$file_name"
}

initialise() {
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"
  from_file POSTGRES_INITDB_ARGS
  local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$method" != trust ]; then
    echo "error: the data folder is empty and no password is given: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE" >&2
    exit 1
  fi
  eval "initdb --username=\"\$POSTGRES_USER\" --pwfile=<(printf '%s\n' \"\$POSTGRES_PASSWORD\") $POSTGRES_INITDB_ARGS"
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"

  PGUSER=$POSTGRES_USER pg_ctl --pgdata "$PGDATA" --options "-c listen_addresses='' -p 5432" --wait start
  local sql=(psql --set ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER")
  if [ "$POSTGRES_DB" != postgres ]; then
    PGPASSWORD=$POSTGRES_PASSWORD "${sql[@]}" --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
  fi
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) . "$file" ;;
      *.sql) PGPASSWORD=$POSTGRES_PASSWORD "${sql[@]}" --dbname "$POSTGRES_DB" --file "$file" ;;
    esac
  done
  PGUSER=$POSTGRES_USER pg_ctl --pgdata "$PGDATA" --mode fast --wait stop
}

if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
if [ "${1:-}" = postgres ]; then
  mkdir -p "$PGDATA"
  if [ "$(id -u)" = 0 ]; then
    chown -R postgres "$PGDATA" /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  chmod 0700 "$PGDATA" || true
  if [ ! -s "$PGDATA/PG_VERSION" ]; then initialise; fi
  unset PGPASSWORD
fi
exec "$@"
