/**
 * A pair: a key, a certificate for it, checks, and a look at what the listeners serve.
 */
#ifndef PGSEAL_RENEW_WALK_PAIR_H
#define PGSEAL_RENEW_WALK_PAIR_H

#include "renew/walk.h"

extern const struct walk_kind walk_pair;

#endif
