/**
 * The program of a PostgreSQL server, as a file: its minor version, and the OpenSSL that it is linked with.
 *
 * Nothing is run, for the data directory's owner says which program that is. The version is the text that
 * `postgres --version` prints, found where it is in the file.
 */
#ifndef PGSEAL_AUDIT_SERVER_PROGRAM_H
#define PGSEAL_AUDIT_SERVER_PROGRAM_H

#include "base/err.h"

struct arena;
struct audit_subject;

/**
 * Look at the program that started the server last, else at the one in its usual place.
 *
 * program  as postmaster.opts has it; empty: not known.
 * subject  `version` is read; `minor`, `minor_seen`, `version_of`, `openssl` and `openssl_of` are set where the
 *          program is found and is of that version.
 *
 * E_NOMEM.
 */
MUST_CHECK enum code server_program_look(struct str program, struct arena *arena,
                                         struct audit_subject *subject);

/** The OpenSSL that this process uses, and so a gate: "3.0". E_NOMEM. */
MUST_CHECK enum code server_program_own_openssl(struct arena *arena, struct audit_subject *subject);

#endif
