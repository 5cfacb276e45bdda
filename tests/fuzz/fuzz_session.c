/*
 * A whole session: what a client without manners sends from the first byte on goes through the real rooms, a
 * real socket pair and a real loop. Rules: trust, reject, SCRAM, MD5, cleartext by user name; the server
 * behind does not exist.
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/secret.h"
#include "fuzz.h"
#include "gate/session/pending.h"
#include "gate/session/session.h"
#include "gate/session/walk.h"
#include "gate/session/worker_thread.h"
#include "gate/stats/clients.h"
#include "gate/work/clerk_link.h"
#include "gate/work/sql_thread.h"
#include "gate/work/worker.h"
#include "net/socket.h"
#include "tls/context.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WATCH_MS = 1 };

static const char *const file_names[] = { "pgseal.conf", "pg_hba.conf", "pg_ident.conf", "users" };
static struct worker *worker;
static struct timer *watch;

static void put_file(const char *dir, const char *name, const char *text, mode_t mode)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

static void drop_file(const char *dir, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path);
}

static struct snapshot *load(struct env *env)
{
    static struct secret passphrase;
    AUTO(arena) struct arena arena;
    char dir[] = "/tmp/pgseal-fuzz-XXXXXX";
    static struct tls_library *library; /* for the life of the process */
    struct snapshot *snapshot = NULL;
    struct diags diags;

    library = tls_library_new();
    CHECK(mkdtemp(dir) && library);
    put_file(
        dir, "pgseal.conf",
        "upstream = 'host=/nonexistent'\nauth_source = file\nauth_file = 'users'\nupstream_login = 'scram, peer'\n",
        0600);
    put_file(dir, "pg_hba.conf",
             "local all trusted trust\nlocal all m md5\nlocal all p password\nlocal all no reject\n"
             "local replication all trust\nlocal all all scram-sha-256\n",
             0600);
    put_file(dir, "pg_ident.conf", "", 0600);
    put_file(dir, "users", "\"m\" \"md53175bce1d3201d16594cebf9d7eb3f9d\"\n\"p\" \"cleartext\"\n", 0600);
    const struct snapshot_params params = { .dir = dir,
                                            .libraries = &library,
                                            .n_workers = 1,
                                            .passphrase = &passphrase,
                                            .env = env,
                                            .generation = 1 };
    arena_init(&arena, 1 << 20, 1024);
    diags_init(&diags, &arena);
    CHECK(snapshot_load(&params, &snapshot, &diags) == OK);
    for (size_t i = 0; i < COUNT_OF(file_names); i++)
        drop_file(dir, file_names[i]);
    (void)rmdir(dir);
    return snapshot;
}

static void on_watch(void *arg)
{
    (void)arg;
    if (worker->n_alive == 0)
        loop_stop(worker->loop);
    else
        timer_set(watch, WATCH_MS);
}

static void set_up(void)
{
    static struct env env;
    static struct gate_shared shared;

    env = env_system();
    shared = (struct gate_shared){ .env = &env, .n_workers = 1, .workers = &worker };
    /* Not started: what is handed over waits there, and there is a limit to it. */
    shared.sql = sql_thread_new();
    shared.clerk = clerk_link_new(-1, &env); /* statements end with an error */
    shared.clients = shared.sql ? clients_new(shared.sql, "/nonexistent", &env) : NULL;
    CHECK(shared.clients && shared.clerk);
    CHECK(pending_open(&shared) == OK);
    worker = worker_new(&shared, 0);
    CHECK(worker);
    worker->snapshot = load(&env);
    watch = timer_new(worker->loop, on_watch, NULL);
    CHECK(watch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address peer = { .n = sizeof(sa_family_t) };
    int fds[2];

    if (!worker)
        set_up();
    peer.ss.ss_family = AF_UNIX;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    (void)!write(fds[0], data, size);
    (void)shutdown(fds[0], SHUT_WR);
    CHECK(walk_new(worker, fds[1], &peer, true));
    timer_set(watch, WATCH_MS);
    loop_run(worker->loop);
    (void)close(fds[0]);
    return 0;
}
