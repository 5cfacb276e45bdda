#compdef pgseal
# Made by tools/tabledoc_completion.c from tables/commands.def; edit that.
_pgseal() {
    local verb='' word
    local -a commands
    commands=(
        'help:show the help of a command, or of one of its verbs'
        'serve:run the gate in the foreground'
        'reload:reload a running gate, and report the result'
        'upgrade:replace the program of a running gate, without ending its sessions'
        'init:create a gate'\''s directory\: private CA, certificate, settings, rules'
        'ca:create, show and roll over the private CA'
        'cert:issue, renew, revoke and check certificates'
        'hba:parse a pg_hba.conf file'
        'ident:parse a pg_ident.conf file'
        'hosts:parse a pg_hosts.conf file'
        'explain:show which rule decides a connection, and why'
        'audit:find errors and weaknesses in a configuration'
        'probe:examine servers from outside\: what each sslmode connects to and verifies'
        'monitor:show how long the certificates and revocation lists in use remain valid'
        'psql:run psql on the status database of a gate'
        'harden:fix what the audit finds\: show the changes, apply and verify them, undo them'
        'rotate:renew certificates that are due, check them as clients would, and load them'
    )
    if (( CURRENT == 2 )); then
        _describe -t commands 'command' commands
        return
    fi
    for word in ${words[3,CURRENT-1]}; do
        case "$words[2] $word" in
        'ca init'|'ca show'|'ca crl'|'ca rollover'|'cert issue'|'cert sign'|'cert renew'|'cert revoke'|'cert show'|'cert verify'|'cert list') verb=$word; break ;;
        esac
    done
    case "$words[2] $verb" in
    'help ')
        _arguments -s -S \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:command:(help serve reload upgrade init ca cert hba ident hosts explain audit probe monitor psql harden rotate)' ;;
    'serve ')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory]:DIR:_files -/' \
            -c+'[set a setting, overriding the files; may be repeated]:NAME=VALUE: ' \
            --check'[load all files, test what a start needs, report every error, and exit, with status 1 if the gate would not start]' \
            --login'[with --check: also connect to every upstream server, and with auth_source = query log in and read a secret]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    'reload ')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory]:DIR:_files -/' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    'upgrade ')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory]:DIR:_files -/' \
            --binary='[the new program (default: what lies now at the path by which the gate was started; a symbolic link is followed anew)]:FILE:_files' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    'init ')
        _arguments -s -S \
            --host='[a name or address clients will use; goes into the certificate; may be repeated (default: this machine'\''s name and localhost)]:NAME: ' \
            --upstream='[the upstream PostgreSQL server (default: host=/var/run/postgresql port=5432)]:CONNINFO: ' \
            --port='[the TCP port the gate will listen on (default: 6432, with --companion 5432)]:N: ' \
            --listen='[the addresses the gate will listen on (default: all with --host, else localhost; with --companion none)]:ADDRESSES: ' \
            --days='[how long certificates are valid (default: 90)]:N: ' \
            --companion'[a gate beside an application that cannot do verify-full: a socket without TLS for the application, verified TLS to --upstream]' \
            --user='[also issue a client certificate for this user]:NAME: ' \
            --ca-passphrase'[protect the CA'\''s key with a passphrase asked on the terminal]' \
            --ca-passphrase-file='[... which is the first line of this file]:FILE:_files' \
            --ca-passphrase-command='[... which is the first line of this command'\''s output]:COMMAND: ' \
            --force'[write into a directory that is not empty; existing files are never replaced]' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument:_files -/' ;;
    'ca ')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, unless its directory is named as well]:DIR:_files -/' \
            --name='[the CA'\''s common name (default: "pgseal CA" and this machine'\''s name; rollover: the old one'\''s with the next number)]:NAME: ' \
            --org='[its organization]:NAME: ' \
            --key='[key type: ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]:KIND:(ecdsa-p256 ecdsa-p384 rsa-2048 rsa-3072 rsa-4096 ed25519)' \
            --days='[how long the CA is valid (default: 3650)]:N: ' \
            --path-length='[how many CAs may follow below it in a chain (default: 0)]:N|none: ' \
            --permit='[limit what it may sign: dns:DOMAIN, ip:NETWORK/BITS, email:DOMAIN, uri:HOST; a leading ! excludes; may be repeated]:NAME: ' \
            --passphrase'[protect its key with a passphrase asked on the terminal; crl: ask for it]' \
            --passphrase-file='[... which is the first line of this file]:FILE:_files' \
            --passphrase-command='[... which is the first line of this command'\''s output]:COMMAND: ' \
            --crl-days='[how long the revocation list is valid (default: 365)]:N: ' \
            --bundle='[rollover start: the CA is not the gate'\''s own, and this file has its new roots]:FILE:_files' \
            --replaces='[... and this one the roots that they replace (default: those of the server'\''s certificate)]:FILE:_files' \
            --seen='[rollover: only clients seen within this many days count (default: 30)]:DAYS: ' \
            --accept='[rollover: go on even if clients of this user, address or application are not ready; may be repeated]:NAME: ' \
            --force'[replace an existing CA; rollover: go on even if clients are not ready, and print which will fail]' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2:verb:(init show crl rollover)' ;;
    'ca init')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, unless its directory is named as well]:DIR:_files -/' \
            --name='[the CA'\''s common name (default: "pgseal CA" and this machine'\''s name; rollover: the old one'\''s with the next number)]:NAME: ' \
            --org='[its organization]:NAME: ' \
            --key='[key type: ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]:KIND:(ecdsa-p256 ecdsa-p384 rsa-2048 rsa-3072 rsa-4096 ed25519)' \
            --days='[how long the CA is valid (default: 3650)]:N: ' \
            --path-length='[how many CAs may follow below it in a chain (default: 0)]:N|none: ' \
            --permit='[limit what it may sign: dns:DOMAIN, ip:NETWORK/BITS, email:DOMAIN, uri:HOST; a leading ! excludes; may be repeated]:NAME: ' \
            --passphrase'[protect its key with a passphrase asked on the terminal; crl: ask for it]' \
            --passphrase-file='[... which is the first line of this file]:FILE:_files' \
            --passphrase-command='[... which is the first line of this command'\''s output]:COMMAND: ' \
            --force'[replace an existing CA; rollover: go on even if clients are not ready, and print which will fail]' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument:_files -/' ;;
    'ca show')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, unless its directory is named as well]:DIR:_files -/' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument:_files -/' ;;
    'ca crl')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, unless its directory is named as well]:DIR:_files -/' \
            --passphrase'[protect its key with a passphrase asked on the terminal; crl: ask for it]' \
            --passphrase-file='[... which is the first line of this file]:FILE:_files' \
            --passphrase-command='[... which is the first line of this command'\''s output]:COMMAND: ' \
            --crl-days='[how long the revocation list is valid (default: 365)]:N: ' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument:_files -/' ;;
    'ca rollover')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, unless its directory is named as well]:DIR:_files -/' \
            --name='[the CA'\''s common name (default: "pgseal CA" and this machine'\''s name; rollover: the old one'\''s with the next number)]:NAME: ' \
            --key='[key type: ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]:KIND:(ecdsa-p256 ecdsa-p384 rsa-2048 rsa-3072 rsa-4096 ed25519)' \
            --days='[how long the CA is valid (default: 3650)]:N: ' \
            --passphrase'[protect its key with a passphrase asked on the terminal; crl: ask for it]' \
            --passphrase-file='[... which is the first line of this file]:FILE:_files' \
            --passphrase-command='[... which is the first line of this command'\''s output]:COMMAND: ' \
            --bundle='[rollover start: the CA is not the gate'\''s own, and this file has its new roots]:FILE:_files' \
            --replaces='[... and this one the roots that they replace (default: those of the server'\''s certificate)]:FILE:_files' \
            --seen='[rollover: only clients seen within this many days count (default: 30)]:DAYS: ' \
            --accept='[rollover: go on even if clients of this user, address or application are not ready; may be repeated]:NAME: ' \
            --force'[replace an existing CA; rollover: go on even if clients are not ready, and print which will fail]' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument:_files -/' ;;
    'cert ')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, or where --ca says]:DIR:_files -/' \
            --ca='[the CA'\''s directory]:DIR:_files -/' \
            --host='[a name or address of the server; may be repeated; verify: the name to check]:NAME: ' \
            --san='[another alternative name: dns:, ip:, uri:, email:; may be repeated]:NAME: ' \
            --use='[server, client, or both (default: server with --host, else client)]:WORD:(server client both)' \
            --org='[the organization in its subject]:NAME: ' \
            --key='[key type: ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]:KIND:(ecdsa-p256 ecdsa-p384 rsa-2048 rsa-3072 rsa-4096 ed25519)' \
            --days='[how long it is valid (default: 90; renew: as long as before)]:N: ' \
            --self-signed'[no CA: signed by its own key]' \
            --out='[where to write the files (default: DIR/clients of the gate for users, else .)]:DIR:_files -/' \
            --file='[the name of those files, without .crt (default: NAME, with _ for characters that a file name cannot have)]:NAME: ' \
            --owner='[owner of the key (0600), such as postgres]:USER: ' \
            --group='[group that may read the key (0640; the key then belongs to root)]:GROUP: ' \
            --for='[write the files that this client reads, and print its connection string; may be repeated: libpq, psql, psycopg, asyncpg, sqlalchemy, django, jdbc, hikari, npgsql, pgx, lib/pq, node, postgresjs, ruby, php, odbc, pgloader, dbeaver or pgadmin]:DRIVER:(libpq jdbc npgsql node pgx psql psycopg asyncpg sqlalchemy django hikari lib/pq postgresjs ruby php odbc pgloader dbeaver pgadmin)' \
            --server='[the server in those connection strings]:HOST[\:PORT]: ' \
            --passphrase'[protect the key with a passphrase asked on the terminal]' \
            --passphrase-file='[... which is the first line of this file]:FILE:_files' \
            --passphrase-command='[... which is the first line of this command'\''s output]:COMMAND: ' \
            --ca-passphrase-file='[the passphrase of the CA'\''s key is the first line of this file]:FILE:_files' \
            --ca-passphrase-command='[... or of this command'\''s output]:COMMAND: ' \
            --force'[replace existing files]' \
            --keep-key'[renew: keep the old key]' \
            --reason='[revoke: keyCompromise, affiliationChanged, superseded, cessationOfOperation or unspecified (default)]:WORD:(keyCompromise affiliationChanged superseded cessationOfOperation unspecified)' \
            --all'[revoke: every certificate of that name]' \
            --crl-days='[how long the revocation list is valid (default: 365)]:N: ' \
            --root='[verify: the client'\''s sslrootcert, or system (default: DIR/tls/ca.crt)]:FILE:_files' \
            --crl='[verify: the client'\''s sslcrl]:FILE:_files' \
            --key-file='[verify: the private key of the certificate]:FILE:_files' \
            --client'[verify: a client certificate, checked as a server would]' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2:verb:(issue sign renew revoke show verify list)' ;;
    'cert issue')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, or where --ca says]:DIR:_files -/' \
            --ca='[the CA'\''s directory]:DIR:_files -/' \
            --host='[a name or address of the server; may be repeated; verify: the name to check]:NAME: ' \
            --san='[another alternative name: dns:, ip:, uri:, email:; may be repeated]:NAME: ' \
            --use='[server, client, or both (default: server with --host, else client)]:WORD:(server client both)' \
            --org='[the organization in its subject]:NAME: ' \
            --key='[key type: ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]:KIND:(ecdsa-p256 ecdsa-p384 rsa-2048 rsa-3072 rsa-4096 ed25519)' \
            --days='[how long it is valid (default: 90; renew: as long as before)]:N: ' \
            --self-signed'[no CA: signed by its own key]' \
            --out='[where to write the files (default: DIR/clients of the gate for users, else .)]:DIR:_files -/' \
            --file='[the name of those files, without .crt (default: NAME, with _ for characters that a file name cannot have)]:NAME: ' \
            --owner='[owner of the key (0600), such as postgres]:USER: ' \
            --group='[group that may read the key (0640; the key then belongs to root)]:GROUP: ' \
            --for='[write the files that this client reads, and print its connection string; may be repeated: libpq, psql, psycopg, asyncpg, sqlalchemy, django, jdbc, hikari, npgsql, pgx, lib/pq, node, postgresjs, ruby, php, odbc, pgloader, dbeaver or pgadmin]:DRIVER:(libpq jdbc npgsql node pgx psql psycopg asyncpg sqlalchemy django hikari lib/pq postgresjs ruby php odbc pgloader dbeaver pgadmin)' \
            --server='[the server in those connection strings]:HOST[\:PORT]: ' \
            --passphrase'[protect the key with a passphrase asked on the terminal]' \
            --passphrase-file='[... which is the first line of this file]:FILE:_files' \
            --passphrase-command='[... which is the first line of this command'\''s output]:COMMAND: ' \
            --ca-passphrase-file='[the passphrase of the CA'\''s key is the first line of this file]:FILE:_files' \
            --ca-passphrase-command='[... or of this command'\''s output]:COMMAND: ' \
            --force'[replace existing files]' \
            --crl-days='[how long the revocation list is valid (default: 365)]:N: ' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument: ' ;;
    'cert sign')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, or where --ca says]:DIR:_files -/' \
            --ca='[the CA'\''s directory]:DIR:_files -/' \
            --host='[a name or address of the server; may be repeated; verify: the name to check]:NAME: ' \
            --san='[another alternative name: dns:, ip:, uri:, email:; may be repeated]:NAME: ' \
            --use='[server, client, or both (default: server with --host, else client)]:WORD:(server client both)' \
            --days='[how long it is valid (default: 90; renew: as long as before)]:N: ' \
            --out='[where to write the files (default: DIR/clients of the gate for users, else .)]:DIR:_files -/' \
            --file='[the name of those files, without .crt (default: NAME, with _ for characters that a file name cannot have)]:NAME: ' \
            --ca-passphrase-file='[the passphrase of the CA'\''s key is the first line of this file]:FILE:_files' \
            --ca-passphrase-command='[... or of this command'\''s output]:COMMAND: ' \
            --force'[replace existing files]' \
            --crl-days='[how long the revocation list is valid (default: 365)]:N: ' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument:_files' ;;
    'cert renew')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, or where --ca says]:DIR:_files -/' \
            --ca='[the CA'\''s directory]:DIR:_files -/' \
            --host='[a name or address of the server; may be repeated; verify: the name to check]:NAME: ' \
            --san='[another alternative name: dns:, ip:, uri:, email:; may be repeated]:NAME: ' \
            --key='[key type: ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]:KIND:(ecdsa-p256 ecdsa-p384 rsa-2048 rsa-3072 rsa-4096 ed25519)' \
            --days='[how long it is valid (default: 90; renew: as long as before)]:N: ' \
            --for='[write the files that this client reads, and print its connection string; may be repeated: libpq, psql, psycopg, asyncpg, sqlalchemy, django, jdbc, hikari, npgsql, pgx, lib/pq, node, postgresjs, ruby, php, odbc, pgloader, dbeaver or pgadmin]:DRIVER:(libpq jdbc npgsql node pgx psql psycopg asyncpg sqlalchemy django hikari lib/pq postgresjs ruby php odbc pgloader dbeaver pgadmin)' \
            --server='[the server in those connection strings]:HOST[\:PORT]: ' \
            --passphrase'[protect the key with a passphrase asked on the terminal]' \
            --passphrase-file='[... which is the first line of this file]:FILE:_files' \
            --passphrase-command='[... which is the first line of this command'\''s output]:COMMAND: ' \
            --ca-passphrase-file='[the passphrase of the CA'\''s key is the first line of this file]:FILE:_files' \
            --ca-passphrase-command='[... or of this command'\''s output]:COMMAND: ' \
            --keep-key'[renew: keep the old key]' \
            --crl-days='[how long the revocation list is valid (default: 365)]:N: ' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument:_files' ;;
    'cert revoke')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, or where --ca says]:DIR:_files -/' \
            --ca='[the CA'\''s directory]:DIR:_files -/' \
            --ca-passphrase-file='[the passphrase of the CA'\''s key is the first line of this file]:FILE:_files' \
            --ca-passphrase-command='[... or of this command'\''s output]:COMMAND: ' \
            --reason='[revoke: keyCompromise, affiliationChanged, superseded, cessationOfOperation or unspecified (default)]:WORD:(keyCompromise affiliationChanged superseded cessationOfOperation unspecified)' \
            --all'[revoke: every certificate of that name]' \
            --crl-days='[how long the revocation list is valid (default: 365)]:N: ' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument:_files' ;;
    'cert show')
        _arguments -s -S \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument:_files' ;;
    'cert verify')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, or where --ca says]:DIR:_files -/' \
            --ca='[the CA'\''s directory]:DIR:_files -/' \
            --host='[a name or address of the server; may be repeated; verify: the name to check]:NAME: ' \
            --passphrase'[protect the key with a passphrase asked on the terminal]' \
            --passphrase-file='[... which is the first line of this file]:FILE:_files' \
            --passphrase-command='[... which is the first line of this command'\''s output]:COMMAND: ' \
            --root='[verify: the client'\''s sslrootcert, or system (default: DIR/tls/ca.crt)]:FILE:_files' \
            --crl='[verify: the client'\''s sslcrl]:FILE:_files' \
            --key-file='[verify: the private key of the certificate]:FILE:_files' \
            --client'[verify: a client certificate, checked as a server would]' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument:_files' ;;
    'cert list')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory; the CA is in DIR/ca, or where --ca says]:DIR:_files -/' \
            --ca='[the CA'\''s directory]:DIR:_files -/' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '2: : ' \
            '*:argument: ' ;;
    'hba ')
        _arguments -s -S \
            --pg-version='[parse as this major version (default 18)]:N: ' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument:_files' ;;
    'ident ')
        _arguments -s -S \
            --pg-version='[parse as this major version (default 18)]:N: ' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument:_files' ;;
    'hosts ')
        _arguments -s -S \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument:_files' ;;
    'explain ')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory]:DIR:_files -/' \
            --running'[the rules the running gate has in force, even if its files have changed since]' \
            --hba='[a rule file, instead of the gate'\''s]:FILE:_files' \
            --driver='[the driver of a connection string that does not show it: libpq (default), pgx, lib/pq, node, ...]:NAME[@VERSION]: ' \
            --ident='[a map file, instead of the gate'\''s]:FILE:_files' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    'audit ')
        _arguments -s -S \
            --conninfo='[ask this running server through libpq, as psql would connect]:CONNINFO: ' \
            --driver='[the driver of connection strings that do not show it: libpq (default), pgx, lib/pq, node, ...]:NAME[@VERSION]: ' \
            --profile='[judge by the severities of default, cis (cis-16, cis-17, cis-18), stig, pci, bsi, mozilla-intermediate or mozilla-modern]:NAME:(default cis cis-16 cis-17 cis-18 stig pci bsi mozilla-intermediate mozilla-modern)' \
            --fail-on='[the lowest severity that gives exit status 1: high, medium (default), low, info, or none]:SEVERITY:(high medium low info none)' \
            --baseline='[an earlier report made with --json, whose findings do not count]:FILE:_files' \
            --pg-version='[the major version for a pg_hba.conf given by itself (default 18)]:N: ' \
            --rehearse='[replay proposed rules, a pg_hba.conf or a directory with one, against the known clients]:NEW: ' \
            --log='[with --rehearse: a server'\''s log with log_connections; may be repeated]:FILE:_files' \
            --sarif'[print the findings as SARIF 2.1.0, for code scanning]' \
            --html'[print the report as one page, with a map of the rules and a timeline of certificates]' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    'probe ')
        _arguments -s -S \
            --rootcert='[CA certificates to verify with, or "system" (sslrootcert)]:FILE:_files' \
            --crl='[revocation list to verify with (sslcrl)]:FILE:_files' \
            --cert='[client certificate to present (sslcert)]:FILE:_files' \
            --key='[its key (sslkey)]:FILE:_files' \
            --driver='[the driver of a CONNINFO that does not show it: libpq (default), pgx, lib/pq, node, ...]:NAME[@VERSION]: ' \
            --address='[connect to this address instead of the host'\''s; certificates must still be for the host (hostaddr)]:ADDRESS: ' \
            {-U+,--user=}'[user to connect as (default: as psql)]:NAME: ' \
            {-d+,--dbname=}'[database to connect to (default: the user'\''s name)]:NAME: ' \
            --send-password'[log in with the password of PGPASSWORD or the password file, or with scram_client_key and scram_server_key]' \
            {-q,--quick}'[skip protocol versions, ciphers and groups]' \
            {-t+,--timeout=}'[how long each connection may take (default: 5)]:SECONDS: ' \
            {-j+,--jobs=}'[endpoints to examine in parallel (default: 16)]:N: ' \
            --nagios'[one line and status 0, 1, 2 or 3 as a monitoring plugin]' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    'monitor ')
        _arguments -s -S \
            --days='[give a warning, or be critical, below this many days left, instead of by fractions of the lifetime]:W,C: ' \
            --rootcert='[verify the chains of endpoints with these CA certificates, or "system"]:FILE:_files' \
            --crl='[revocation lists for the certificates of endpoints]:FILE:_files' \
            --negotiation='[how to start TLS with endpoints: auto, postgres, direct or tls (default: auto)]:HOW:(auto postgres direct tls)' \
            {-t+,--timeout=}'[how long each endpoint may take (default: 5)]:SECONDS: ' \
            --nagios'[one line and status 0, 1, 2 or 3 as a monitoring plugin]' \
            --textfile='[write metrics there, for the textfile collector of node_exporter]:FILE:_files' \
            --listen='[serve metrics at http://ADDRESS/metrics: HOST:PORT, or the path of a Unix-domain socket]:ADDRESS: ' \
            --interval='[with --listen: how often to examine the targets (default: 60)]:SECONDS: ' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    'psql ')
        _arguments -s -S \
            {-D+,--directory=}'[the gate'\''s directory]:DIR:_files -/' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    'harden ')
        _arguments -s -S \
            --apply'[make the changes and verify them, or restore everything]' \
            --undo'[undo what the last --apply changed; the CA and certificate stay]' \
            --only='[only findings with this id, such as tls_off, even of severity info; may be repeated]:ID: ' \
            --keep='[leave findings with this id as they are; may be repeated]:ID: ' \
            --host='[a name or address that clients use for the server, for its certificate; may be repeated (default: the machine'\''s)]:NAME: ' \
            --state='[the directory of the CA, the certificate, and the backups (default: DIR/harden for a gate; for a PostgreSQL server pgseal/ beside its configuration, or pgseal-NAME beside the data directory)]:DIR:_files -/' \
            --conf-d'[write settings to 99-pgseal.conf in the directory that include_dir names]' \
            --alter-system'[write settings to postgresql.auto.conf, and print them as ALTER SYSTEM]' \
            --conninfo='[log in to the running server with this, as a superuser (default: over its socket, as the account that it runs under)]:CONNINFO: ' \
            --accept-loss='[go on even if clients of this user, application or address would be refused; may be repeated]:NAME: ' \
            --force'[restore files even if they have been edited since; the edited files are kept beside the backups]' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    'rotate ')
        _arguments -s -S \
            {-D+,--directory=}'[the target]:DIR:_files -/' \
            --pair='[only this pair, such as server; may be repeated]:NAME: ' \
            --clients'[also the client certificates in DIR/clients that the gate'\''s own CA issued]' \
            --force'[renew now, due or not, and do not wait after failures]' \
            {-n,--dry-run}'[show what would be done, and change nothing]' \
            --state='[the directory of rotate.conf and of the files that rotate writes (default: DIR for a gate; for a PostgreSQL server pgseal/ beside its configuration, or pgseal-NAME beside the data directory)]:DIR:_files -/' \
            --textfile='[write metrics for node_exporter'\''s textfile collector]:FILE:_files' \
            --json'[print JSON]' \
            {-v,--verbose}'[print more; may be repeated]' \
            --color='[colors: auto (on a terminal), always or never]:WHEN:(auto always never)' \
            {-h,--help}'[show this and exit]' \
            '1: : ' \
            '*:argument: ' ;;
    esac
}
_pgseal "$@"
