/**
 * What is known of each authentication method: the rows of tables/hba_methods.def.
 */
#ifndef PGSEAL_POLICY_METHOD_H
#define PGSEAL_POLICY_METHOD_H

#include "policy/policy.h"

struct buf;

/** As written in the file, e.g. "scram-sha-256". */
const char *hba_method_name(enum hba_method method);
/** As PostgreSQL's messages about records call it, e.g. "gssapi". */
const char *hba_method_word(enum hba_method method);
/**
 * The method of that name in PostgreSQL `version`; false: there is none. What a Linux server is not built with
 * is there (HBA_HOW_ABSENT).
 */
bool hba_method_find(struct str name, unsigned version, enum hba_method *out);
enum hba_how hba_method_how(enum hba_method method);
enum hba_needs hba_method_needs(enum hba_method method);
/** What its clients leave the gate to log in to the server with. */
enum hba_leaves hba_method_leaves(enum hba_method method);
/** Why records of this type cannot have it; NULL: they can. */
const char *hba_method_misplaced(enum hba_method method, enum hba_type type);
/** May its records have this option? */
bool hba_method_takes(enum hba_method method, enum hba_option option);
/** "ident, peer, and cert": the methods of PostgreSQL `version` whose records may have the option. */
void hba_option_methods(enum hba_option option, unsigned version, struct buf *out);
/** Begin of PostgreSQL's `… authentication failed for user`; NULL: it has no such words for the method. */
const char *hba_method_refusal(enum hba_method method);
/** What a client is asked for, in words; NULL: its certificate's name, or the operating system's user. */
const char *hba_method_asks(enum hba_method method);
/** What those words end in where the client uses TLS. */
const char *hba_method_asks_over_tls(enum hba_method method);

#endif
