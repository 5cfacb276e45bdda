/* The method scram-sha-256 [src: PostgreSQL 18, "Password Authentication"; auth-scram.c]. */
#include "gate/session/method_scram.h"

#include "base/check.h"
#include "gate/session/exchange.h"
#include "gate/session/method.h"
#include "gate/upstream/derive.h"
#include "gate/work/worker.h"
#include "pgwire/backend.h"
#include "tls/context.h"

/* A cleartext secret of auth_file is given a salt of its own, the same at every login. E_MORE: the pool makes
 * the verifier, the session goes on when it is there. */
static enum code verifier_of_cleartext(struct session *s, struct bytes password, struct scram_verifier *out)
{
    struct admission *a = s->admission;
    uint32_t iterations = (uint32_t)session_settings(s)->scram_iterations;
    const struct derive_owner owner = exchange_derive_owner(s);
    uint8_t salt[SCRAM_SALT_BYTES];

    if (a->derive) {
        TRY(derive_code(a->derive));
        *out = *derive_made(a->derive);
        return OK;
    }
    TRY(scram_mock_salt(s->startup.user, s->worker->shared->nonce, salt));
    if (iterations <= SCRAM_ITERATIONS_INLINE)
        return scram_verifier_make(password, bytes_of(salt, sizeof salt), iterations, out);
    a->derive = derive_verifier(password, salt, iterations, &owner);
    return a->derive ? E_MORE : E_NOMEM;
}

/* What the proof will be held against; s->reason: why nothing will fit it. E_MORE as above. */
static enum code choose_verifier(struct session *s, struct scram_verifier *out)
{
    const struct credential *c = &s->admission->credential;

    s->reason = exchange_doom(c);
    if (!s->reason && c->cleartext)
        return verifier_of_cleartext(s, c->password, out);
    /* Where some exchanges begin with a derivation all do, or the clock would tell who has an entry. */
    if (c->beside_cleartext)
        TRY(verifier_of_cleartext(s, str_bytes(s->startup.user), out));
    if (!s->reason && c->verifier.type == VERIFIER_SCRAM) {
        *out = c->verifier.scram;
        return OK;
    }
    if (!s->reason)
        s->reason = "User does not have a valid SCRAM secret.";
    return scram_verifier_mock(s->startup.user, s->worker->shared->nonce,
                               (uint32_t)session_settings(s)->scram_iterations, out);
}

static enum step scram_done(struct session *s, struct bytes reply, struct err *e)
{
    struct admission *a = s->admission;

    backend_auth(&a->final, AUTH_SASL_FINAL, reply);
    scram_server_keys(&a->scram, &a->keys);
    if (scram_server_bound(&a->scram))
        s->flags |= SESSION_BOUND;
    a->have_keys = !a->credential.cleartext;
    if (a->credential.cleartext && password_set(&a->password, a->credential.password) != OK) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_FATAL);
    }
    return admission_proved(s, e);
}

static enum step step_scram(struct session *s, struct err *e)
{
    struct admission *a = s->admission;
    struct msg msg;
    struct bytes reply;
    size_t used;

    for (;;) {
        enum code code = admission_take(s, PROOF_SASL, &msg, &used, e);
        if (code == E_MORE)
            return STEP_MORE;
        if (code != OK)
            return STEP_FAIL;
        enum scram_result result = scram_server_feed(&a->scram, msg.body, &reply, e);
        s->gs2 = scram_server_gs2_flag(&a->scram);
        buf_consume(&s->in, used);
        switch (result) {
        case SCRAM_CONTINUE:
            backend_auth(&s->out, AUTH_SASL_CONTINUE, reply);
            continue;
        case SCRAM_DONE:
            return scram_done(s, reply, e);
        case SCRAM_FAIL:
            return exchange_wrong(s, e);
        }
        UNREACHABLE();
    }
}

enum step method_scram_begin(struct session *s, struct err *e)
{
    struct admission *a = s->admission;
    struct scram_verifier verifier = { 0 };
    AUTO(buf) struct buf mechanisms = BUF_INIT(128);

    enum code code = choose_verifier(s, &verifier);
    if (code == E_MORE) {
        a->stage = ADMIT_SECRET;
        return STEP_JOB;
    }
    if (code != OK || !scram_server_mechanisms(s->tls.used, &mechanisms)) {
        err_set(e, code == OK ? E_NOMEM : code, "could not begin SCRAM authentication");
        return session_fail(s, PARTING_FATAL);
    }
    const struct scram_server_params params = {
        .user = s->startup.user,
        .verifier = &verifier,
        .tls = s->tls.used,
        .cert_hash = s->tls.used ? tls_context_end_point(s->tls.context) : bytes_of(NULL, 0),
        .env = session_env(s),
    };
    scram_server_init(&a->scram, &params);
    wipe(&verifier, sizeof verifier);
    backend_auth(&s->out, AUTH_SASL, buf_bytes(&mechanisms));
    a->method = &method_scram;
    a->stage = ADMIT_EXCHANGE;
    return step_scram(s, e);
}

const struct method method_scram = { method_scram_begin, step_scram };
