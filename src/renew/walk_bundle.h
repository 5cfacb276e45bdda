/**
 * A file of roots: what the operator fetched, once it verifies every server that it is for.
 */
#ifndef PGSEAL_RENEW_WALK_BUNDLE_H
#define PGSEAL_RENEW_WALK_BUNDLE_H

#include "renew/walk.h"

extern const struct walk_kind walk_bundle;

#endif
