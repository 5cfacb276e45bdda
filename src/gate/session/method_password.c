/* The method password: the client sends it as it is [src: PostgreSQL 18, "Password Authentication"]. */
#include "auth/password.h"
#include "gate/session/exchange.h"
#include "gate/session/method.h"
#include "gate/upstream/derive.h"
#include "gate/work/worker.h"
#include "pgwire/backend.h"

/* E_MORE: the pool checks it. */
static enum code check_against(struct session *s, const struct verifier *verifier)
{
    struct admission *a = s->admission;
    struct bytes password = password_bytes(&a->password);
    const struct derive_owner owner = exchange_derive_owner(s);

    if (verifier_cost(verifier) <= SCRAM_ITERATIONS_INLINE && password.n <= SCRAM_PASSWORD_INLINE)
        return verifier_check_password(verifier, s->startup.user, password);
    a->derive = derive_check(verifier, s->startup.user, password, &owner);
    return a->derive ? E_MORE : E_NOMEM;
}

static enum code check_password(struct session *s)
{
    const struct credential *c = &s->admission->credential;

    if (c->cleartext)
        return secret_equal(password_bytes(&s->admission->password), c->password) ? OK : E_PASSWORD;
    return check_against(s, &c->verifier);
}

/* Whose password cannot be right waits for the answer as others do, or the clock would tell who exists.
 * Beside cleartext secrets, which are compared at once, nobody waits. */
static enum code check_in_vain(struct session *s)
{
    struct verifier mock = { .type = VERIFIER_SCRAM };

    if (s->admission->credential.beside_cleartext)
        return E_PASSWORD;
    TRY(scram_verifier_mock(s->startup.user, s->worker->shared->nonce,
                            (uint32_t)session_settings(s)->scram_iterations, &mock.scram));
    return check_against(s, &mock);
}

static enum step step_password(struct session *s, struct err *e)
{
    struct admission *a = s->admission;
    struct msg msg;
    size_t used;
    enum code code;

    if (a->derive)
        code = derive_code(a->derive);
    else {
        code = admission_take(s, PROOF_PASSWORD, &msg, &used, e);
        if (code == E_MORE)
            return STEP_MORE;
        if (code != OK)
            return STEP_FAIL;
        code = password_parse(msg.body, &a->password, e);
        wipe(s->in.p, used);
        buf_consume(&s->in, used);
        if (code != OK)
            return exchange_judged(s, code, e);
        code = s->reason ? check_in_vain(s) : check_password(s);
        if (code == E_MORE)
            return STEP_JOB;
    }
    if (code != OK)
        code = password_failed(s->startup.user, e);
    return exchange_judged(s, code, e);
}

static enum step begin_password(struct session *s, struct err *e)
{
    s->reason = exchange_doom(&s->admission->credential);
    backend_auth(&s->out, AUTH_CLEARTEXT, bytes_of(NULL, 0));
    s->admission->stage = ADMIT_EXCHANGE;
    return step_password(s, e);
}

const struct method method_password = { begin_password, step_password };
