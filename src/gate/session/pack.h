/**
 * A relaying session as bytes and two descriptors, for the process that takes this one's place; and back.
 *
 *     old process                                             new process
 *     pack_freeze()                                           ·
 *     pack_session() for each ─────── bytes, descriptors ───→ pack_take(): held
 *     pack_forget() for each, all keys wiped ── COMMIT ─────→ pack_begin()
 *
 * or, where anything fails before COMMIT, pack_thaw() here and pack_drop() there. A session that is held by either side
 * reads, writes, opens and seals nothing, so no two processes ever seal for it; what arrives waits in the kernel. Cancel
 * requests, views and the registry work on. What would end it meanwhile is remembered: by the process that keeps it
 * (pack_thaw()), or, told over by pack_is_doomed() and session_drain(), by the one that takes it (pack_begin()).
 *
 * All on the session's worker, from a message or a timer, never from below a session's own callback.
 */
#ifndef PGSEAL_GATE_SESSION_PACK_H
#define PGSEAL_GATE_SESSION_PACK_H

#include "base/buf.h"
#include "base/err.h"

struct session;
struct worker;

enum {
    PACK_FORMAT = 4,    /* of the bytes: raised with every change of what is written, in its order */
    PACK_MAX = 4 << 20, /* far above all that one session can keep */
    PACK_FDS = 2        /* client, server */
};

/** Can it go over? *out_why, where not: static, for the log. */
bool pack_can(const struct session *s, const char **out_why);
/** From now on all sessions of the worker for which pack_can() is true are held. */
void pack_freeze(struct worker *worker);
/** Those that are still there go on; some may end of what came meanwhile. */
void pack_thaw(struct worker *worker);

/**
 * Append a held session to `out`, and name its descriptors, which are borrowed. The bytes hold its keys: `out` is to
 * be wiped. E_NOMEM: nothing was appended. The session stays as it is in either case, and may be packed again.
 */
MUST_CHECK enum code pack_session(struct session *s, struct buf *out, int out_fds[PACK_FDS]);
/** A session that was packed was to end since it was held: whoever takes it must hear of it. */
bool pack_is_doomed(const struct session *s);
/** All sessions have been taken, and COMMIT has not been told yet: this process forgets the session. Frees it. */
void pack_forget(struct session *s);

/** Which of `n_workers` is to take the session: its cancel key says so. 0 for bytes that are none. */
unsigned pack_worker(struct bytes packed, unsigned n_workers);
/**
 * The session that pack_session() has written, held. fds: taken, also on failure. E_PROTOCOL: these bytes are none of a
 * session for this worker; E_NOMEM.
 */
MUST_CHECK enum code pack_take(struct worker *worker, struct bytes packed, const int fds[PACK_FDS],
                               struct session **out, struct err *e);
/** After COMMIT: it lives. It may end at once. */
void pack_begin(struct session *s);
/** Before COMMIT: the other process keeps it. Frees it. */
void pack_drop(struct session *s);

#endif
