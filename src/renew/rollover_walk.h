/**
 * The steps of a rollover. Each is in the journal before it is taken, and each may be taken again: a run that was killed
 * is brought to its end by the same call, or taken back by rollover_abort().
 */
#ifndef PGSEAL_RENEW_ROLLOVER_WALK_H
#define PGSEAL_RENEW_ROLLOVER_WALK_H

#include "renew/rollover.h"

/** All borrowed; what is NULL or empty is as the old CA has it. */
struct rollover_wish {
    const char *bundle; /* a file of the new roots of somebody else; NULL: the CA is ours */
    const char *
        replaces; /* with it: a file of the roots that they replace; NULL: those that issued the server's certificate */
    struct str name; /* the new CA's common name */
    bool has_key;
    enum key_kind key;
    unsigned days;                      /* 0: as the old CA */
    const struct secret *passphrase;    /* for the new CA's key; NULL: none */
    const struct key_passphrase *known; /* gives the same */
};

/** What came of the certificates; see renew_all(). */
struct rollover_issued {
    struct renew_report *reports;
    size_t n;
};

/**
 * Make the new CA, publish its root and its revocation list beside the old ones, make the pair of a probed handshake,
 * reload the gate.
 *
 * E_EXISTS: a rollover is under way, or a directory is in the way. E_NO_FILE: there is no CA. E_CONFIG: no file of the
 * settings has its root; the gate refused the files, which are as before then. E_USAGE: the new key wants a passphrase.
 */
MUST_CHECK enum code rollover_start(struct rollover *r, const struct rollover_wish *wish, struct err *e);
/**
 * The new CA takes the old one's place, and issues what that has issued. What is issued by somebody else's CA is left to
 * `pgseal rotate`: then every certificate must be issued by the new one already.
 *
 * passphrase_file  of the new CA's key; NULL: none.
 * out              also set where one of them failed (E_CONFIG): the old one is in force there.
 *
 * E_BAD_STATE: nothing was started, or it is done.
 */
MUST_CHECK enum code rollover_servers(struct rollover *r, const char *passphrase_file,
                                      struct rollover_issued *out, struct err *e);
/** Take the old root and its lists away, put the old CA aside (r->aside). Whether it is time is the caller's to know. */
MUST_CHECK enum code rollover_finish(struct rollover *r, struct err *e);
/** Back to the old CA: its certificates, its root alone. The new CA is put aside (r->aside). */
MUST_CHECK enum code rollover_abort(struct rollover *r, const char *passphrase_file,
                                    struct rollover_issued *out, struct err *e);

#endif
