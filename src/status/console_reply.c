#include "status/console_reply.h"

#include "base/env.h"
#include "base/wr.h"
#include "pgwire/backend.h"
#include "status/console.h"
#include "status/console_impl.h"
#include "status/console_portal.h"

#include <stdio.h>

/* Positions are told in characters. */
static unsigned position_of(uint32_t at, struct str text)
{
    unsigned n = 0;

    if (at == 0)
        return 0;
    for (size_t i = 0; i < at - 1 && i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    return n + 1;
}

void console_show_query(struct console *c, struct str text)
{
    buf_reset(&c->shown);
    buf_append_str(&c->shown, str_first(text, QUERY_SHOWN_MAX));
    c->times.query_us = c->times.state_us = console_now(c);
}

void console_error(struct console *c, const struct sql_error *e, struct str text, struct buf *out)
{
    backend_report(out, SEV_ERROR, &e->err, position_of(e->at, text));
    if (c->transaction == TRANSACTION_OPEN)
        c->transaction = TRANSACTION_FAILED;
    if (c->script.active)
        console_script_end(c, out);
    else
        c->skip_to_sync = true;
}

void console_error_plain(struct console *c, const struct err *e, struct buf *out)
{
    struct sql_error placed = { .err = *e };

    console_error(c, &placed, str_of("", 0), out);
}

void console_complete(struct buf *out, const char *tag)
{
    struct wr w = wr_begin(out, 'C');

    wr_cstr(&w, str_c(tag));
    wr_end(&w);
}

void console_warn(struct buf *out, enum code code, const char *text)
{
    struct err e = { 0 };

    (void)err_set(&e, code, "%s", text);
    backend_report(out, SEV_WARNING, &e, 0);
}

void console_ready(struct console *c, struct buf *out)
{
    if (c->transaction == TRANSACTION_IDLE)
        portal_free_all(c, false);
    vars_report(c->vars, true, out);
    backend_ready(out, (char)c->transaction);
    c->times.state_us = console_now(c);
}

int64_t console_now(const struct console *c)
{
    return c->params.env->now_unix_us(c->params.env->ctx);
}

void console_script_end(struct console *c, struct buf *out)
{
    portal_free(c, c->unnamed_run);
    c->unnamed_run = NULL;
    batch_unref(c->script.batch);
    c->script = (struct script){ 0 };
    console_ready(c, out);
}

void console_job_complete(struct console *c, struct buf *out)
{
    const struct console_job *job = &c->job;
    char tag[64];
    struct wr w;

    if (job->form == ROW_COPY) {
        w = wr_begin(out, 'c');
        wr_end(&w);
    }
    if (job->counts)
        (void)snprintf(tag, sizeof tag, "%s %lld", job->tag, (long long)job->rows);
    else
        (void)snprintf(tag, sizeof tag, "%s", job->tag);
    console_complete(out, tag);
}
