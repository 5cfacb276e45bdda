/**
 * The running server, asked as its operator: who may log in, who is there, how it sees its files.
 */
#ifndef PGSEAL_HARDEN_SERVER_H
#define PGSEAL_HARDEN_SERVER_H

#include "audit/known.h"
#include "audit/subject.h"

#include <sys/types.h>

struct arena;

struct harden_server {
    const char *conninfo; /* borrowed */
    pid_t pid;            /* of the postmaster */
    int64_t now_unix_s;
    struct arena *arena;
};

/** What the server showed. */
struct harden_seen {
    const struct subject_role *roles; /* NULL: not to be seen */
    size_t n_roles;
    struct str role;          /* who logged in */
    struct str operator_role; /* the same where it came in as the account of its name; else empty */
    bool superuser;
    bool standby;               /* it is in recovery */
    struct known_clients known; /* sessions, and those of the log where one can be read */
    struct str log;             /* the log that was read; empty: none */
    struct str *errors;         /* what it refuses in its files now, "FILE:LINE: why" */
    size_t n_errors;
};

/** E_CONNECT; E_ACCESS: the role is no superuser; E_CLOSED and E_NOMEM. */
MUST_CHECK enum code harden_server_look(const struct harden_server *server, struct harden_seen *out,
                                        struct err *e);

/**
 * How does it see the files on the disk? E_CONFIG with its words: it refuses what it did not refuse at the look.
 *
 * loaded  false: ssl = on may be in the files, and not in force yet.
 */
MUST_CHECK enum code harden_server_check(const struct harden_server *server, const struct harden_seen *before,
                                         bool loaded, struct err *e);
/** Have it load its files, and wait until a new session has them: at most ten seconds. E_CONNECT: nobody gets in. */
MUST_CHECK enum code harden_server_reload(const struct harden_server *server, struct err *e);
/** Ask its postmaster to do so, without a session. OK where it does not run (any more). E_ACCESS. */
MUST_CHECK enum code harden_server_signal(pid_t pid, struct err *e);
/** Wait until somebody can log in, for a while. */
void harden_server_await(const struct harden_server *server);

#endif
