/*
 * A whole session: what a client without manners sends from the first byte on goes through the real rooms. The
 * worker is only data, its loop and its sockets are in memory (memory_io.h): no thread, no polling. Rules: trust,
 * reject, SCRAM, MD5, cleartext by user name; the upstream server does not exist.
 */
#include "../unit/gate/rooms.h"
#include "fuzz.h"
#include "gate/session/walk.h"
#include "gate/stats/clients.h"
#include "gate/work/clerk_link.h"
#include "gate/work/sql_thread.h"
#include "net/socket.h"

static struct rooms rooms;

static const struct rooms_file files[] = {
    { "pgseal.conf", "upstream = 'host=/nonexistent'\nauth_source = file\nauth_file = 'users'\n"
                     "upstream_login = 'scram, peer'\n" },
    { "pg_hba.conf", "local all trusted trust\nlocal all m md5\nlocal all p password\nlocal all no reject\n"
                     "local replication all trust\nlocal all all scram-sha-256\n" },
    { "pg_ident.conf", "" },
    { "users", "\"m\" \"md53175bce1d3201d16594cebf9d7eb3f9d\"\n\"p\" \"cleartext\"\n" },
    { NULL, NULL },
};

static void set_up(void)
{
    struct gate_shared *shared = &rooms.shared;

    rooms_open(&rooms, env_system());
    /* Not started: what is handed over waits there, and there is a limit to it. */
    shared->sql = sql_thread_new();
    shared->clerk = clerk_link_new(-1, &rooms.env); /* statements end with an error */
    shared->clients = shared->sql ? clients_new(shared->sql, "/nonexistent", &rooms.env) : NULL;
    CHECK(shared->clients && shared->clerk);
    rooms.worker.snapshot = rooms_load(&rooms, files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address peer = { .n = sizeof(sa_family_t) };

    if (!rooms.worker.snapshot)
        set_up();
    peer.ss.ss_family = AF_UNIX;
    memory_io_feed(bytes_of(data, size), true);
    CHECK(walk_new(&rooms.worker, MEMORY_FD, &peer, true));
    while (rooms.worker.n_alive > 0)
        CHECK(memory_io_turn());
    (void)memory_io_sent();
    return 0;
}
