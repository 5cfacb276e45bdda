/**
 * Signals that would end a process are held off while it does what must not be left half done.
 *
 * Ctrl-C, a terminal that goes away, SIGTERM: the process asks for them between two steps, and goes back in good order.
 * A pipe without a reader and a file that is too large are errors of write(2) meanwhile.
 */
#ifndef PGSEAL_OS_HOLD_H
#define PGSEAL_OS_HOLD_H

#include <signal.h>

struct os_hold {
    sigset_t before;
    sigset_t ends; /* of those that are held off, the ones to ask for */
};

void os_hold_begin(struct os_hold *hold);
/** The signal that should have ended the process since the last call; 0: none. */
int os_hold_signal(const struct os_hold *hold);
/** What came meanwhile and was not asked for is dropped: the caller ends soon anyway. */
void os_hold_end(const struct os_hold *hold);

#endif
