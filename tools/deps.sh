#!/bin/bash
# Install what the given groups of work need and this machine lacks: tools/deps.sh [--report] GROUP...
#
#   build       compilers and libraries: enough for `make`
#   quickstart  a PostgreSQL of Debian's, its client and openssl: `make quickstart`
#   check       the test runners, linters and drivers: `make check`
#   bench       the peers that `make bench` measures
#   cluster     Patroni, etcd, HAProxy and keepalived: `make cluster`
#   debian13    what makes a folder with a Debian 13: `make check-debian13`, `make deb`
#   works-with  more clients, for `make works-with`
#   site        what makes the manual's static pages: `make site`
#   image       what makes and runs an OCI image: `make image`
#
# For Debian 12 and 13; where names differ, by what the distribution has.
#
# As root, missing packages are installed with apt-get. As anybody else (or with --report) they are only
# named, together with the one command that installs them, and the exit status is 1. Nothing is touched,
# and the package lists are not even refreshed, when everything is there.
set -eu

# The LLVM of the distribution. How code is formatted is judged by version 14 alone, which only Debian 12 has.
case $( (. /etc/os-release && echo "${VERSION_CODENAME:-}") 2>/dev/null || true) in
bookworm) llvm='clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev' ;;
trixie) llvm='clang-19 clang-tidy-19 libclang-rt-19-dev' ;;
*) llvm='clang clang-tidy libclang-rt-dev' ;;
esac

build='build-essential pkg-config meson ninja-build libssl-dev libuv1-dev libsqlite3-dev libmicrohttpd-dev
       libjansson-dev libidn-dev tcl8.6-dev libseccomp-dev uthash-dev libcmocka-dev libpq-dev libyaml-dev libcurl4-openssl-dev'
quickstart='openssl'
check="openssl procps iproute2 curl python3-pytest python3-pytest-xdist python3-psycopg python3-cryptography python3-hypothesis
       $llvm pgbouncer gnutls-bin prometheus python3-selenium chromium chromium-driver libnss3-tools
       haproxy keepalived python3-psycopg-pool libhikaricp-java libslf4j-java
       python3-yaml python3-psycopg2 python3-gevent python3-asyncpg ruby-pg php-cli php-pgsql zsh fish pebble uacme dehydrated lego certbot"
cluster='patroni etcd-server etcd-client python3-etcd iproute2 haproxy keepalived'
debian13='debootstrap debian-archive-keyring'
works_with='python3-sqlalchemy python3-django libhikaricp-java odbc-postgresql unixodbc pgloader golang-go
            golang-github-jackc-pgx-v4-dev golang-github-lib-pq-dev'
site='mkdocs mandoc'
image='mmdebstrap umoci dpkg-dev runc crun'
bench='pgbouncer haproxy stunnel4 libcmocka-dev python3-psycopg python3-cryptography'

report=no
if [ "${1:-}" = --report ]; then
    report=yes
    shift
fi

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Any PostgreSQL server of Debian's (or apt.postgresql.org's) will do, whatever its version.
have_server() {
    local initdb
    for initdb in /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$initdb" ] && return 0
    done
    return 1
}

if ! command -v dpkg-query >/dev/null; then
    echo "deps: this is not a Debian system; the packages needed are: $build $quickstart $check $bench postgresql" >&2
    exit 0
fi

missing=''
need() {
    local package
    for package in "$@"; do
        case " $missing " in *" $package "*) continue ;; esac
        installed "$package" || missing="$missing $package"
    done
}
need_server() {
    have_server || need postgresql
    command -v psql >/dev/null || need postgresql-client
}
# node and npm often come from elsewhere, and Debian's packages conflict with those.
need_node() {
    command -v node >/dev/null || need nodejs
    command -v npm >/dev/null || need npm
}

# Google's package has the same file as Debian's.
need_kubectl() {
    command -v kubectl >/dev/null || need kubernetes-client
}
# pgJDBC is one jar; its tests are Java sources, and any JDK runs those.
need_java() {
    command -v javac >/dev/null || need default-jdk-headless
    need libpostgresql-jdbc-java
}

for group in "$@"; do
    case $group in
    build) need $build ;;
    quickstart) need $quickstart; need_server ;;
    check) need $check; need_server; need_node; need_java; need_kubectl ;;
    bench) need $bench; need_server ;;
    cluster) need $cluster; need_server ;;
    debian13) need $debian13 ;;
    image) need $image ;;
    works-with) need $works_with; need_server; need_node; need_java ;;
    site) need $site ;;
    *) echo "deps: unknown group \"$group\": build, quickstart, check, bench, cluster, debian13, image, works-with or site" >&2; exit 2 ;;
    esac
done
missing=${missing# }
[ -n "$missing" ] || exit 0

if [ "$report" = yes ] || [ "$(id -u)" -ne 0 ]; then
    printf 'These Debian packages are missing; install them with\n\n    sudo apt-get install --no-install-recommends %s\n\n' \
        "$missing" >&2
    exit 1
fi

echo "deps: installing $missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    apt-get -qq update &&
        apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install $missing
} </dev/null >"$log" 2>&1 || {
    cat "$log" >&2
    echo "deps: apt-get failed, see above" >&2
    exit 1
}
