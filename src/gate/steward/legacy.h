/**
 * What a gate leaves its successor beside its sessions: listeners, the lock, numbers, the history.
 */
#ifndef PGSEAL_GATE_STEWARD_LEGACY_H
#define PGSEAL_GATE_STEWARD_LEGACY_H

#include "gate/gate.h"
#include "gate/load/history.h"
#include "gate/steward/elders.h"
#include "gate/steward/listen.h"
#include "gate/work/link.h"

struct gate;
struct settings;

enum { LEGACY_SETTINGS_MAX = 16, LEGACY_WORKERS_MAX = 1024 };

/** A setting that decides where the gate listens, or where it writes. */
struct legacy_setting {
    char name[64];
    char value[1024];
};

struct legacy {
    unsigned n_workers;
    unsigned generation;
    int64_t started_us;
    struct legacy_setting settings[LEGACY_SETTINGS_MAX];
    size_t n_settings;
    struct listen_set listening; /* its sockets are taken by listen_adopt() */
    struct socket_set http;
    int lock;
    struct history history;
    int elders[ELDERS_MAX]; /* links */
    size_t n_elders;
};

/** Tell the successor everything. E_IO: it did not take it. */
MUST_CHECK enum code legacy_send(const struct gate *g, const struct link *link, struct err *e);
/** The whole of it, from a gate that has our form. *out (returned to caller, legacy_free()). */
MUST_CHECK enum code legacy_receive(const struct link *link, struct legacy **out, struct err *e);
/** Does the gate listen and write where these settings say? E_CONFIG. */
MUST_CHECK enum code legacy_fits(const struct legacy *legacy, const struct settings *settings,
                                 const struct env *env, struct err *e);
/** What nobody has taken is closed. NULL is fine. */
void legacy_free(struct legacy *legacy);

#endif
