/* See clerk_here.h. */
#include "clerk_here.h"

#include "base/check.h"
#include "pgwire/msg.h"

#include <stdlib.h>

static bool canceled(void *ctx)
{
    const struct clerk_here *here = ctx;

    return here->call->canceled != NULL && atomic_load(here->call->canceled);
}

/* The action travels too. */
static bool act(void *ctx, const struct clerk_action *action, struct clerk_acted *out)
{
    struct clerk_here *here = ctx;
    AUTO(buf) struct buf asked = BUF_INIT(4096);
    AUTO(buf) struct buf answer = BUF_INIT(4096);
    struct clerk_action read;
    struct clerk_acted acted;

    clerk_action_frame(&asked, action);
    CHECK(clerk_read_action(bytes_from(buf_bytes(&asked), CLERK_HEADER), &read));
    clerk_act(here->call->self, &read, &acted);
    clerk_acted_frame(&answer, &acted);
    return clerk_read_acted(bytes_from(buf_bytes(&answer), CLERK_HEADER), out);
}

static void start(struct clerk_here *here)
{
    clerk_free(here->clerk);
    here->clerk = clerk_new(&here->host);
    CHECK(here->clerk != NULL);
    here->generation++;
}

void clerk_here_begin(struct clerk_here *here, const struct env *env, bool (*field_known)(struct str name))
{
    *here = (struct clerk_here){
        .host = { .ctx = here, .env = env, .canceled = canceled, .act = act, .field_known = field_known }
    };
    buf_init(&here->out, (size_t)CLERK_REPLY_MAX + 16);
    start(here);
}

void clerk_here_end(struct clerk_here *here)
{
    clerk_free(here->clerk);
    buf_fini(&here->out);
}

static enum code ask(void *ctx, struct clerk_call *call, char *out_type, struct bytes *out_body,
                     struct err *e)
{
    struct clerk_here *here = ctx;
    struct buf body = BUF_INIT(CLERK_REQUEST_MAX);
    struct msg request, answer;
    size_t used;

    if (here->lost)
        start(here);
    here->lost = false;
    if (call->generation != 0 && call->generation != here->generation)
        return err_set(e, E_CURSOR_NAME, "%s", code_text(E_CURSOR_NAME));
    call->generation = here->generation;
    here->call = call;
    buf_reset(&here->out);
    CHECK(msg_next(call->request, CLERK_REQUEST_MAX, &request, &used) == OK && used == call->request.n);
    CHECK(buf_append(&body, request.body));
    CHECK(clerk_answer(here->clerk, request.type, &body, &here->out));
    CHECK(msg_next(buf_bytes(&here->out), CLERK_REPLY_MAX, &answer, &used) == OK && used == here->out.n);
    *out_type = answer.type;
    *out_body = answer.body;
    return OK;
}

static void forget(void *ctx, struct clerk_open *open)
{
    struct clerk_here *here = ctx;
    struct buf body = BUF_INIT(64);
    struct wr w = { .b = &body };

    clerk_put_i64(&w, (int64_t)open->id);
    if (open->generation == here->generation)
        CHECK(clerk_answer(here->clerk, CLERK_FORGET, &body, &here->out));
    buf_fini(&body);
    free(open);
}

static void wake(void *ctx)
{
    (void)ctx;
}

static void distrust(void *ctx)
{
    ((struct clerk_here *)ctx)->lost = true;
}

struct clerk_line clerk_here_line(struct clerk_here *here)
{
    return (
        struct clerk_line){ .ctx = here, .ask = ask, .forget = forget, .wake = wake, .distrust = distrust };
}
