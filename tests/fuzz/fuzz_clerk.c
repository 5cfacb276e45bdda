/*
 * The wire between gate and clerk, both ends. The first byte says which:
 *
 *   0  a request, type byte and body, to a clerk; the clock goes on each time it is asked
 *   1  answers, chunk after chunk (type byte and body), to a session that asks for this and that
 *   2  an answer with rows: bytes for form and number of columns, then the body
 */
#include "base/buf.h"
#include "base/wr.h"
#include "clerk/clerk.h"
#include "fuzz.h"
#include "status/clerk_wire.h"
#include "status/console.h"
#include "status/console_job.h"

#include <stdlib.h>

enum { OUT_MAX = 80 << 20, ANSWERS_MAX = 64 };

static int64_t ticking(void *ctx)
{
    return *(int64_t *)ctx += 1000;
}

static int64_t wall(void *ctx)
{
    (void)ctx;
    return INT64_C(1795231830000000);
}

/* ---- 0: the clerk reads ---- */

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static bool nobody_acts(void *ctx, const struct clerk_action *action, struct clerk_acted *out)
{
    (void)ctx, (void)action, (void)out;
    return false;
}

static void request(struct bytes rest)
{
    AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
    struct buf body = BUF_INIT(CLERK_REQUEST_MAX);
    int64_t clock = 0;
    struct env env = fuzz_env;
    const struct clerk_host host = { .env = &env, .canceled = never, .act = nobody_acts };

    env.now_unix_us = wall;
    env.mono_us = ticking;
    env.ctx = &clock;
    struct clerk *clerk = clerk_new(&host);
    CHECK(clerk != NULL);
    char type = (char)fuzz_byte(&rest);
    buf_append(&body, rest);
    if (clerk_answer(clerk, type, &body, &out))
        CHECK(buf_ok(&out));
    clerk_free(clerk);
}

/* ---- 1: a session hears ---- */

struct hostile_clerk {
    struct bytes rest;
    unsigned left;
};

static enum code ask(void *ctx, struct clerk_call *call, char *out_type, struct bytes *out_body,
                     struct err *e)
{
    struct hostile_clerk *hostile_clerk = ctx;

    if (hostile_clerk->left == 0 || hostile_clerk->rest.n == 0)
        return err_set(e, E_BAD_STATE, "lost");
    hostile_clerk->left--;
    call->generation = 1;
    *out_type = (char)fuzz_byte(&hostile_clerk->rest);
    *out_body = fuzz_chunk(&hostile_clerk->rest);
    return OK;
}

static void forget(void *ctx, struct clerk_open *open)
{
    (void)ctx;
    free(open);
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void query(struct buf *out, const char *sql)
{
    struct wr w = wr_begin(out, 'Q');

    wr_cstr(&w, str_c(sql));
    wr_end(&w);
}

/* Parse, Bind, Describe, Execute with a limit, Execute, Close, Sync. */
static void extended(struct buf *out, const char *sql)
{
    struct wr w = wr_begin(out, 'P');

    wr_cstr(&w, STR("s"));
    wr_cstr(&w, str_c(sql));
    wr_u16(&w, 0);
    wr_end(&w);
    w = wr_begin(out, 'B');
    wr_cstr(&w, STR("p"));
    wr_cstr(&w, STR("s"));
    wr_u16(&w, 0);
    wr_u16(&w, 0);
    wr_u16(&w, 0);
    wr_end(&w);
    w = wr_begin(out, 'D');
    wr_u8(&w, 'P');
    wr_cstr(&w, STR("p"));
    wr_end(&w);
    for (uint32_t limit = 2; limit > 0; limit--) {
        w = wr_begin(out, 'E');
        wr_cstr(&w, STR("p"));
        wr_u32(&w, limit - 1);
        wr_end(&w);
    }
    w = wr_begin(out, 'S');
    wr_end(&w);
}

static void session(struct bytes rest)
{
    AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
    AUTO(buf) struct buf in = BUF_INIT(4096);
    struct hostile_clerk hostile_clerk = { rest, ANSWERS_MAX };
    const struct clerk_line line = { &hostile_clerk, ask, forget, nothing, nothing };
    const struct console_params params = { .env = &fuzz_env,
                                           .user = STR("alice"),
                                           .database = STR("pgseal") };
    struct console *c = console_new(&params, &line);

    CHECK(c != NULL);
    query(&in, "BEGIN; DECLARE c CURSOR FOR TABLE pg_stat_ssl; FETCH 2 FROM c; COPY pg_settings TO STDOUT");
    extended(&in, "SELECT pid, version FROM pg_stat_ssl");
    query(&in, "SET application_name = 'x'; SHOW ALL; DISCARD ALL");
    enum console_step step = console_feed(c, buf_bytes(&in), &out);
    while (step == CONSOLE_JOB || step == CONSOLE_DRAIN) {
        buf_reset(&out);
        if (step == CONSOLE_JOB)
            console_job_run(console_job(c));
        step = console_next(c, &out);
    }
    console_free(c);
}

/* ---- 2: rows ---- */

static void rows(struct bytes rest)
{
    const struct clerk_fetch fetch = { .form = (enum row_form)(fuzz_byte(&rest) % 3), .limit = 1000 };
    size_t columns = fuzz_byte(&rest);
    struct clerk_chunk chunk;

    if (!clerk_read_chunk(rest, &fetch, columns, &chunk))
        return;
    CHECK(chunk.rows >= 0 && chunk.rows <= fetch.limit && chunk.messages.n <= rest.n);
    CHECK(fetch.form != ROW_DATA || (size_t)chunk.rows * (7 + 4 * columns) <= chunk.messages.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);

    switch (fuzz_byte(&rest) % 3) {
    case 0:
        request(rest);
        break;
    case 1:
        session(rest);
        break;
    default:
        rows(rest);
        break;
    }
    return 0;
}
