/*
 * A session of the status database: SQL texts separated by NUL, each as a simple Query; or, with the first
 * byte's lowest bit set, a stream of messages as it stands. Statements run against a few rows. The clock goes
 * on each time it is asked, so that nothing runs long.
 */
#include "../unit/status/clerk_here.h"
#include "base/buf.h"
#include "base/wr.h"
#include "fuzz.h"
#include "status/console.h"
#include "status/console_job.h"
#include "status/views.h"

enum { OUT_MAX = 16 << 20, ROWS = 3, STATEMENTS_MAX = 8 };

static int64_t ticking(void *ctx)
{
    return *(int64_t *)ctx += 1000;
}

static int64_t wall(void *ctx)
{
    (void)ctx;
    return INT64_C(1795231830000000);
}

static enum code count_rows(void *ctx, enum view view, size_t *out, struct err *e)
{
    (void)ctx, (void)e;
    *out = view == VIEW_PG_FILE_SETTINGS ? 0 : ROWS;
    return OK;
}

/* Cells by the column's type, so that every view has something in every column, and NULLs. */
static void fill_row(void *ctx, enum view view, size_t index, union view_row *out, struct row_rights *rights)
{
    static const struct str items[] = { { "a", 1 }, { "b \"c", 4 } };
    const struct view_def *def = view_def(view);

    (void)ctx;
    rights->owner = index == 0 ? STR("alice") : STR("bob");
    for (size_t i = 0; i < def->column_count; i++) {
        enum pg_type type = def->columns[i].type;
        if (index == 2 && i > 0)
            continue;
        if (type == PG_TEXTS)
            out->cells[i] = cell_texts(items, 2);
        else if (type == PG_NUMERIC)
            out->cells[i] = cell_c("12345678901234567890123");
        else if (type == PG_INET)
            out->cells[i] = cell_c("192.0.2.1");
        else if (type == PG_TEXT || type == PG_NAME || type == PG_CHAR)
            out->cells[i] = cell_c("text");
        else
            out->cells[i] = cell_int((int64_t)index);
    }
}

static void run(struct console *c, enum console_step step, struct buf *out)
{
    while (step == CONSOLE_JOB || step == CONSOLE_DRAIN) {
        buf_reset(out);
        if (step == CONSOLE_JOB) {
            struct console_job *job = console_job(c);
            if (console_job_views(job) != 0)
                console_job_rows(job, (struct row_source){ NULL, count_rows, fill_row, NULL });
            console_job_run(job);
        }
        step = console_next(c, out);
    }
    buf_reset(out);
}

static void feed_queries(struct console *c, struct bytes rest, struct buf *out)
{
    for (unsigned i = 0; rest.n > 0 && i < STATEMENTS_MAX; i++) {
        AUTO(buf) struct buf message = BUF_INIT(1 << 20);
        struct wr w = wr_begin(&message, 'Q');
        wr_cstr(&w, fuzz_text(&rest));
        wr_end(&w);
        run(c, console_feed(c, buf_bytes(&message), out), out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    uint8_t flags = fuzz_byte(&rest);
    AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
    int64_t clock = 0;
    struct env env = fuzz_env;
    struct console_params params = { .env = &env,
                                     .user = STR("alice"),
                                     .database = STR("pgseal"),
                                     .pid = 1 << 30,
                                     .is_admin = flags & 2,
                                     .can_see_all = flags & 4,
                                     .deadline_ms = 20 };
    struct console *c;

    env.now_unix_us = wall;
    env.mono_us = ticking;
    env.ctx = &clock;
    struct clerk_here here;
    clerk_here_begin(&here, &env, NULL);
    const struct clerk_line line = clerk_here_line(&here);
    c = console_new(&params, &line);
    CHECK(c != NULL);
    if (flags & 1)
        run(c, console_feed(c, rest, &out), &out);
    else
        feed_queries(c, rest, &out);
    console_free(c);
    clerk_here_end(&here);
    return 0;
}
