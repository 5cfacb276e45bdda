/**
 * The process above the gate: it has no keys and no network sockets, and starts what the confined gate may not.
 *
 * It starts the gate before anything is read, and is from then on what others see of the service: it forwards
 * signals, speaks to the service manager, reaps whoever is orphaned (as PID 1 of a container it must), starts
 * clerks, and ends as the gate does. The gate dies with it.
 *
 * An upgrade is asked of it by SIGUSR2, of the same user or of root; never by the gate, which must not choose what is
 * executed. Then there are two generations of the gate, and a link between them. When the new one serves, the parent executes
 * the new program in its own place.
 */
#ifndef PGSEAL_OS_FAMILY_H
#define PGSEAL_OS_FAMILY_H

#include "base/err.h"
#include "os/parent.h"

struct env;

/**
 * What the generations and the parents of two programs tell each other is of this form. Another number is another
 * form: they do not upgrade to each other.
 */
enum { FAMILY_FORMAT = 2 };

/** What sigqueue(3) carries to the parent: a descriptor of whoever asks, a pipe's end to write the answer to. */
enum {
    FAMILY_ASK_REPORT = 0xffff,  /* its number */
    FAMILY_ASK_PROGRAM = 0x10000 /* the next number is the new program's file, open */
};

/** Lines of the answer: this character, and a text. The last one is any but FAMILY_STEP. */
enum family_answer {
    FAMILY_STEP = 'S',
    FAMILY_DONE = 'D',
    FAMILY_REFUSED = 'R',
    FAMILY_FAILED = 'F',
    FAMILY_SILENT = 'L' /* the new program has taken all over, and does not say that it serves */
};

struct family_params {
    const char *const *clerk; /* its arguments, the first its name; ended by NULL */
    const char *const *serve; /* those of the process itself; ended by NULL */
    const char *const *check; /* those by which a program is asked whether it could serve; ended by NULL */
    const struct env *env;    /* its log says when the gate dies; borrowed */
};

/**
 * Fork. In the child, the gate, *out_ties are its own, and the function returns OK. In the parent it returns when all is
 * over, with a line of -1 and the status to end with. A process that a parent has started as successor of a gate, or that
 * was one before it became this program, does not fork.
 *
 * E_IO: there is no child.
 */
MUST_CHECK enum code family_run(const struct family_params *params, struct parent_ties *out_ties,
                                int *out_status, struct err *e);

#endif
