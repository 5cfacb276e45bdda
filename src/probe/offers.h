/**
 * What a server agrees to: protocol versions, cipher suites, key-exchange groups.
 */
#ifndef PGSEAL_PROBE_OFFERS_H
#define PGSEAL_PROBE_OFFERS_H

#include "probe/probe_run.h"

/** Protocol versions, cipher suites, groups. */
MUST_CHECK enum code probe_offers(struct probe_run *run, struct err *e);

#endif
