/**
 * The single steps, each of which may be taken twice; their order is rollover_walk.c's.
 */
#ifndef PGSEAL_RENEW_ROLLOVER_STEPS_H
#define PGSEAL_RENEW_ROLLOVER_STEPS_H

#include "renew/rollover_walk.h"

/** A line of the journal: a phase begins or ends. `words` may be NULL. */
MUST_CHECK enum code rollover_enter(struct rollover *r, enum rollover_phase phase, const char *words,
                                    struct err *e);
/** The same of a step. */
MUST_CHECK enum code rollover_step(struct rollover *r, enum rollover_step step, struct err *e);
/** A line that says why a step failed; `why` as it is. */
void rollover_note_failed(struct rollover *r, const struct err *why);

/** Write `roots` into DIR/rollover/NAME. */
MUST_CHECK enum code rollover_write_roots(struct rollover *r, const char *name, const struct cert_list *roots,
                                          struct err *e);
/** In every file of roots: add `add`, take `drop` away. Either may be NULL. */
MUST_CHECK enum code rollover_edit_roots(struct rollover *r, const struct cert_list *add,
                                         const struct cert_list *drop, struct err *e);
/** In every file of lists: the lists of `drop` go; those of the new CA (next) or the old one come, where the CA is ours. */
enum rollover_lists { ROLLOVER_LISTS_NONE, ROLLOVER_LISTS_OLD, ROLLOVER_LISTS_NEXT };
MUST_CHECK enum code rollover_edit_lists(struct rollover *r, enum rollover_lists add,
                                         const struct cert_list *drop, struct err *e);
/** The gate loads the files, where it runs. */
MUST_CHECK enum code rollover_reload(struct rollover *r, struct err *e);
/** Is it shown to clients that connect to a database, and of that CA? */
bool rollover_is_served(const struct rollover *r, const struct rollover_pair *pair,
                        enum rollover_issuer issuer);
/** Has the old CA issued a certificate that clients of a database are shown? */
bool rollover_has_served(const struct rollover *r);
/** Is one of those certificates of the new CA by now? */
bool rollover_serves_next(const struct rollover *r);
/** The pair of a probed handshake, for all that rollover_has_served() finds, unless a good one is there. */
MUST_CHECK enum code rollover_make_pair(struct rollover *r, const struct key_passphrase *known,
                                        struct err *e);
/** Is it of the old CA, which is somebody else's, and without a source in rotate.conf? A canary, which the gate does without, is not meant. */
bool rollover_is_to_bring(const struct rollover *r, const struct rollover_pair *pair);
/**
 * Commands that put a pair of the new CA, which is somebody else's, into the place of this one: with the pair of
 * rollover_cert_file, where that is of the new CA and has been tried out, else in words.
 */
MUST_CHECK enum code rollover_how_to_bring(const struct rollover *r, const struct rollover_pair *pair,
                                           struct str *out, struct err *e);
/** It goes, unless the settings name it. */
MUST_CHECK enum code rollover_remove_pair(struct rollover *r, struct err *e);
/** The new CA takes the place of the old one, which is then in CA.old; or the old one takes it back. */
MUST_CHECK enum code rollover_exchange(struct rollover *r, bool forward, struct err *e);
/** Put CA.old or CA.next into the directory of the CA in force. */
MUST_CHECK enum code rollover_retire(struct rollover *r, bool next, struct err *e);

#endif
