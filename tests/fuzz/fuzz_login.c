/* A hostile server: whatever it says, fed whole and byte by byte, with a password at hand; and rows of a gate. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "client/gate_talk.h"
#include "client/login.h"
#include "pgwire/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool fixed_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    memset(out, 'x', n);
    return true;
}

static void run(const uint8_t *data, size_t size, size_t step_size)
{
    struct env env = env_system();
    struct login_params params = { .protocol = PROTOCOL_3_2,
                                   .protocol_min = PROTOCOL_3_0,
                                   .user = STR("u"),
                                   .creds = { .password = bytes_of("p", 1) },
                                   .auth_allowed = AUTH_BIT_ALL,
                                   .iterations_max = 10,
                                   .env = &env };
    struct buf out = BUF_INIT(1 << 20);
    struct arena arena;
    enum login_step step = LOGIN_MORE;
    struct err e;
    size_t at = 0, end = 0;

    env.random = fixed_random;
    arena_init(&arena, 1 << 22, 4096);
    struct login *login = login_new(&params, &arena);
    while (login && end < size && (step == LOGIN_MORE || step == LOGIN_AUTHENTICATED)) {
        size_t used;
        end = size - end < step_size ? size : end + step_size;
        do {
            step = login_feed(login, bytes_of(data + at, end - at), &used, &out, &e);
            at += used;
        } while (used > 0 && (step == LOGIN_MORE || step == LOGIN_AUTHENTICATED));
    }
    login_free(login);
    buf_fini(&out);
    arena_fini(&arena);
}

/* Cells lie within the row, in its order. */
static void read_row(struct bytes body)
{
    struct str cells[3];
    const char *at = (const char *)body.p, *end = at + body.n;

    if (gate_row_parse(body, COUNT_OF(cells), cells) != OK)
        return;
    for (size_t i = 0; i < COUNT_OF(cells); i++) {
        if (!cells[i].p)
            continue;
        CHECK(cells[i].p >= at && cells[i].n <= (size_t)(end - cells[i].p));
        at = cells[i].p + cells[i].n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_row(bytes_of(data, size));
    run(data, size, size ? size : 1);
    run(data, size, 1);
    return 0;
}
