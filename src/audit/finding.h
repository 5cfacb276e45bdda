/**
 * The findings of one audit, in the order found.
 */
#ifndef PGSEAL_AUDIT_FINDING_H
#define PGSEAL_AUDIT_FINDING_H

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

/**
 * Add a finding; the words of `what` as printf. Good until the next one; NULL: memory ran out, which sticks.
 */
struct finding *audit_add(struct audit *a, enum check check, struct str where, const char *what, ...)
    PRINTF_LIKE(4, 5);
/** FILE:LINE in the arena; FILE alone for line 0. */
struct str audit_place(struct audit *a, struct str file, unsigned line);

#endif
