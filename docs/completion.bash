# Made by tools/tabledoc_completion.c from tables/commands.def; edit that.
# bash completion of pgseal(1)
_pgseal()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} verb='' options='' arguments='' word
    COMPREPLY=()
    # bash cuts --option=value at the equals sign.
    if [ "$current" = = ]; then
        current=''
    elif [ "$previous" = = ]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
        case "$command $word" in
        'ca init'|'ca show'|'ca crl'|'ca rollover'|'cert issue'|'cert sign'|'cert renew'|'cert revoke'|'cert show'|'cert verify'|'cert list') verb=$word; break ;;
        esac
    done
    case "$command $verb" in
    'help ') options='--verbose --help ' ;;
    'serve ') options='--directory --check --login --verbose --help ' ;;
    'reload ') options='--directory --json --verbose --help ' ;;
    'upgrade ') options='--directory --binary --json --verbose --help ' ;;
    'init ') options='--host --upstream --port --listen --days --companion --user --ca-passphrase --ca-passphrase-file --ca-passphrase-command --force --json --verbose --help ' arguments=directories ;;
    'ca ') options='--directory --name --org --key --days --path-length --permit --passphrase --passphrase-file --passphrase-command --crl-days --bundle --replaces --seen --accept --force --json --verbose --color --help ' arguments='init show crl rollover' ;;
    'ca init') options='--directory --name --org --key --days --path-length --permit --passphrase --passphrase-file --passphrase-command --force --json --verbose --help ' arguments=directories ;;
    'ca show') options='--directory --json --verbose --help ' arguments=directories ;;
    'ca crl') options='--directory --passphrase --passphrase-file --passphrase-command --crl-days --json --verbose --help ' arguments=directories ;;
    'ca rollover') options='--directory --name --key --days --passphrase --passphrase-file --passphrase-command --bundle --replaces --seen --accept --force --json --verbose --color --help ' arguments=directories ;;
    'cert ') options='--directory --ca --host --san --use --org --key --days --self-signed --out --file --owner --group --for --server --passphrase --passphrase-file --passphrase-command --ca-passphrase-file --ca-passphrase-command --force --keep-key --reason --all --crl-days --root --crl --key-file --client --json --verbose --color --help ' arguments='issue sign renew revoke show verify list' ;;
    'cert issue') options='--directory --ca --host --san --use --org --key --days --self-signed --out --file --owner --group --for --server --passphrase --passphrase-file --passphrase-command --ca-passphrase-file --ca-passphrase-command --force --crl-days --json --verbose --help ' ;;
    'cert sign') options='--directory --ca --host --san --use --days --out --file --ca-passphrase-file --ca-passphrase-command --force --crl-days --json --verbose --help ' arguments=files ;;
    'cert renew') options='--directory --ca --host --san --key --days --for --server --passphrase --passphrase-file --passphrase-command --ca-passphrase-file --ca-passphrase-command --keep-key --crl-days --json --verbose --help ' arguments=files ;;
    'cert revoke') options='--directory --ca --ca-passphrase-file --ca-passphrase-command --reason --all --crl-days --json --verbose --help ' arguments=files ;;
    'cert show') options='--json --verbose --help ' arguments=files ;;
    'cert verify') options='--directory --ca --host --passphrase --passphrase-file --passphrase-command --root --crl --key-file --client --json --verbose --color --help ' arguments=files ;;
    'cert list') options='--directory --ca --json --verbose --help ' ;;
    'hba ') options='--pg-version --json --verbose --color --help ' arguments=files ;;
    'ident ') options='--pg-version --json --verbose --color --help ' arguments=files ;;
    'hosts ') options='--json --verbose --color --help ' arguments=files ;;
    'explain ') options='--directory --running --hba --driver --ident --json --verbose --color --help ' ;;
    'audit ') options='--conninfo --driver --profile --fail-on --baseline --pg-version --rehearse --log --sarif --html --json --verbose --color --help ' ;;
    'probe ') options='--rootcert --crl --cert --key --driver --address --user --dbname --send-password --quick --timeout --jobs --nagios --json --verbose --color --help ' ;;
    'monitor ') options='--days --rootcert --crl --negotiation --timeout --nagios --textfile --listen --interval --json --verbose --color --help ' ;;
    'psql ') options='--directory --verbose --help ' ;;
    'harden ') options='--apply --undo --only --keep --host --state --conf-d --alter-system --conninfo --accept-loss --force --json --verbose --help ' ;;
    'rotate ') options='--directory --pair --clients --force --dry-run --state --textfile --json --verbose --color --help ' ;;
    esac
    [ "$command" != help ] || arguments='help serve reload upgrade init ca cert hba ident hosts explain audit probe monitor psql harden rotate'
    if [ "$COMP_CWORD" -eq 1 ]; then
        options='--help --version'
        arguments='help serve reload upgrade init ca cert hba ident hosts explain audit probe monitor psql harden rotate'
    fi
    case "$command $previous" in
    'serve --directory'|'serve -D') arguments='directories' ;;
    'serve -c') arguments='nothing' ;;
    'reload --directory'|'reload -D') arguments='directories' ;;
    'upgrade --directory'|'upgrade -D') arguments='directories' ;;
    'upgrade --binary') arguments='files' ;;
    'init --host') arguments='nothing' ;;
    'init --upstream') arguments='nothing' ;;
    'init --port') arguments='nothing' ;;
    'init --listen') arguments='nothing' ;;
    'init --days') arguments='nothing' ;;
    'init --user') arguments='nothing' ;;
    'init --ca-passphrase-file') arguments='files' ;;
    'init --ca-passphrase-command') arguments='nothing' ;;
    'ca --directory'|'ca -D') arguments='directories' ;;
    'ca --name') arguments='nothing' ;;
    'ca --org') arguments='nothing' ;;
    'ca --key') arguments='ecdsa-p256 ecdsa-p384 rsa-2048 rsa-3072 rsa-4096 ed25519' ;;
    'ca --days') arguments='nothing' ;;
    'ca --path-length') arguments='nothing' ;;
    'ca --permit') arguments='nothing' ;;
    'ca --passphrase-file') arguments='files' ;;
    'ca --passphrase-command') arguments='nothing' ;;
    'ca --crl-days') arguments='nothing' ;;
    'ca --bundle') arguments='files' ;;
    'ca --replaces') arguments='files' ;;
    'ca --seen') arguments='nothing' ;;
    'ca --accept') arguments='nothing' ;;
    'ca --color') arguments='auto always never' ;;
    'cert --directory'|'cert -D') arguments='directories' ;;
    'cert --ca') arguments='directories' ;;
    'cert --host') arguments='nothing' ;;
    'cert --san') arguments='nothing' ;;
    'cert --use') arguments='server client both' ;;
    'cert --org') arguments='nothing' ;;
    'cert --key') arguments='ecdsa-p256 ecdsa-p384 rsa-2048 rsa-3072 rsa-4096 ed25519' ;;
    'cert --days') arguments='nothing' ;;
    'cert --out') arguments='directories' ;;
    'cert --file') arguments='nothing' ;;
    'cert --owner') arguments='nothing' ;;
    'cert --group') arguments='nothing' ;;
    'cert --for') arguments='libpq jdbc npgsql node pgx psql psycopg asyncpg sqlalchemy django hikari lib/pq postgresjs ruby php odbc pgloader dbeaver pgadmin' ;;
    'cert --server') arguments='nothing' ;;
    'cert --passphrase-file') arguments='files' ;;
    'cert --passphrase-command') arguments='nothing' ;;
    'cert --ca-passphrase-file') arguments='files' ;;
    'cert --ca-passphrase-command') arguments='nothing' ;;
    'cert --reason') arguments='keyCompromise affiliationChanged superseded cessationOfOperation unspecified' ;;
    'cert --crl-days') arguments='nothing' ;;
    'cert --root') arguments='files' ;;
    'cert --crl') arguments='files' ;;
    'cert --key-file') arguments='files' ;;
    'cert --color') arguments='auto always never' ;;
    'hba --pg-version') arguments='nothing' ;;
    'hba --color') arguments='auto always never' ;;
    'ident --pg-version') arguments='nothing' ;;
    'ident --color') arguments='auto always never' ;;
    'hosts --color') arguments='auto always never' ;;
    'explain --directory'|'explain -D') arguments='directories' ;;
    'explain --hba') arguments='files' ;;
    'explain --driver') arguments='nothing' ;;
    'explain --ident') arguments='files' ;;
    'explain --color') arguments='auto always never' ;;
    'audit --conninfo') arguments='nothing' ;;
    'audit --driver') arguments='nothing' ;;
    'audit --profile') arguments='default cis cis-16 cis-17 cis-18 stig pci bsi mozilla-intermediate mozilla-modern' ;;
    'audit --fail-on') arguments='high medium low info none' ;;
    'audit --baseline') arguments='files' ;;
    'audit --pg-version') arguments='nothing' ;;
    'audit --rehearse') arguments='nothing' ;;
    'audit --log') arguments='files' ;;
    'audit --color') arguments='auto always never' ;;
    'probe --rootcert') arguments='files' ;;
    'probe --crl') arguments='files' ;;
    'probe --cert') arguments='files' ;;
    'probe --key') arguments='files' ;;
    'probe --driver') arguments='nothing' ;;
    'probe --address') arguments='nothing' ;;
    'probe --user'|'probe -U') arguments='nothing' ;;
    'probe --dbname'|'probe -d') arguments='nothing' ;;
    'probe --timeout'|'probe -t') arguments='nothing' ;;
    'probe --jobs'|'probe -j') arguments='nothing' ;;
    'probe --color') arguments='auto always never' ;;
    'monitor --days') arguments='nothing' ;;
    'monitor --rootcert') arguments='files' ;;
    'monitor --crl') arguments='files' ;;
    'monitor --negotiation') arguments='auto postgres direct tls' ;;
    'monitor --timeout'|'monitor -t') arguments='nothing' ;;
    'monitor --textfile') arguments='files' ;;
    'monitor --listen') arguments='nothing' ;;
    'monitor --interval') arguments='nothing' ;;
    'monitor --color') arguments='auto always never' ;;
    'psql --directory'|'psql -D') arguments='directories' ;;
    'harden --only') arguments='nothing' ;;
    'harden --keep') arguments='nothing' ;;
    'harden --host') arguments='nothing' ;;
    'harden --state') arguments='directories' ;;
    'harden --conninfo') arguments='nothing' ;;
    'harden --accept-loss') arguments='nothing' ;;
    'rotate --directory'|'rotate -D') arguments='directories' ;;
    'rotate --pair') arguments='nothing' ;;
    'rotate --state') arguments='directories' ;;
    'rotate --textfile') arguments='files' ;;
    'rotate --color') arguments='auto always never' ;;
    *)
        [[ $current != -* ]] || arguments=$options ;;
    esac
    case "$arguments" in
    files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    directories) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    nothing) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$arguments" -- "$current") ;;
    esac
}
complete -F _pgseal pgseal
