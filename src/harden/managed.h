/**
 * Files that another program writes: an edit would be gone after its next run.
 */
#ifndef PGSEAL_HARDEN_MANAGED_H
#define PGSEAL_HARDEN_MANAGED_H

#include "base/err.h"

struct audit_subject;

/**
 * E_UNSUPPORTED where Patroni or an operator of Kubernetes owns the files; the hint is what to do instead.
 *
 * out  a program that may write them again, such as "Ansible"; NULL: none is known.
 */
MUST_CHECK enum code managed_check(const struct audit_subject *subject, const char **out, struct err *e);

#endif
