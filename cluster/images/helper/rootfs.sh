set -eu
[ "$1" = extract ] || exit 0
cd "$2"
mkdir -p bin tmp
chmod 1777 tmp
for name in sh mkdir rm chmod chown ls cat; do ln -sf busybox "bin/$name"; done
# Traces of this machine.
rm -f etc/hostname etc/resolv.conf etc/fstab
