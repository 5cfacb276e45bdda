# Made by tools/tabledoc.c from tables/commands.def; edit that.
# bash completion of pgseal(1)
_pgseal()
{
    local words=''
    case "${COMP_WORDS[1]}" in
    serve) words='--directory --check --json --verbose --color --help' ;;
    init) words='--host --upstream --port --listen --days --user --force --json --verbose --color --help' ;;
    ca) words='init show --directory --name --org --key --days --path-length --permit --passphrase --passphrase-file --passphrase-command --force --json --verbose --color --help' ;;
    cert) words='issue renew revoke show verify list --directory --ca --host --san --use --org --key --days --self-signed --out --owner --group --for --server --passphrase --passphrase-file --passphrase-command --ca-passphrase-file --ca-passphrase-command --force --keep-key --reason --all --crl-days --root --crl --key-file --client --json --verbose --color --help' ;;
    hba) words='--pg-version --json --verbose --color --help' ;;
    ident) words='--pg-version --json --verbose --color --help' ;;
    explain) words='--directory --running --hba --ident --json --verbose --color --help' ;;
    probe) words='--rootcert --crl --cert --key --address --user --dbname --send-password --quick --timeout --jobs --nagios --json --verbose --color --help' ;;
    psql) words='--directory --json --verbose --color --help' ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='serve init ca cert hba ident explain probe psql --help --version'
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _pgseal pgseal
