/**
 * One login over one connection: client/login.h with all that it borrows, its answers sent, its slow step made.
 *
 *     login_drive_new → login_drive_begin → login_drive_feed(bytes from the server) → …
 *
 * Everybody who logs in does it with this: the gate over its loop, the probe over a socket that waits. How bytes
 * travel is the line's; what they say is client/login.h's. Deriving a key from a password takes as long as the
 * server wants: with a loop it is done on the pool, on memory that outlives whoever asked for it.
 */
#ifndef PGSEAL_CLIENT_LOGIN_DRIVE_H
#define PGSEAL_CLIENT_LOGIN_DRIVE_H

#include "client/login.h"

struct login_drive;
struct loop;
struct tls_engine;

/** The connection that is logged in over. */
struct login_line {
    const struct tls_engine *tls; /* NULL: not encrypted. Borrowed for login_drive_new() */
    /** Send all of `data`. */
    enum code (*send)(void *to, struct bytes data, struct err *e);
    void *to;
    struct loop *loop;         /* whose pool makes the slow step; NULL: it is made at once, on this thread */
    void (*worked)(void *arg); /* from the loop: it is made, feed what there is, maybe nothing */
    void *arg;
};

/**
 * info    protocol versions, require_auth, channel_binding, sslcertmode; texts are copied.
 * params  `parameters`, `user`, `creds`, `auth_allowed`, `env`; the rest is filled in here. All is copied but `env`,
 *         which stays borrowed.
 *
 * NULL when memory ran out.
 */
struct login_drive *login_drive_new(const struct conninfo *info, const struct login_params *params,
                                    const struct login_line *line);
/** Send the StartupMessage. */
MUST_CHECK enum code login_drive_begin(struct login_drive *drive, struct err *e);
/**
 * Consume what can be consumed of `in`, and send the answers.
 *
 * LOGIN_MORE: receive more. LOGIN_WORK: `worked` follows; until then nothing is consumed. LOGIN_LOST: an answer could
 * not be sent, or memory ran out; `e` says why. Otherwise as login_feed(); what follows AuthenticationOk is read when
 * this is called again.
 */
enum login_step login_drive_feed(struct login_drive *drive, struct buf *in, struct err *e);
/** For what was learned: facts, the server's error, the event. */
const struct login *login_drive_login(const struct login_drive *drive);
/** NULL is fine. `worked` is not called any more; what the pool still holds goes back when it has finished. */
void login_drive_free(struct login_drive *drive);
void login_drive_auto(struct login_drive **drive);

/** What became of a client certificate on this connection; NULL: it is not encrypted. */
enum login_cert login_cert_over(const struct tls_engine *tls);

#endif
