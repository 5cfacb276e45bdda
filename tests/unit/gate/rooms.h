/**
 * A worker that is only data, and what it serves: built in the test, without a thread or a descriptor.
 */
#ifndef PGSEAL_TESTS_ROOMS_H
#define PGSEAL_TESTS_ROOMS_H

#include "base/arena.h"
#include "base/check.h"
#include "base/count.h"
#include "base/env.h"
#include "base/secret.h"
#include "gate/load/snapshot.h"
#include "gate/session/pending.h"
#include "gate/session/registry.h"
#include "gate/session/session.h"
#include "gate/stats/client_counts.h"
#include "gate/stats/tally.h"
#include "gate/work/worker.h"
#include "memory_io.h"
#include "tls/context.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROOMS_FAILURES = 16 };

struct rooms {
    struct env env;
    struct gate_shared shared;
    struct worker worker;
    struct worker *workers[1];
};

static void rooms_sessions_changed(struct worker *worker)
{
    (void)worker;
}

static bool rooms_needs_descriptor(struct worker *worker)
{
    (void)worker;
    return false;
}

/* loop: taken; one of the kernel's, or an address and nothing else: memory_io.h. */
static inline void rooms_open_on(struct rooms *r, struct env env, struct loop *loop)
{
    static const struct worker_hooks hooks = {
        .sessions_changed = rooms_sessions_changed,
        .descriptor_freed = rooms_sessions_changed,
        .needs_descriptor = rooms_needs_descriptor,
    };
    struct worker *worker = &r->worker;

    r->env = env;
    r->workers[0] = worker;
    worker->shared = &r->shared;
    worker->env = env;
    worker->hooks = &hooks;
    worker->loop = loop;
    r->shared = (struct gate_shared){ .env = &r->env, .n_workers = 1, .workers = r->workers };
    CHECK(pending_open(&r->shared) == OK);
    worker->library = tls_library_new();
    worker->tally = tally_new(ROOMS_FAILURES);
    worker->counters = counters_new(COUNT_CELLS_MAX);
    worker->registry = registry_new();
    CHECK(worker->library && worker->tally && worker->counters && worker->registry);
    worker->received = count_cell(worker->counters, METRIC_RECEIVED, NULL);
    worker->sent = count_cell(worker->counters, METRIC_SENT, NULL);
    CHECK(client_counts_init(worker) && stream_room_init(&worker->room, worker->loop));
    LIST_INIT(&worker->cancel_tasks);
    LIST_INIT(&worker->gathering);
    TAILQ_INIT(&worker->sessions);
}

static inline void rooms_open(struct rooms *r, struct env env)
{
    memory_io_open((struct loop *)r);
    rooms_open_on(r, env, (struct loop *)r);
}

static inline void rooms_close_all(struct rooms *r)
{
    struct worker *worker = &r->worker;

    snapshot_unref(worker->snapshot);
    client_counts_fini(worker);
    stream_room_fini(&worker->room);
    registry_free(worker->registry);
    counters_free(worker->counters);
    tally_free(worker->tally);
    tls_library_free(worker->library);
    pending_close(&r->shared);
}

static inline void rooms_close(struct rooms *r)
{
    rooms_close_all(r);
    memory_io_close();
}

struct rooms_file {
    const char *name;
    const char *text;
};

/* What a gate with these files serves; the files are gone afterwards. Ends with a name of NULL. */
static inline struct snapshot *rooms_load(struct rooms *r, const struct rooms_file *files)
{
    static struct secret passphrase;
    AUTO(arena) struct arena arena;
    char dir[] = "/tmp/pgseal-rooms-XXXXXX", path[128];
    struct snapshot *snapshot = NULL;
    struct diags diags;

    CHECK(mkdtemp(dir));
    for (const struct rooms_file *f = files; f->name; f++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, f->name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, f->text, strlen(f->text)) == (ssize_t)strlen(f->text));
        (void)close(fd);
    }
    const struct snapshot_params params = { .dir = dir,
                                            .libraries = &r->worker.library,
                                            .n_workers = 1,
                                            .passphrase = &passphrase,
                                            .env = &r->env,
                                            .generation = 1 };
    arena_init(&arena, 1 << 20, 1024);
    diags_init(&diags, &arena);
    CHECK(snapshot_load(&params, &snapshot, &diags) == OK);
    for (const struct rooms_file *f = files; f->name; f++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, f->name);
        (void)unlink(path);
    }
    (void)rmdir(dir);
    return snapshot;
}

#endif
