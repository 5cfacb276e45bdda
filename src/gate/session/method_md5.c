/*
 * The method md5: an MD5 exchange for users whose secret is MD5, SCRAM for all others
 * [src: PostgreSQL 18, "Password Authentication"; auth.c CheckPWChallengeAuth].
 */
#include "auth/password.h"
#include "base/env.h"
#include "gate/session/exchange.h"
#include "gate/session/method.h"
#include "gate/session/method_scram.h"
#include "pgwire/backend.h"

static enum step step_md5(struct session *s, struct err *e)
{
    struct admission *a = s->admission;
    struct msg msg;
    size_t used;

    enum code code = admission_take(s, PROOF_PASSWORD, &msg, &used, e);
    if (code == E_MORE)
        return STEP_MORE;
    if (code != OK)
        return STEP_FAIL;
    code = password_check_md5(s->reason ? NULL : &a->credential.verifier, a->md5_salt, msg.body,
                              s->startup.user, e);
    buf_consume(&s->in, used);
    return exchange_judged(s, code, e);
}

static enum step challenge(struct session *s, struct err *e)
{
    struct admission *a = s->admission;

    if (!env_random(session_env(s), a->md5_salt, sizeof a->md5_salt)) {
        err_set(e, E_INTERNAL, "could not generate random MD5 salt");
        return session_fail(s, PARTING_FATAL);
    }
    s->reason = exchange_doom(&a->credential);
    backend_auth(&s->out, AUTH_MD5, bytes_of(a->md5_salt, sizeof a->md5_salt));
    a->stage = ADMIT_EXCHANGE;
    return step_md5(s, e);
}

static enum step begin_md5(struct session *s, struct err *e)
{
    const struct credential *c = &s->admission->credential;
    bool md5 = exchange_doom(c) ? session_settings(s)->password_encryption == CONF_PASSWORD_MD5
                                : c->verifier.type == VERIFIER_MD5;

    return md5 ? challenge(s, e) : method_scram_begin(s, e);
}

const struct method method_md5 = { begin_md5, step_md5 };
