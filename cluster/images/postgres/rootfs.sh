# The official image's user is 999; Debian's package would take the next free id below 1000.
set -eu
root=$2
case $1 in
essential)
  echo 'postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/bash' >>"$root/etc/passwd"
  echo 'postgres:x:999:' >>"$root/etc/group"
  mkdir -p "$root/etc/postgresql-common"
  echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
  ;;
customize)
  sed -i "s/^#\?listen_addresses.*/listen_addresses = '*'/" "$root/usr/share/postgresql/15/postgresql.conf.sample"
  rm -rf "$root"/var/lib/postgresql/* "$root"/etc/postgresql/15
  mkdir -p "$root/var/lib/postgresql/data" "$root/var/run/postgresql" "$root/docker-entrypoint-initdb.d"
  chown -R 999:999 "$root/var/lib/postgresql" "$root/var/run/postgresql"
  chmod 0700 "$root/var/lib/postgresql/data"
  chmod 3777 "$root/var/run/postgresql"
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt
  ;;
esac
