/**
 * Asking the parent of a gate for an upgrade, and hearing what comes of it.
 */
#ifndef PGSEAL_OS_FAMILY_ASK_H
#define PGSEAL_OS_FAMILY_ASK_H

#include "os/family.h"

#include <sys/types.h>

enum { FAMILY_TEXT_MAX = 1024 };

struct family_asked {
    int report; /* the end of the pipe to read; -1: none */
    int write;  /* the other one, until the parent has it; -1: closed */
    size_t n;   /* read, and not told */
    char text[FAMILY_TEXT_MAX];
};

#define FAMILY_ASKED_INIT ((struct family_asked){ .report = -1, .write = -1 })

/**
 * Ask `parent`, whose account this process must have. program: the new program's file; NULL: the one that it was started
 * from, as it is now.
 *
 * The process becomes one that others of its account may look into: the parent takes the pipe and the program from it.
 * E_BAD_STATE: the parent is of a program that cannot be upgraded. E_NO_FILE and others.
 */
MUST_CHECK enum code family_ask(pid_t parent, const char *program, struct family_asked *out, struct err *e);
/** Wait for the next line of the answer. E_UNAVAILABLE: there comes none. *out_text lives until the next call. */
MUST_CHECK enum code family_answer(struct family_asked *asked, enum family_answer *out, const char **out_text,
                                   struct err *e);
void family_asked_auto(struct family_asked *asked);

#endif
