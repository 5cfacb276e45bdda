/*
 * Cancel keys of one worker's sessions.
 *
 * A client holds (pid, key): the server's real pid and a key of ours. The key's first four bytes say, modulo
 * the number of workers, which worker has the session, so no table is shared. Somebody who guesses does not
 * know the worker either: to him all 32 bits are random.
 */
#include "gate/session/registry.h"

#include "auth/cancel_key.h"
#include "base/check.h"
#include "base/env.h"
#include "base/rd.h"
#include "base/secret.h"
#include "gate/load/http_access.h"
#include "gate/load/snapshot.h"
#include "gate/session/session.h"
#include "gate/work/worker.h"

#include <stdlib.h>

enum { DRAWS_MAX = 100000, REGISTRY_SLOTS = 1024 /* a power of two */ };

struct registry {
    struct session *slots[REGISTRY_SLOTS];
};

struct registry *registry_new(void)
{
    return calloc(1, sizeof(struct registry));
}

void registry_free(struct registry *registry)
{
    free(registry);
}

static unsigned slot_of(uint32_t pid)
{
    return pid * 2654435761u >> 22 & (REGISTRY_SLOTS - 1);
}

unsigned registry_worker(struct bytes key, unsigned n_workers)
{
    struct rd r = rd_over(key);
    uint32_t word = rd_u32(&r);

    return r.bad ? 0 : word % n_workers;
}

struct session *registry_find(struct worker *worker, uint32_t pid, struct bytes key, bool *out_pid_known)
{
    struct session *found = NULL;

    *out_pid_known = false;
    for (struct session *s = worker->registry->slots[slot_of(pid)]; s; s = s->key_next) {
        if ((uint32_t)s->pid != pid)
            continue;
        *out_pid_known = true;
        if (secret_equal(bytes_of(s->key, s->key_n), key))
            found = s;
    }
    return found;
}

struct session *registry_next(struct worker *worker, uint32_t pid, const struct session *after)
{
    struct session *s = after ? after->key_next : worker->registry->slots[slot_of(pid)];

    while (s && (uint32_t)s->pid != pid)
        s = s->key_next;
    return s;
}

static void insert(struct worker *worker, struct session *session, struct bytes key)
{
    struct session **slot = &worker->registry->slots[slot_of((uint32_t)session->pid)];

    memcpy(session->key, key.p, key.n);
    session->key_n = (uint8_t)key.n;
    session->key_next = *slot;
    *slot = session;
}

enum code registry_add(struct worker *worker, struct session *session, uint8_t n)
{
    const struct env *env = &worker->env;
    const struct bytes secret = secret_bytes(&snapshot_http_access(worker->snapshot)->cancels);
    uint8_t key[sizeof session->key];
    bool known;

    CHECK(n >= 4 && n <= sizeof key);
    for (int draw = 0; draw < DRAWS_MAX; draw++) {
        struct bytes drawn = bytes_of(key, n);
        if (!env_random(env, key, n))
            return E_INTERNAL;
        if (registry_worker(drawn, worker->shared->n_workers) != worker->index)
            continue;
        if (n == CANCEL_KEY_BYTES && secret.n > 0)
            TRY(cancel_key_sign(secret, (uint32_t)session->pid, key));
        if (registry_find(worker, (uint32_t)session->pid, drawn, &known))
            continue;
        insert(worker, session, drawn);
        return OK;
    }
    return E_INTERNAL;
}

bool registry_put(struct worker *worker, struct session *session, struct bytes key)
{
    bool known;

    if (key.n < 4 || key.n > sizeof session->key ||
        registry_worker(key, worker->shared->n_workers) != worker->index ||
        registry_find(worker, (uint32_t)session->pid, key, &known))
        return false;
    insert(worker, session, key);
    return true;
}

void registry_remove(struct worker *worker, struct session *session)
{
    struct session **at = &worker->registry->slots[slot_of((uint32_t)session->pid)];

    if (session->key_n == 0)
        return;
    while (*at && *at != session)
        at = &(*at)->key_next;
    if (*at)
        *at = session->key_next;
    session->key_n = 0;
    wipe(session->key, sizeof session->key);
}
