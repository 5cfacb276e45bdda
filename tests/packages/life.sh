# The life of the package on a machine that has just been booted: installed, configured, started, reloaded, restarted,
# upgraded, removed, purged. /src/out holds the packages. Run by tests/packages/boot.sh, as root.

step() {
    echo "  $*"
}
fail() {
    echo "FAILED: $*" >&2
    systemctl --no-pager --full status pgseal >&2 || true
    journalctl --no-pager -n 30 >&2 || true
    exit 1
}
gate() { # what verify-full gets of the application's database
    PGPASSWORD=secret PGCONNECT_TIMEOUT=10 psql -XAtc "$1" \
        "host=localhost port=6432 user=app dbname=app sslmode=verify-full sslrootcert=/root/ca.crt"
}
answers() {
    [ "$(gate 'SHOW pgseal.version')" = TLSv1.3 ] || fail "verify-full got no answer: $*"
}
main_pid() {
    systemctl show --property=MainPID --value pgseal
}

package=$(ls /src/out/pgseal_*.deb)

step 'installed: enabled, and waiting for a directory'
dpkg -i "$package" >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; fail 'dpkg -i'; }
[ "$(systemctl is-enabled pgseal)" = enabled ] || fail 'not enabled'
[ "$(systemctl is-enabled pgseal-rotate.timer)" = enabled ] || fail 'the timer is not enabled'
[ "$(systemctl is-enabled pgseal-monitor || true)" = disabled ] || fail 'the monitor is not disabled'
[ "$(systemctl is-active pgseal || true)" = inactive ] || fail 'it runs without a configuration'
[ "$(systemctl is-active pgseal-monitor || true)" = inactive ] || fail 'the monitor runs'
[ "$(stat -c '%U %G %a' /etc/pgseal)" = 'pgseal pgseal 700' ] || fail '/etc/pgseal'
[ "$(stat -c '%U %G %a' /var/lib/pgseal)" = 'pgseal pgseal 700' ] || fail '/var/lib/pgseal'

step 'configured and started'
runuser -u postgres -- psql -qXc "CREATE ROLE app LOGIN PASSWORD 'secret'" -c 'CREATE DATABASE app OWNER app'
sed -i '1i local all app scram-sha-256' /etc/postgresql/*/main/pg_hba.conf
systemctl reload postgresql
runuser -u pgseal -- pgseal init /etc/pgseal --host localhost --upstream 'host=/var/run/postgresql' >/root/init.log
echo 'port = 6432' >>/etc/pgseal/pgseal.conf
cp /etc/pgseal/tls/ca.crt /root/ca.crt
systemctl start pgseal || fail 'start'
answers 'after the start'
[ "$(ps -o user= -p "$(main_pid)")" = pgseal ] || fail 'it does not run as pgseal'
journalctl -u pgseal | grep -q 'event=confined writing="own directories"' || fail 'files are not confined in the unit'
journalctl -u pgseal | grep -q 'event=confined system_calls=listed' || fail 'system calls are not confined in the unit'

step 'reloaded: a good file counts, a bad one is refused and changes nothing'
systemctl reload pgseal || fail 'reload'
cp -p /etc/pgseal/pg_hba.conf /root/pg_hba.conf
echo 'hostssl all all nonsense' >>/etc/pgseal/pg_hba.conf
! systemctl reload pgseal 2>/root/reload.log || fail 'a bad file was taken'
answers 'after a refused reload'
cp -p /root/pg_hba.conf /etc/pgseal/pg_hba.conf
systemctl reload pgseal || fail 'reload'

step 'restarted'
before=$(main_pid)
systemctl restart pgseal || fail 'restart'
[ "$(main_pid)" != "$before" ] || fail 'the same process after a restart'
answers 'after a restart'

step 'the timer: it starts the unit, which renews, and the gate serves what is new'
served() {
    openssl s_client -connect localhost:6432 -starttls postgres </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256
}
systemctl start pgseal-rotate.service || fail 'rotate'
[ "$(systemctl is-active pgseal-rotate.timer)" = active ] || fail 'the timer does not run'
before=$(served)
mkdir -p /var/lib/prometheus/node-exporter /run/systemd/system/pgseal-rotate.timer.d
metrics=/var/lib/prometheus/node-exporter/pgseal.prom
echo "PGSEAL_ROTATE=--force --textfile $metrics" >/etc/default/pgseal-rotate
printf '[Timer]\nOnCalendar=\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=100ms\n' \
    >/run/systemd/system/pgseal-rotate.timer.d/now.conf
systemctl daemon-reload
systemctl restart pgseal-rotate.timer
tries=0
until [ -e $metrics ]; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { journalctl --no-pager -u pgseal-rotate >&2; fail 'the timer started nothing'; }
    sleep 0.1
done
[ -n "$before" ] && [ "$(served)" != "$before" ] || fail 'the old certificate is still served'
grep -q '^pgseal_rotate_failed{.*pair="server",step=""} 0' $metrics || { cat $metrics >&2; fail 'metrics'; }
[ "$(stat -c '%U %a' /etc/pgseal/tls/server.pairs/live/server.key)" = 'pgseal 600' ] || fail "the new key's owner"
answers 'after a renewal'
echo 'PGSEAL_ROTATE=--no-such-option' >/etc/default/pgseal-rotate
! systemctl start pgseal-rotate.service 2>/dev/null || fail 'a failure of the command is none of the unit'
rm -r /etc/default/pgseal-rotate /run/systemd/system/pgseal-rotate.timer.d
systemctl daemon-reload

step 'the monitor: started by hand, it asks the gate and tells Prometheus'
systemctl start pgseal-monitor || fail 'the monitor does not start'
tries=0
until perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new("127.0.0.1:9188") or exit 1; print $s "GET /metrics HTTP/1.0\r\n\r\n";
    print <$s>' >/root/metrics && grep -q '^pgseal_monitor_served_matches{target="/etc/pgseal",kind="server",.*} 1' /root/metrics; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { cat /root/metrics; journalctl --no-pager -u pgseal-monitor >&2; fail 'the monitor'; }
    sleep 0.1
done
monitor=$(systemctl show --property=MainPID --value pgseal-monitor)

step 'upgraded: a later package takes the gate over, and a session goes on'
later() { # a package of a later version, $1, whose program $2 makes
    rm -rf /root/later
    dpkg-deb -R "$package" /root/later
    sed -i "s/^Version: .*/&+$1/" /root/later/DEBIAN/control
    $2 /root/later/usr/bin/pgseal
    dpkg-deb -b /root/later /root/later.deb >/dev/null
    dpkg -i /root/later.deb >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; fail "upgrade to $1"; }
}
gate_pid() {
    pgrep -P "$(main_pid)" -f 'pgseal serve' | tail -n 1
}
asked() { # the session that is open all the time
    echo "SELECT '$1', pg_backend_pid();" >&3
    read -r answer <&4
    [ "${answer%%|*}" = "$1" ] || fail "the session got: $answer"
}
another() { # the same program, in another file
    printf x >>"$1"
}
mkfifo /root/questions /root/answers
PGPASSWORD=secret psql -XAtq "host=localhost port=6432 user=app dbname=app sslmode=verify-full sslrootcert=/root/ca.crt" \
    </root/questions >/root/answers 2>&1 &
exec 3>/root/questions 4</root/answers
asked before
first=$answer before=$(main_pid) gate=$(gate_pid)
later 1 another
grep -q 'the gate runs the new program: 1 session moved' /root/dpkg.log || { cat /root/dpkg.log; fail 'no word of the upgrade'; }
[ "$(systemctl is-active pgseal)" = active ] || fail 'not active after an upgrade'
[ "$(main_pid)" = "$before" ] || fail 'the main process changed'
[ "$(gate_pid)" != "$gate" ] || fail 'the old gate still serves'
systemctl is-active --quiet pgseal-monitor && [ "$(systemctl show --property=MainPID --value pgseal-monitor)" != "$monitor" ] ||
    fail 'the monitor runs the old program'
readlink "/proc/$before/exe" | grep -q '/usr/bin/pgseal$' || fail 'the parent runs a program that is not there any more'
asked before
[ "$answer" = "$first" ] || fail 'the session has another backend'
answers 'after an upgrade'
systemctl reload pgseal || fail 'reload after an upgrade'

step 'not upgraded: a program that cannot take over leaves the gate alone'
useless() {
    printf '#!/bin/sh\ncase "$*" in *--check) exit 0 ;; serve*) exit 1 ;; esac\nexec /root/pgseal "$@"\n' >"$1"
    chmod 755 "$1"
}
cp /usr/bin/pgseal /root/pgseal
gate=$(gate_pid)
later 2 useless
grep -q 'systemctl restart pgseal' /root/dpkg.log || { cat /root/dpkg.log; fail 'silent about a refused upgrade'; }
[ "$(systemctl is-active pgseal)" = active ] || fail 'not active after a refused upgrade'
[ "$(gate_pid)" = "$gate" ] || fail 'another gate after a refused upgrade'
asked before
[ "$answer" = "$first" ] || fail 'the session has another backend'
later 3 another
grep -q 'the gate runs the new program' /root/dpkg.log || { cat /root/dpkg.log; fail 'no upgrade after a refused one'; }
asked before
[ "$answer" = "$first" ] || fail 'the session has another backend'

step 'not upgraded: where the new program refuses the files, or cannot be loaded, a restart is advised against'
gate=$(gate_pid)
stays() {
    [ "$(systemctl is-active pgseal)" = active ] && [ "$(gate_pid)" = "$gate" ] || fail "another gate: $*"
    asked before
    [ "$answer" = "$first" ] || fail 'the session has another backend'
    grep -q 'do not restart it before .*: pgseal serve -D /etc/pgseal --check$' /root/dpkg.log || { cat /root/dpkg.log; fail "silent: $*"; }
    ! grep -q 'systemctl restart' /root/dpkg.log || fail "a restart was advised: $*"
}
echo 'hostssl all all nonsense' >>/etc/pgseal/pg_hba.conf
later 4 another
stays 'files that are refused'
grep -q '/etc/pgseal/pg_hba.conf:[0-9]*: ERROR: ' /root/dpkg.log || { cat /root/dpkg.log; fail 'the line was not named'; }
! pgseal serve -D /etc/pgseal --check >/root/check.log 2>&1 || fail 'what was advised shows nothing'
cp -p /root/pg_hba.conf /etc/pgseal/pg_hba.conf
pgseal upgrade -D /etc/pgseal >/root/upgrade.log || fail 'what was advised does not upgrade'
[ "$(gate_pid)" != "$gate" ] || fail 'the old gate still serves'
gate=$(gate_pid)
unloadable() { # as without a library that it needs
    sed -i 's,libjansson\.so\.4,libjansson.so.X,' "$1"
    ! "$1" --version 2>/dev/null || fail 'it can be loaded'
}
later 5 unloadable
stays 'a program that cannot be loaded'

step 'not configured: what a failed installation has left, apt mends'
printf '#!/bin/sh\nexit 1\n' >/usr/local/sbin/systemd-sysusers
chmod 755 /usr/local/sbin/systemd-sysusers
! (later 6 another) >/dev/null 2>&1 || fail 'an error of postinst was ignored'
[ "$(dpkg-query -W -f '${db:Status-Status}' pgseal)" = half-configured ] || fail 'the status after a failed installation'
[ "$(gate_pid)" = "$gate" ] || fail 'another gate after a failed installation'
asked before
rm /usr/local/sbin/systemd-sysusers
apt-get -f -y install >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; fail 'apt -f install'; }
grep -q 'the gate runs the new program: 1 session moved' /root/dpkg.log || { cat /root/dpkg.log; fail 'no upgrade by apt -f install'; }
[ "$(dpkg-query -W -f '${db:Status-Status}' pgseal)" = installed ] || fail 'apt -f install has not mended it'
asked before
[ "$answer" = "$first" ] || fail 'the session has another backend'
exec 3>&- 4<&-
answers 'after another upgrade'

step 'removed: it is stopped, and its files stay'
dpkg -r pgseal >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; fail 'removal'; }
! pgrep -x pgseal >/dev/null || fail 'it still runs'
[ -e /etc/pgseal/pgseal.conf ] || fail 'the configuration went with the package'

step 'installed again: the same certificates are served'
keys() {
    find /etc/pgseal -type f -name '*.key' -exec sha256sum {} + | sort
}
before=$(keys)
dpkg -i "$package" >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; fail 'dpkg -i after a removal'; }
[ "$(systemctl is-active pgseal)" = active ] || fail 'not active after it was installed again'
answers 'after it was installed again'
[ "$(keys)" = "$before" ] || fail 'other keys after it was installed again'
! grep -q 'the new program' /root/dpkg.log || { cat /root/dpkg.log; fail 'upgraded from itself'; }

step 'purged: keys are left, and named'
mkdir -p /var/lib/pgseal/private/acme
openssl genpkey -algorithm ED25519 -out /var/lib/pgseal/private/acme/account.pem
before=$(keys)
dpkg -P pgseal >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; fail 'purge'; }
named() {
    grep -qx -- "$1" /root/dpkg.log || { cat /root/dpkg.log; fail "purge does not say: $1"; }
}
[ "$(keys)" = "$before" ] && [ -e /etc/pgseal/ca/ca.key ] || fail 'keys were removed'
for dir in /etc/pgseal /var/lib/pgseal; do
    named "pgseal: $dir is left, with these private keys; remove it with: rm -r $dir"
done
for key in $(find /etc/pgseal -type f -name '*.key') /var/lib/pgseal/private/acme/account.pem; do
    named "    $key"
done
grep -q '^pgseal: without the key of a certificate authority (ca.key)' /root/dpkg.log || fail 'the CA was not named'

step 'purged once more, without keys: nothing is left'
rm -r /etc/pgseal /var/lib/pgseal
dpkg -i "$package" >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; fail 'dpkg -i after a purge'; }
touch /var/lib/pgseal/pgseal.clients
dpkg -P pgseal >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; fail 'purge'; }
[ ! -e /var/lib/pgseal ] && [ ! -e /etc/pgseal ] || fail 'a directory without keys is left'
! grep '^pgseal: ' /root/dpkg.log || fail 'something was named that is not left'
