/* What a gate leaves its successor, from a gate that means no good: packets over a real socket, with descriptors or without. */
#include "base/check.h"
#include "base/env.h"
#include "fuzz.h"
#include "gate/stats/tally.h"
#include "gate/steward/legacy.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKETS_MAX = 64, WAIT_MS = 1000 };

/* Type, whether a descriptor goes along, length, bytes. */
static void send_packet(int socket, struct bytes *rest)
{
    char type = (char)fuzz_byte(rest);
    bool with = fuzz_byte(rest) & 1;
    struct bytes data = fuzz_chunk(rest);
    int fds[OS_PACKET_FDS] = { with ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1, -1 };

    (void)os_packet_send(socket, type, data, fds, false); /* more than there is room for is lost */
    if (fds[0] >= 0)
        (void)close(fds[0]);
}

static void check_legacy(const struct legacy *l)
{
    CHECK(l->n_workers > 0 && l->n_workers <= LEGACY_WORKERS_MAX && l->lock >= 0);
    CHECK(l->n_settings <= LEGACY_SETTINGS_MAX && l->n_elders <= ELDERS_MAX && l->http.n <= SOCKET_SET_MAX);
    for (size_t i = 0; i < l->n_settings; i++)
        CHECK(strlen(l->settings[i].name) < sizeof l->settings[i].name &&
              strlen(l->settings[i].value) < sizeof l->settings[i].value);
    for (size_t i = 0; i < l->listening.n_listeners; i++)
        CHECK(l->listening.listeners[i].worker < l->n_workers);
    for (size_t i = 0; i < history_count(&l->history); i++)
        CHECK(history_at(&l->history, i)->trigger && history_at(&l->history, i)->result);
}

static void failures(struct bytes data)
{
    struct tally_saved saved = { .count = 0 };
    struct tally_row row;

    memcpy(&saved, data.p, data.n < sizeof saved ? data.n : sizeof saved);
    if (tally_restore(&saved, &row)) {
        CHECK(strlen(row.user) < sizeof row.user && strlen(row.sni) < sizeof row.sni && row.alert);
        tally_save(&row, &saved);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    const struct env env = env_system();
    struct legacy *legacy = NULL;
    struct err e;
    int pair[2];

    failures(rest);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    for (int i = 0; i < PACKETS_MAX && rest.n > 0; i++)
        send_packet(pair[0], &rest);
    (void)close(pair[0]);
    struct link link = { .fd = pair[1], .env = &env };
    link_set_limit(&link, WAIT_MS);
    if (legacy_receive(&link, &legacy, &e) == OK)
        check_legacy(legacy);
    legacy_free(legacy);
    (void)close(pair[1]);
    return 0;
}
