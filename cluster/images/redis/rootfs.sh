# The official image's user is 999; Debian's package would take the next free id below 1000.
set -eu
root=$2
case $1 in
essential)
  echo 'redis:x:999:999:Redis:/data:/usr/sbin/nologin' >>"$root/etc/passwd"
  echo 'redis:x:999:' >>"$root/etc/group"
  ;;
customize)
  mkdir -p "$root/data"
  chown 999:999 "$root/data"
  rm -rf "$root"/var/lib/redis "$root"/etc/redis "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*
  ;;
esac
