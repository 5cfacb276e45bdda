/*
 * What another process says is a session (gate/session/pack.h). A pack that is taken can be packed again, taken again,
 * begun, and ended. The worker is only data, its loop and its sockets are in memory (memory_io.h).
 */
#include "../unit/gate/rooms.h"
#include "fuzz.h"
#include "gate/session/pack.h"

enum { NO_FD = MEMORY_FD + 1, TURNS_MAX = 1000 };

static struct rooms rooms;

static const struct rooms_file files[] = {
    { "pgseal.conf", "upstream = 'host=/nonexistent'\nauth_source = file\nauth_file = 'users'\n"
                     "upstream_login = 'trust'\nclients_limit = 0\n" },
    { "pg_hba.conf", "local all all trust\n" },
    { "pg_ident.conf", "" },
    { "users", "" },
    { NULL, NULL },
};

static void end(struct session *s)
{
    unsigned turns = 0;

    session_drain(s, true);
    while (rooms.worker.n_alive > 0)
        CHECK(memory_io_turn() && ++turns < TURNS_MAX);
    (void)memory_io_sent();
}

/* As the next process does. */
static struct session *pass_on(struct session *s)
{
    struct buf packed = BUF_INIT(PACK_MAX);
    int fds[PACK_FDS];
    struct session *next = NULL;
    struct err e;

    CHECK(pack_session(s, &packed, fds) == OK);
    pack_drop(s);
    CHECK(rooms.worker.n_alive == 0 && rooms.shared.connections == 0);
    CHECK(pack_take(&rooms.worker, buf_bytes(&packed), (const int[]){ MEMORY_FD, NO_FD }, &next, &e) == OK);
    buf_fini_secret(&packed);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session *s = NULL;
    struct err e = { 0 };

    if (!rooms.worker.snapshot) {
        rooms_open(&rooms, env_system());
        rooms.worker.snapshot = rooms_load(&rooms, files);
    }
    memory_io_feed(bytes_of(data, size), true);
    rooms.shared.session_ids = 0;
    (void)pack_worker(bytes_of(data, size), 3);
    enum code code = pack_take(&rooms.worker, bytes_of(data, size), (const int[]){ MEMORY_FD, NO_FD }, &s,
                               &e);
    if (code != OK) {
        CHECK(code == E_PROTOCOL && e.code == code && rooms.worker.n_alive == 0);
        return 0;
    }
    CHECK(memory_io_sent().n == 0);
    s = pass_on(s);
    CHECK(memory_io_sent().n == 0);
    pack_begin(s);
    for (unsigned turns = 0; turns < 4 && rooms.worker.n_alive > 0; turns++)
        (void)memory_io_turn();
    if (rooms.worker.n_alive > 0)
        end(s);
    (void)memory_io_sent();
    return 0;
}
