/**
 * Files of roots and of revocation lists as texts: blocks come and go, everything else stays as it is written.
 */
#ifndef PGSEAL_RENEW_ROLLOVER_TEXT_H
#define PGSEAL_RENEW_ROLLOVER_TEXT_H

#include "pki/cert.h"
#include "pki/crl.h"

struct buf;

/** Which blocks of a file of roots, or of lists, belong to the old CA and which to the new one. */
struct rollover_holds {
    bool old, next;
    bool others;  /* certificates or lists that are neither's */
    bool missing; /* of several new roots one is not there */
};

/** A block that cannot be read is neither's. */
struct rollover_holds rollover_text_roots(struct str text, const struct cert_list *old,
                                          const struct cert_list *next);
struct rollover_holds rollover_text_lists(struct str text, const struct cert_list *old,
                                          const struct cert_list *next);

/** The text with those of `add` that it lacks, appended to `out`. E_NOMEM, E_LIMIT. */
MUST_CHECK enum code rollover_text_add_roots(struct str text, const struct cert_list *add, struct buf *out,
                                             struct err *e);
/** The text without these certificates. */
MUST_CHECK enum code rollover_text_drop_roots(struct str text, const struct cert_list *drop, struct buf *out,
                                              struct err *e);
/**
 * The text without the lists of these CAs, and then `fresh`, a text of lists.
 *
 * fresh  empty: nothing takes their place.
 */
MUST_CHECK enum code rollover_text_put_lists(struct str text, const struct cert_list *drop, struct str fresh,
                                             struct buf *out, struct err *e);

#endif
