/**
 * What is known of a relaying session besides its connections and its cancel key, as bytes and back.
 */
#ifndef PGSEAL_GATE_SESSION_PACK_FORM_H
#define PGSEAL_GATE_SESSION_PACK_FORM_H

#include "base/form.h"
#include "gate/session/session.h"

/** Write it, or read it into a session of walk_adopt(): texts go into its arena. */
void pack_form(struct session *s, struct form *f);

#endif
