/** What the files of this room share. Not for other rooms. */
#ifndef PGSEAL_AUDIT_INTERNAL_H
#define PGSEAL_AUDIT_INTERNAL_H

#include "audit/audit.h"
#include "base/arena.h"

/** One audit under way. */
struct audit {
    const struct audit_subject *subject;
    struct arena *arena;
    struct finding *items; /* in the order found */
    size_t n, size;
    bool nomem;
};

/** Add a finding; the words of `what` as printf. Good until the next one; NULL: memory ran out, which sticks.
 */
struct finding *audit_add(struct audit *a, enum check check, struct str where, const char *what, ...)
    PRINTF_LIKE(4, 5);
/** FILE:LINE in the arena; FILE alone for line 0. */
struct str audit_place(struct audit *a, struct str file, unsigned line);

void audit_tls(struct audit *a);
void audit_certificates(struct audit *a);
void audit_rules(struct audit *a);
void audit_upstreams(struct audit *a);
void audit_files(struct audit *a);
void audit_operation(struct audit *a);

#endif
