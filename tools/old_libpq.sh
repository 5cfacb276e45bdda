#!/bin/bash
# Put the libpq of PostgreSQL 15.18 into a build directory: tools/old_libpq.sh BUILD
#
# It leaves what it has no room for inside OpenSSL and waits for the socket, which its releases of August 2026 no
# longer do; drivers bring such a libpq along for years. The installed library is copied while it is that one,
# otherwise Debian's package is taken. Where neither is to be had, the test that needs it is skipped.
set -eu
version=15.18-0+deb12u1
mkdir -p "$1/old-libpq"
cd "$1/old-libpq"
[ ! -e libpq.so.5 ] || exit 0

if [ "$(dpkg-query -W -f='${Version}' libpq5 2>/dev/null)" = "$version" ]; then
    cp -L "$(dpkg-query -L libpq5 | grep '/libpq\.so\.5$')" libpq.so.5
    exit 0
fi
fetch() {
    timeout 120 apt-get -qq download "libpq5=$version" </dev/null >/dev/null 2>&1
}
if apt-cache madison libpq5 2>/dev/null | grep -qF " $version " && fetch; then
    dpkg-deb -x libpq5_*.deb package
    cp -L package/usr/lib/*/libpq.so.5 libpq.so.5
    rm -rf package libpq5_*.deb
else
    echo "old_libpq.sh: no libpq5 $version to be had: the test of results read with it will be skipped" >&2
fi
