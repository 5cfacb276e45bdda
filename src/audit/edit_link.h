/**
 * The line of a file that makes a client's connection verified in full.
 */
#ifndef PGSEAL_AUDIT_EDIT_LINK_H
#define PGSEAL_AUDIT_EDIT_LINK_H

#include "audit/finding.h"

/**
 * Set sslmode=verify-full where the connection is written: in the place of the word that is there, else after the
 * URL, or on a line of its own after the section or role. No edit where the line holds several connections, or
 * where its driver has another word for it. `f` may be NULL.
 */
void edit_sslmode(struct audit *a, struct finding *f, const struct subject_connection *connection);

#endif
