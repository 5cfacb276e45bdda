/* The first packets of a connection, one after another, as a client without manners sends them. */
#include "base/arena.h"
#include "base/buf.h"
#include "fuzz.h"
#include "pgwire/backend.h"
#include "pgwire/hello.h"

static void take_startup(const struct hello_packet *packet)
{
    AUTO(arena) struct arena arena;
    AUTO(buf) struct buf out = BUF_INIT(64 * 1024);
    struct startup startup;
    struct err e = { 0 };

    arena_init(&arena, 1 << 20, 4096);
    if (startup_parse(packet->code, packet->body, &arena, &startup, &e) != OK) {
        CHECK(e.code != OK && e.message[0] != '\0');
        if (startup_error_is_v2(packet->code))
            backend_fatal_v2(&out, &e);
        else
            backend_fatal(&out, &e);
        return;
    }
    CHECK(startup.user.n <= PG_NAME_MAX && startup.database.n <= PG_NAME_MAX);
    if (startup_must_negotiate(&startup))
        backend_negotiate(&out, &startup);
    (void)!startup_check_user(&startup, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct hello hello = { 0 };
    struct hello_packet packet;
    struct cancel cancel;
    struct err e;

    for (unsigned i = 0; i < 8 && hello_next(&hello, rest, &packet) == OK; i++) {
        CHECK(packet.used >= HELLO_LENGTH_MIN && packet.used <= rest.n);
        switch (packet.kind) {
        case HELLO_SSL:
            (void)hello_answer_ssl(&hello, i % 2);
            break;
        case HELLO_GSSENC:
            (void)hello_answer_gss(&hello);
            break;
        case HELLO_CANCEL:
            (void)!cancel_parse(packet.body, &cancel, &e);
            return 0;
        case HELLO_STARTUP:
            take_startup(&packet);
            return 0;
        }
        rest = bytes_from(rest, packet.used);
    }
    return 0;
}
