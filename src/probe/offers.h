/**
 * What a server agrees to: protocol versions, cipher suites, key-exchange groups.
 */
#ifndef PGSEAL_PROBE_OFFERS_H
#define PGSEAL_PROBE_OFFERS_H

#include "probe/look.h"

/** Protocol versions, cipher suites, groups. */
MUST_CHECK enum code look_offers(struct look *look, struct err *e);

#endif
