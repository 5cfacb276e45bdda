/**
 * The link between a gate and its successor: what goes over it, and in time.
 *
 *   successor → gate                                  gate → successor
 *   V  the number of its form (os/family.h)           H  numbers
 *                                                     N  a setting that only a restart changes, and its value
 *                                                     T  a worker's TCP listener     A  a TCP address
 *                                                     L  a unix socket               W  a listener of http_listen
 *                                                     K  the lock                    G  a row of the history
 *                                                     Y  the link to a process before, which still has sessions
 *   P  prepared: it has loaded everything             E  the end of that
 *   !  it cannot; the reason as text
 *                                                     S  a piece of a session; with the first its descriptors
 *                                                     B  who failed why    C  counters
 *                                                     D  the end of all that moves, and numbers
 *   h  it is alive, and takes what comes
 *   R  ready: it has all of it                        M  a session that was to end meanwhile
 *                                                     O  COMMIT: begin
 *                                                     Z  the gate has written its last to the directory
 *
 *   Q  a cancel request whose session the other may have; both ways, after COMMIT
 *   q  the answer: whether it has, and has passed it on
 *   J  a question to the old one, after COMMIT (gate/steward/asks.h)
 *   j  a piece of the answer    e  its end             C  counters, as it goes on counting
 *
 * Until COMMIT either may close the link, and the gate serves on. Structures go as they lie in memory: it is one machine, and
 * the form is the same.
 */
#ifndef PGSEAL_GATE_WORK_LINK_H
#define PGSEAL_GATE_WORK_LINK_H

#include "os/packet.h"

#include <stdint.h>

struct env;

/** The forms of what the two tell each other. */
struct link_forms {
    uint32_t family; /* os/family.h, and this file */
    uint32_t pack;   /* gate/session/pack.h */
};

/** Behind everything that moves. */
struct link_end {
    uint64_t session_ids;
    uint32_t sessions; /* that have moved */
    int32_t console_pid;
};

enum link_type {
    LINK_FORMAT = 'V',
    LINK_HELLO = 'H',
    LINK_SETTING = 'N',
    LINK_LISTENER = 'T',
    LINK_ADDRESS = 'A',
    LINK_UNIX = 'L',
    LINK_HTTP = 'W',
    LINK_LOCK = 'K',
    LINK_HISTORY = 'G',
    LINK_ELDER = 'Y',
    LINK_HELLO_END = 'E',
    LINK_PREPARED = 'P',
    LINK_CANNOT = '!',
    LINK_SESSION = 'S',
    LINK_COUNTERS = 'C',
    LINK_FAILURE = 'B',
    LINK_DOOMED = 'M',
    LINK_END = 'D',
    LINK_ALIVE = 'h',
    LINK_READY = 'R',
    LINK_COMMIT = 'O',
    LINK_WRITTEN = 'Z',
    LINK_CANCEL = 'Q',
    LINK_CANCELED = 'q',
    LINK_ASK = 'J',
    LINK_TOLD = 'j',
    LINK_TOLD_END = 'e'
};

struct link {
    int fd; /* -1: none */
    const struct env *env;
    int64_t until_us; /* of the clock that never steps back: then nobody is waited for */
    int stall_ms;     /* nor for longer than this without the other side taking anything; 0: no such limit */
};

/**
 * While sessions are held the successor says that it is alive, each LINK_BEAT_MS. Who does not hear it for so many of its own looks,
 * as far apart, gives it up: on a busy machine who looks is late, too.
 */
enum { LINK_BEAT_MS = 50, LINK_BEATS_MISSED = 4, LINK_STALL_MS = LINK_BEAT_MS * LINK_BEATS_MISSED };

/** fds: borrowed, the first two of which go along; NULL: none. False: the other side is gone, or too slow. */
bool link_send(const struct link *link, enum link_type type, struct bytes data, const int fds[OS_PACKET_FDS]);
/** Wait for a packet. OS_PACKET_NONE: the time is over. */
enum os_packet_result link_receive(const struct link *link, void *room, size_t size, struct os_packet *out);
/** From now on this long is waited. */
void link_set_limit(struct link *link, int64_t ms);

#endif
