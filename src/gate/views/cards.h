/**
 * Copies of sessions as bytes, for another process of the gate: after an upgrade the new one shows what the old one still has.
 */
#ifndef PGSEAL_GATE_VIEWS_CARDS_H
#define PGSEAL_GATE_VIEWS_CARDS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct session_card;

enum {
    CARD_TEXT_MAX = 1024, /* bytes of a text that go over */
    CARD_MAX = 28 * 1024  /* no card is longer */
};

/** Appended to `out`. False: memory ran out, or there is no room. */
MUST_CHECK bool cards_put(struct buf *out, const struct session_card *card);
/**
 * The card in front of *in, which moves on. What another process wrote is judged like what a stranger sends: the texts are made
 * safe to show. They are copies in `arena`. E_PROTOCOL, E_NOMEM.
 */
MUST_CHECK enum code cards_take(struct bytes *in, struct arena *arena, struct session_card *out);

#endif
