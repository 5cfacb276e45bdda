#!/bin/bash
# A program without its optional parts names what it lacks: tests/bare.sh PROGRAM
set -eu
pgseal=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

says() { # TEXT COMMAND...: it fails, and says so
    local text=$1
    shift
    if "$@" >"$work/said" 2>&1; then
        echo "bare: no failure: $*" >&2
        exit 1
    fi
    grep -qF "$text" "$work/said" || {
        cat "$work/said" >&2
        echo "bare: nothing about \"$text\": $*" >&2
        exit 1
    }
}

"$pgseal" init "$work/gate" --host localhost >/dev/null
"$pgseal" serve -D "$work/gate" --check >/dev/null
says 'HTTP is not supported by this build' timeout 20 "$pgseal" serve -D "$work/gate" -c http_listen=127.0.0.1:9188 -c listen_addresses=
says 'HTTP is not supported by this build' timeout 20 "$pgseal" monitor --listen 127.0.0.1:9188 "$work/gate"
printf 'scope: main\nrestapi:\n  listen: 127.0.0.1:8008\npostgresql:\n  listen: 127.0.0.1:5432\n' >"$work/patroni.yml"
"$pgseal" audit "$work/patroni.yml" >"$work/said" || true
grep -qF 'YAML is not supported by this build' "$work/said"
says 'HTTPS is not supported by this build' "$pgseal" serve -D "$work/gate" --check \
    -c upstream='host=a,b sslmode=disable target_session_attrs=primary' -c upstream_check_url='https://%h:8008/primary'
echo 'bare: ok'
