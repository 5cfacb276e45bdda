/**
 * A TLS session as bytes for the process that takes it over, and back: one whose records are ours.
 */
#ifndef PGSEAL_TLS_ENGINE_PACK_H
#define PGSEAL_TLS_ENGINE_PACK_H

#include "base/form.h"

struct tls_engine;
struct tls_port;

/** The handshake is over, and the records are ours. */
bool tls_engine_own_records(const struct tls_engine *engine);
/** The handshake is over, the records are ours and they have not failed. */
bool tls_engine_can_pack(const struct tls_engine *engine);
/** After tls_engine_can_pack(). Secrets among it. */
void tls_engine_pack(struct tls_engine *engine, struct form *f);
/** What tls_engine_pack() has written. Texts live in the form's arena, which must outlive the engine. NULL: `f` says
 * why. */
struct tls_engine *tls_engine_take(struct tls_port *port, struct form *f);

#endif
