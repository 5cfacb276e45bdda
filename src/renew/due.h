/**
 * When is a certificate due for renewal, and when is the next attempt after failures?
 */
#ifndef PGSEAL_RENEW_DUE_H
#define PGSEAL_RENEW_DUE_H

#include "base/err.h"

/** The life of a certificate, and what is known besides. */
struct due_facts {
    int64_t not_before_unix_s;
    int64_t not_after_unix_s;
    int64_t now_unix_s;
    int64_t window_start_unix_s; /* the CA's own wish (ARI); 0: none known */
    int64_t window_end_unix_s;
    double at;      /* where in the window, 0 … 1: drawn once per certificate */
    unsigned share; /* percent of the life that is left when it is due; 0: a third or a half */
    bool at_once;   /* due whatever is left */
    unsigned failures;
    int64_t failed_unix_s; /* of the last failure */
};

struct due {
    bool due;
    bool waits;                  /* due, but the last attempt failed too short a time ago */
    bool by_window;              /* the CA's window decided */
    int64_t renew_unix_s;        /* from when on it is due */
    int64_t next_attempt_unix_s; /* `waits`: not before */
};

/**
 * Due with a third of the life left, or half of it where the life is below ten days; where the CA has named a
 * window, at a point in it, if that is earlier than the last tenth of the life. After the n-th failure in a row
 * the next attempt waits 2^(n-1) quarters of an hour, a day at most, and never more than a sixteenth of what is
 * left: there is room for many attempts.
 * [src: RFC 9773, section 4.2; choice: shares instead of days, as PGO and Let's Encrypt advise]
 */
struct due due_judge(const struct due_facts *facts);

#endif
