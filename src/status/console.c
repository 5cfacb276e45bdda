/* The session: its beginning and end, and the loop over messages. */
#include "status/console.h"

#include "base/check.h"
#include "base/rd.h"
#include "pgwire/backend.h"
#include "pgwire/msg.h"
#include "status/console_extended.h"
#include "status/console_finish.h"
#include "status/console_impl.h"
#include "status/console_portal.h"
#include "status/console_query.h"
#include "status/console_reply.h"

#include <stdio.h>
#include <stdlib.h>

enum { PARAMS_ARENA_MAX = 1 << 20, IN_MAX = 2 * CONSOLE_MESSAGE_MAX + 256 * 1024 };

/* ---- beginning and end ---- */

static bool copy_text(struct arena *arena, struct str *text)
{
    return arena_str(arena, text->n > 0 ? *text : str_of("", 0), text);
}

static bool copy_fields(struct arena *arena, const struct dn_field **fields, size_t count)
{
    struct dn_field *copy = arena_array(arena, count, sizeof *copy);

    if (copy == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        copy[i] = (*fields)[i];
        if (!copy_text(arena, &copy[i].name) || !copy_text(arena, &copy[i].value))
            return false;
    }
    *fields = copy;
    return true;
}

static bool copy_extensions(struct arena *arena, const struct ssl_extension **extensions, size_t count)
{
    struct ssl_extension *copy = arena_array(arena, count, sizeof *copy);

    if (copy == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        copy[i] = (*extensions)[i];
        if (!copy_text(arena, &copy[i].name) || !copy_text(arena, &copy[i].value))
            return false;
    }
    *extensions = copy;
    return true;
}

static bool copy_params(struct console *c, const struct console_params *params)
{
    struct console_params *p = &c->params;
    struct console_tls *tls = &p->tls;
    struct str *texts[] = {
        &p->user,      &p->database, &p->system_user, &p->client_addr, &p->server_addr,
        &tls->version, &tls->cipher, &tls->client_dn, &tls->issuer_dn, &tls->client_serial
    };

    *p = *params;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!copy_text(&c->arena, texts[i]))
            return false;
    p->options = NULL;
    p->option_count = 0;
    if (p->deadline_ms == 0)
        p->deadline_ms = CONSOLE_DEADLINE_MS_DEFAULT;
    return copy_fields(&c->arena, &tls->subject_fields, tls->subject_field_count) &&
           copy_fields(&c->arena, &tls->issuer_fields, tls->issuer_field_count) &&
           copy_extensions(&c->arena, &tls->extensions, tls->extension_count);
}

/* What the StartupMessage sets; what it sets wrongly or what is unknown here is passed over. */
static void apply_options(struct console *c, const struct console_params *params)
{
    char iterations[16];
    bool changed;
    struct err ignored;

    vars_preset(c->vars, "session_authorization", params->user);
    vars_preset(c->vars, "is_superuser", params->is_admin ? STR("on") : STR("off"));
    if (params->scram_iterations > 0) {
        (void)snprintf(iterations, sizeof iterations, "%d", params->scram_iterations);
        vars_preset(c->vars, "scram_iterations", str_c(iterations));
    }
    for (size_t i = 0; i < params->option_count; i++)
        if (vars_set(c->vars, params->options[i].name, params->options[i].value, &changed, &ignored) != OK)
            continue;
    vars_mark(c->vars);
}

struct console *console_new(const struct console_params *params, const struct clerk_line *line)
{
    struct console *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    arena_init(&c->arena, PARAMS_ARENA_MAX, 1024);
    buf_init(&c->in, IN_MAX);
    buf_init(&c->shown, QUERY_SHOWN_MAX);
    for (size_t i = 0; i < PREPARED_BUCKETS; i++)
        LIST_INIT(&c->statements[i]);
    LIST_INIT(&c->portals);
    c->line = *line;
    c->transaction = TRANSACTION_IDLE;
    c->vars = vars_new();
    c->savepoints = calloc(SAVEPOINTS_MAX, sizeof *c->savepoints);
    if (c->vars == NULL || c->savepoints == NULL || !copy_params(c, params)) {
        console_free(c);
        return NULL;
    }
    apply_options(c, params);
    return c;
}

void console_free(struct console *c)
{
    if (c == NULL)
        return;
    while (!LIST_EMPTY(&c->portals))
        portal_free(c, LIST_FIRST(&c->portals));
    prepared_free_all(c);
    batch_unref(c->job.batch);
    batch_unref(c->script.batch);
    buf_fini(&c->job.out);
    buf_fini(&c->in);
    buf_fini(&c->shown);
    arena_fini(&c->arena);
    vars_free(c->vars);
    free(c->savepoints);
    free(c);
}

void console_greet(struct console *c, struct buf *out)
{
    c->times.state_us = console_now(c);
    vars_report(c->vars, false, out);
}

/* ---- what the rooms of the console share ---- */

static void fatal(struct console *c, struct buf *out, enum code code, const char *text)
{
    struct err e = { 0 };

    (void)err_set(&e, code, "%s", text);
    backend_fatal(out, &e);
    c->over = true;
}

/* ---- messages ---- */

static void query_message(struct console *c, struct bytes body, struct buf *out)
{
    struct rd r = rd_over(body);
    struct str text = rd_cstr(&r);

    if (rd_end(&r) != OK)
        fatal(c, out, E_PROTOCOL, "invalid message format");
    else
        console_script_begin(c, text, out);
}

static void sync_message(struct console *c, struct buf *out)
{
    c->skip_to_sync = false;
    console_ready(c, out);
}

static void function_message(struct console *c, struct buf *out)
{
    struct err e = { 0 };

    (void)err_set(&e, E_UNSUPPORTED, "function calls by message are not supported in the status database");
    console_error_plain(c, &e, out);
    c->skip_to_sync = false; /* the answer ends with ReadyForQuery at once */
    console_ready(c, out);
}

static void handle(struct console *c, const struct msg *m, struct buf *out)
{
    char text[64];

    if (c->skip_to_sync && m->type != 'S' && m->type != 'X')
        return;
    switch (m->type) {
    case 'Q':
        query_message(c, m->body, out);
        return;
    case 'P':
        console_parse(c, m->body, out);
        return;
    case 'B':
        console_bind(c, m->body, out);
        return;
    case 'D':
        console_describe(c, m->body, out);
        return;
    case 'E':
        console_run_portal(c, m->body, out);
        return;
    case 'C':
        console_close_named(c, m->body, out);
        return;
    case 'F':
        function_message(c, out);
        return;
    case 'S':
        sync_message(c, out);
        return;
    case 'X':
        c->over = true;
        return;
    case 'H': /* Flush: nothing is ever kept back */
    case 'd':
    case 'c':
    case 'f': /* left over from a COPY that has ended */
        return;
    default:
        (void)snprintf(text, sizeof text, "invalid frontend message type %d", (unsigned char)m->type);
        fatal(c, out, E_PROTOCOL, text);
    }
}

/* Take one message from the input; false when none is complete. */
static bool take_message(struct console *c, struct buf *out)
{
    struct msg m;
    size_t used;
    enum code code = msg_next(buf_bytes(&c->in), CONSOLE_MESSAGE_MAX, &m, &used);

    if (code == E_MORE)
        return false;
    if (code != OK) {
        fatal(c, out, E_PROTOCOL, "invalid message length");
        return true;
    }
    atomic_store(&c->canceled, false); /* a cancel is for what was being done, planning included */
    handle(c, &m, out);
    buf_consume(&c->in, used);
    return true;
}

static enum console_step proceed(struct console *c, struct buf *out)
{
    for (;;) {
        if (c->over || !buf_ok(out))
            return CONSOLE_DONE;
        if (c->wait == WAIT_JOB)
            return CONSOLE_JOB;
        if (out->n >= OUT_DRAIN_AT || (c->job.more && out->n > 0)) {
            c->wait = WAIT_DRAIN;
            return CONSOLE_DRAIN;
        }
        if (c->job.more) {
            c->job.more = false;
            c->wait = WAIT_JOB;
        } else if (c->script.active) {
            console_script_step(c, out);
        } else if (!take_message(c, out)) {
            return CONSOLE_MORE;
        }
    }
}

enum console_step console_feed(struct console *c, struct bytes in, struct buf *out)
{
    buf_append(&c->in, in);
    if (!buf_ok(&c->in)) /* more than a client may send before it reads an answer */
        c->over = true;
    return c->wait == WAIT_NOTHING ? proceed(c, out) : CONSOLE_WAIT;
}

enum console_step console_next(struct console *c, struct buf *out)
{
    enum console_wait waited = c->wait;

    c->wait = WAIT_NOTHING;
    if (waited == WAIT_JOB)
        console_job_finish(c, out);
    return proceed(c, out);
}

struct console_job *console_job(struct console *c)
{
    CHECK(c->wait == WAIT_JOB);
    return &c->job;
}

void console_cancel(struct console *c)
{
    atomic_store(&c->canceled, true);
    c->line.wake(c->line.ctx);
}

char console_transaction_state(const struct console *c)
{
    return (char)c->transaction;
}

struct str console_last_query(const struct console *c)
{
    return buf_str(&c->shown);
}

struct console_times console_times_of(const struct console *c)
{
    return c->times;
}
