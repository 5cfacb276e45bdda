/* What the lines that init prints do to a stock server, Debian's above all, and what they do not cover. */
#include "cmd/init_notes.h"

#include "base/check.h"
#include "cmd/init_upstream.h"

#include <pwd.h>
#include <unistd.h>

/* The user that the server sees at its socket, if it is who runs init. */
static const char *gate_os_user(void)
{
    const struct passwd *entry = geteuid() == 0 ? NULL : getpwuid(geteuid());

    return entry ? entry->pw_name : "GATE-OS-USER";
}

static enum code note_socket(struct init_plan *plan)
{
    struct init_lines *notes = &plan->notes;

    TRY(init_line(
        plan, notes,
        "pg_hba.conf: leave Debian's own first line, \"local all postgres peer\", above the new one: the "
        "DBA's psql and Debian's scripts log in through it. The new line replaces \"local all all peer\". A "
        "reload is enough: systemctl reload postgresql."));
    TRY(init_line(
        plan, notes,
        "listen_addresses takes a restart, which ends all sessions: systemctl restart postgresql. It "
        "also shuts out standbys, backups and monitoring that connect over TCP: where there are any, "
        "leave it as it is, and let pg_hba.conf admit their addresses only."));
    TRY(init_line(
        plan, notes,
        "Physical replication through the gate: \"all\" does not match it. Add \"local replication "
        "all scram-sha-256\" there, and \"hostssl replication all all scram-sha-256\" to the gate's "
        "pg_hba.conf."));
    return init_line(
        plan, notes,
        "Users of cert lines in the gate's pg_hba.conf have no password to pass on. They need \"local "
        "all USER peer map=gate\" above the new line, \"gate %s USER\" in the server's "
        "pg_ident.conf, and upstream_login = 'peer' in pgseal.conf.",
        gate_os_user());
}

static enum code note_tcp(struct init_plan *plan)
{
    struct init_lines *notes = &plan->notes;

    TRY(init_line(
        plan, notes,
        "pg_hba.conf and ssl_* take a reload: systemctl reload postgresql. Debian's \"local all postgres "
        "peer\" stays as it is. The key file must belong to the server's user, mode 0600."));
    TRY(init_line(
        plan, notes,
        "Clients that verify the server's present certificate must trust the CA of the new one before it is "
        "changed, as must standbys with sslmode=verify-ca or verify-full in primary_conninfo."));
    TRY(init_line(
        plan, notes,
        "SQL: on the primary; standbys get roles and privileges from it, but each needs the same "
        "pg_hba.conf line and a certificate with its own name. The privilege to read pg_authid is granted "
        "per database: GRANT it in \"%.*s\", which is auth_dbname.",
        STR_ARG(plan->auth_dbname)));
    TRY(init_line(
        plan, notes,
        "Physical replication through the gate: \"all\" does not match it. Add \"hostssl replication "
        "all ADDRESS-OF-THE-GATE/32 scram-sha-256\" there, and \"hostssl replication all all "
        "scram-sha-256\" to the gate's pg_hba.conf."));
    return init_line(
        plan, notes,
        "Users of cert lines in the gate's pg_hba.conf have no password to pass on. They need \"hostssl "
        "all USER ADDRESS-OF-THE-GATE/32 cert map=gate\" above the new line, \"gate GATE USER\" in the "
        "server's pg_ident.conf for a certificate of the name GATE (pgseal cert issue), its CA in the "
        "server's ssl_ca_file, sslcert and sslkey in upstream, and upstream_login = 'scram, cert'.");
}

static enum code note_companion(struct init_plan *plan)
{
    TRY(init_line(
        plan, &plan->notes,
        "The server sees connections from this machine, over TLS, and checks the passwords itself; it needs "
        "nothing else. Replication needs a line of its own: \"hostssl replication all ...\"."));
    return init_line(
        plan, &plan->notes,
        "From the application to the gate there is no TLS: only this machine's users reach the socket. "
        "unix_socket_permissions in pgseal.conf says which of them.");
}

enum code init_plan_notes(struct init_plan *plan, struct err *e)
{
    enum code code = plan->companion         ? note_companion(plan)
                     : plan->upstream_is_tcp ? note_tcp(plan)
                                             : note_socket(plan);

    return code == OK ? OK : err_set(e, E_NOMEM, "out of memory");
}
