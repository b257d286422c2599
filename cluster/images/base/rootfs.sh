# An unpacked package has not run its scripts: users, and the bundle of certificates that programs look for.
set -eu
[ "$1" = extract ] || exit 0
cd "$2"
mkdir -p etc/ssl/certs tmp
chmod 1777 tmp
echo 'root:x:0:0:root:/root:/sbin/nologin' >etc/passwd
echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >>etc/passwd
echo 'root:x:0:' >etc/group
echo 'nonroot:x:65532:' >>etc/group
find usr/share/ca-certificates -name '*.crt' | LC_ALL=C sort | xargs cat >etc/ssl/certs/ca-certificates.crt
# Traces of this machine.
rm -f etc/hostname etc/resolv.conf etc/fstab
