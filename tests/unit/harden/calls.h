/**
 * The changes that a process makes to the file system, counted; the n-th kills it, or fails.
 *
 * Linked in by --wrap (see meson.build here), so that only the program's own calls come by.
 */
#ifndef PGSEAL_TESTS_CALLS_H
#define PGSEAL_TESTS_CALLS_H

enum calls_mode {
    CALLS_PASS, /* only count */
    CALLS_KILL, /* the process dies by SIGKILL in front of the n-th */
    CALLS_FAIL, /* the n-th fails: EIO */
    CALLS_FULL, /* from the n-th on the disk is full; what needs no room goes on */
    CALLS_TELL  /* calls_told() is called in front of the n-th */
};

/** Begin to count anew. n counts from 1. */
void calls_arm(enum calls_mode mode, long n);
/** Of CALLS_TELL; the test has it. */
void calls_told(void);
/** How many there were since then. */
long calls_seen(void);

#endif
