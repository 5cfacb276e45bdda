/** The inside of the parent: for family.c and its parts only. */
#ifndef PGSEAL_OS_FAMILY_IMPL_H
#define PGSEAL_OS_FAMILY_IMPL_H

#include "os/family.h"
#include "os/files.h"

#include <signal.h>
#include <sys/types.h>

enum { GENERATIONS_MAX = 16 /* that have not ended; an upgrade beyond is refused */ };

/** By what the parent's environment tells a program that it is no first start. */
#define FAMILY_VARIABLE "PGSEAL_FAMILY"

/** A gate's process, and what belongs to it. */
struct generation {
    pid_t pid;
    pid_t clerk; /* 0: none */
    int line, orders;
    int program; /* its file, for its clerks */
    int status;  /* as wait(2) gives it */
    bool over;
};

enum upgrade_step {
    UPGRADE_NONE,
    UPGRADE_CHECKING, /* the new program looks at the directory */
    UPGRADE_LINKED,   /* the successor runs, and has the link to the gate */
    UPGRADE_GIVEN_UP, /* the gate was told so, and has not said yet that it serves on */
    UPGRADE_COMMITTED /* the successor has everything, and is about to serve */
};

struct upgrade {
    enum upgrade_step step;
    char path[OS_PATH_MAX]; /* of the new program */
    int program;            /* its file; -1: none */
    int report;             /* where the answer goes; -1: nobody waits for it */
    pid_t checker;          /* 0: none */
    int said;               /* what it has written; -1: none */
    int64_t until_ms;       /* of the step; 0: no limit */
    char why[512];          /* it was given up */
    char result[256];       /* what has come of it */
};

struct family {
    const struct family_params *params;
    pid_t self;
    char path[OS_PATH_MAX];                   /* of the program that runs, as of its start */
    struct generation gates[GENERATIONS_MAX]; /* the oldest first */
    size_t n;
    size_t newest; /* who serves; behind it there may be a successor that does not yet */
    struct parent_shared *shared;
    int memory; /* where it lies */
    int signals;
    sigset_t before; /* as the caller had them blocked */
    bool stopping;   /* was told to */
    bool over;
    int status; /* of who served last */
    struct upgrade upgrade;
};

#endif
