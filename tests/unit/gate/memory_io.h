/**
 * A loop, its timers, its pool and one connection, in memory: linked with --wrap in place of net/loop.h and of
 * the kernel's calls. No thread, no descriptor, and a clock that moves only to the next timer.
 *
 * What belongs to other loops waits for ever.
 */
#ifndef PGSEAL_TESTS_MEMORY_IO_H
#define PGSEAL_TESTS_MEMORY_IO_H

#include "base/slice.h"

struct loop;

/** The descriptor of the connection; none of the process's own. */
enum { MEMORY_FD = 1 << 28 };

/** Begin anew, with this loop. */
void memory_io_open(const struct loop *loop);
/** The peer sends this, which is borrowed; what it sent before is gone. `last`: then it ends its side. */
void memory_io_feed(struct bytes input, bool last);
/** What the peer was sent since it was asked last; borrowed until the next call of anything here. */
struct bytes memory_io_sent(void);
/** Run one thing that waits: a message, a job, a callback for input, or the next timer. False: nothing does. */
bool memory_io_turn(void);
void memory_io_close(void);

#endif
