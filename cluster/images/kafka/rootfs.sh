set -eu
[ "$1" = customize ] || exit 0
root=$2
echo 'appuser:x:1000:1000::/home/appuser:/bin/bash' >>"$root/etc/passwd"
echo 'appuser:x:1000:' >>"$root/etc/group"
mkdir -p "$root/var/lib/kafka/data" "$root/etc/kafka" "$root/opt/kafka"
chown -R 1000:1000 "$root/var/lib/kafka"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt
