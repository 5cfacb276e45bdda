/* See talk.h. */
#include "talk.h"

#include "base/check.h"
#include "base/rd.h"
#include "base/wr.h"
#include "pgwire/msg.h"
#include "status/console_job.h"

enum { TALK_MAX = 64 << 20 };

static int64_t wall(void *ctx)
{
    return ((struct talk *)ctx)->now_us;
}

static int64_t mono(void *ctx)
{
    struct talk *t = ctx;

    return t->now_us += t->tick_us;
}

void talk_begin(struct talk *t, const char *user, bool is_admin)
{
    struct console_params params;

    *t = (struct talk){ .now_us = INT64_C(1795231830000000) }; /* 2026-11-21 03:30:30 UTC */
    t->env = env_system();
    t->env.now_unix_us = wall;
    t->env.mono_us = mono;
    t->env.ctx = t;
    params = fixture_params(&t->fixture, &t->env, user, is_admin);
    buf_init(&t->sent, TALK_MAX);
    buf_init(&t->out, TALK_MAX);
    buf_init(&t->lines, TALK_MAX);
    clerk_here_begin(&t->clerk, &t->env, params.tls.field_known);
    const struct clerk_line line = clerk_here_line(&t->clerk);
    t->console = console_new(&params, &line);
    CHECK(t->console != NULL);
    console_greet(t->console, &t->out); /* once: then only changes are told */
    buf_reset(&t->out);
}

void talk_end(struct talk *t)
{
    console_free(t->console);
    clerk_here_end(&t->clerk);
    buf_fini(&t->sent);
    buf_fini(&t->out);
    buf_fini(&t->lines);
}

void talk_message(struct talk *t, char type, struct bytes body)
{
    struct wr w = wr_begin(&t->sent, type);

    wr_bytes(&w, body);
    wr_end(&w);
}

void talk_query(struct talk *t, const char *sql)
{
    struct wr w = wr_begin(&t->sent, 'Q');

    wr_cstr(&w, str_c(sql));
    wr_end(&w);
}

void talk_parse(struct talk *t, const char *name, const char *sql, const uint32_t *types, size_t count)
{
    struct wr w = wr_begin(&t->sent, 'P');

    wr_cstr(&w, str_c(name));
    wr_cstr(&w, str_c(sql));
    wr_u16(&w, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        wr_u32(&w, types[i]);
    wr_end(&w);
}

void talk_bind(struct talk *t, const char *portal, const char *name, const char *const *values, size_t count)
{
    struct wr w = wr_begin(&t->sent, 'B');

    wr_cstr(&w, str_c(portal));
    wr_cstr(&w, str_c(name));
    wr_u16(&w, 0);
    wr_u16(&w, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        wr_u32(&w, values[i] != NULL ? (uint32_t)strlen(values[i]) : UINT32_MAX);
        if (values[i] != NULL)
            wr_bytes(&w, bytes_of(values[i], strlen(values[i])));
    }
    wr_u16(&w, 0);
    wr_end(&w);
}

void talk_bind_binary(struct talk *t, const char *portal, const char *name)
{
    struct wr w = wr_begin(&t->sent, 'B');

    wr_cstr(&w, str_c(portal));
    wr_cstr(&w, str_c(name));
    wr_u16(&w, 0);
    wr_u16(&w, 0);
    wr_u16(&w, 1);
    wr_u16(&w, 1);
    wr_end(&w);
}

void talk_describe(struct talk *t, char kind, const char *name)
{
    struct wr w = wr_begin(&t->sent, 'D');

    wr_u8(&w, (uint8_t)kind);
    wr_cstr(&w, str_c(name));
    wr_end(&w);
}

void talk_execute(struct talk *t, const char *portal, uint32_t limit)
{
    struct wr w = wr_begin(&t->sent, 'E');

    wr_cstr(&w, str_c(portal));
    wr_u32(&w, limit);
    wr_end(&w);
}

void talk_sync(struct talk *t)
{
    talk_message(t, 'S', bytes_of("", 0));
}

/* ---- the answer ---- */

static void tell_columns(struct buf *lines, struct rd *r)
{
    uint16_t count = rd_u16(r);

    buf_append_c(lines, "T");
    for (unsigned i = 0; i < count; i++) {
        struct str name = rd_cstr(r);
        (void)rd_bytes(r, 6);
        uint32_t oid = rd_u32(r);
        (void)rd_bytes(r, 6);
        buf_printf(lines, " %.*s:%u%s", STR_ARG(name), (unsigned)oid, rd_u16(r) ? "b" : "");
    }
}

static void tell_row(struct buf *lines, struct rd *r)
{
    uint16_t count = rd_u16(r);

    buf_append_c(lines, "D ");
    for (unsigned i = 0; i < count; i++) {
        int32_t length = rd_i32(r);
        struct bytes value = rd_bytes(r, length < 0 ? 0 : (size_t)length);
        bool printable = true;
        buf_append_c(lines, i > 0 ? "|" : "");
        for (size_t k = 0; k < value.n; k++)
            printable = printable && value.p[k] >= ' ';
        if (length < 0)
            buf_append_c(lines, "~");
        else if (printable)
            buf_append(lines, value);
        else
            for (size_t k = 0; k < value.n; k++)
                buf_printf(lines, "%02x", value.p[k]);
    }
}

static void tell_report(struct buf *lines, char type, struct rd *r)
{
    struct str fields[128] = { { 0 } };

    for (;;) {
        uint8_t field = rd_u8(r);
        if (field == 0 || field >= 128)
            break;
        fields[field] = rd_cstr(r);
    }
    buf_printf(lines, "%c ", type);
    if (type == 'N')
        buf_printf(lines, "%.*s ", STR_ARG(fields['S']));
    buf_printf(lines, "%.*s %.*s%s%.*s", STR_ARG(fields['C']), STR_ARG(fields['P']), fields['P'].n ? " " : "",
               STR_ARG(fields['M']));
}

static void tell(struct buf *lines, const struct msg *m)
{
    struct rd r = rd_over(m->body);

    if (m->type == 'T')
        tell_columns(lines, &r);
    else if (m->type == 'D')
        tell_row(lines, &r);
    else if (m->type == 'E' || m->type == 'N')
        tell_report(lines, m->type, &r);
    else if (m->type == 'C')
        buf_printf(lines, "C %s", (const char *)m->body.p);
    else if (m->type == 'Z')
        buf_printf(lines, "Z %c", rd_u8(&r));
    else if (m->type == 'S')
        buf_printf(lines, "S %s=%s", (const char *)m->body.p,
                   (const char *)m->body.p + strlen((const char *)m->body.p) + 1);
    else if (m->type == 'd')
        buf_printf(lines, "d %.*s", (int)m->body.n - 1, (const char *)m->body.p);
    else if (m->type == 't') {
        buf_append_c(lines, "t");
        for (unsigned n = rd_u16(&r); n > 0; n--)
            buf_printf(lines, " %u", (unsigned)rd_u32(&r));
    } else
        buf_printf(lines, "%c", m->type);
    buf_append_c(lines, "\n");
}

static void collect(struct talk *t)
{
    struct msg m;
    size_t used;

    while (msg_next(buf_bytes(&t->out), TALK_MAX, &m, &used) == OK) {
        tell(&t->lines, &m);
        buf_consume(&t->out, used);
    }
    CHECK(t->out.n == 0);
}

static void work(struct talk *t)
{
    while (t->step == CONSOLE_JOB || t->step == CONSOLE_DRAIN) {
        collect(t);
        if (t->step == CONSOLE_JOB) {
            struct console_job *job = console_job(t->console);
            if (console_job_views(job) != 0)
                console_job_rows(job, fixture_rows(&t->fixture));
            console_job_run(job);
            t->jobs++;
        }
        t->step = console_next(t->console, &t->out);
    }
    collect(t);
}

const char *talk_go(struct talk *t, size_t step)
{
    buf_reset(&t->lines);
    for (size_t at = 0; at < t->sent.n;) {
        size_t n = step == 0 || t->sent.n - at < step ? t->sent.n - at : step;
        t->step = console_feed(t->console, bytes_of(t->sent.p + at, n), &t->out);
        work(t);
        at += n;
    }
    buf_reset(&t->sent);
    return buf_c(&t->lines);
}

const char *talk_ask(struct talk *t, const char *sql)
{
    talk_query(t, sql);
    return talk_go(t, 0);
}
