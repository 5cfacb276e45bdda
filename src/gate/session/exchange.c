/*
 * Password exchanges that the gate judges itself: cleartext, MD5, SCRAM.
 *
 * Users without a usable secret go through the same steps and fail at the last one, so that nobody learns who
 * exists [src: PostgreSQL 18, "Password Authentication"; auth-scram.c].
 */
#include "gate/session/exchange.h"

#include "auth/password.h"
#include "auth/userlist.h"
#include "base/check.h"
#include "base/env.h"
#include "gate/session/admission.h"
#include "gate/upstream/derive.h"
#include "gate/upstream/lookup.h"
#include "gate/work/worker.h"
#include "pgwire/backend.h"
#include "tls/context.h"

/* ---- secrets ---- */

static void set_secret(struct credential *c, struct str secret)
{
    c->has_secret = secret.n > 0;
    verifier_parse(secret, &c->verifier);
}

void exchange_read_userlist(struct session *s)
{
    struct credential *c = &s->admission->credential;
    const struct userlist *users = snapshot_users(s->snapshot);
    const struct userlist_entry *entry = users ? userlist_find(users, s->startup.user) : NULL;

    c->beside_cleartext = users && userlist_has_cleartext(users);
    if (!entry)
        return;
    c->exists = true;
    set_secret(c, entry->secret);
    c->cleartext = c->has_secret && c->verifier.type == VERIFIER_UNRECOGNIZED;
    if (c->cleartext)
        c->password = str_bytes(entry->secret);
}

static void on_derived(void *arg)
{
    session_resume(arg);
}

static struct derive_owner derive_owner(struct session *s)
{
    return (struct derive_owner){ s->worker->loop, on_derived, s };
}

/* A cleartext secret of auth_file is given a salt of its own, the same at every login. E_MORE: the pool makes
 * the verifier, the session goes on when it is there. */
static enum code verifier_of_cleartext(struct session *s, struct bytes password, struct scram_verifier *out)
{
    struct admission *a = s->admission;
    uint32_t iterations = (uint32_t)session_settings(s)->scram_iterations;
    const struct derive_owner owner = derive_owner(s);
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

/* Why no password can succeed; NULL if one may. */
static const char *doom(const struct credential *c)
{
    if (!c->exists)
        return "Role does not exist.";
    if (!c->has_secret)
        return "User has no password assigned.";
    if (c->expired)
        return "User has an expired password.";
    return NULL;
}

/* What the proof will be held against; s->reason: why nothing will fit it. E_MORE as above. */
static enum code choose_verifier(struct session *s, struct scram_verifier *out)
{
    const struct credential *c = &s->admission->credential;

    s->reason = doom(c);
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

/* ---- exchanges ---- */

static enum step begin_scram(struct session *s, struct err *e)
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
    struct tls_context *context = snapshot_tls(s->snapshot, s->worker->index);
    const struct scram_server_params params = {
        .user = s->startup.user,
        .verifier = &verifier,
        .tls = s->tls.used,
        .cert_hash = s->tls.used && context ? tls_context_end_point(context) : bytes_of(NULL, 0),
        .env = session_env(s),
    };
    scram_server_init(&a->scram, &params);
    wipe(&verifier, sizeof verifier);
    backend_auth(&s->out, AUTH_SASL, buf_bytes(&mechanisms));
    a->stage = ADMIT_SCRAM;
    return exchange_step(s, e);
}

static enum step begin_md5(struct session *s, struct err *e)
{
    struct admission *a = s->admission;

    if (!env_random(session_env(s), a->md5_salt, sizeof a->md5_salt)) {
        err_set(e, E_INTERNAL, "could not generate random MD5 salt");
        return session_fail(s, PARTING_FATAL);
    }
    s->reason = doom(&a->credential);
    backend_auth(&s->out, AUTH_MD5, bytes_of(a->md5_salt, sizeof a->md5_salt));
    a->stage = ADMIT_MD5;
    return exchange_step(s, e);
}

/* The secret is known as far as it ever will be: challenge the client. Its answer may have come before. */
enum step exchange_begin(struct session *s, struct err *e)
{
    struct admission *a = s->admission;
    const struct credential *c = &a->credential;
    bool usable = !doom(c);

    if (s->rule->method == HBA_METHOD_PASSWORD) {
        s->reason = doom(c);
        backend_auth(&s->out, AUTH_CLEARTEXT, bytes_of(NULL, 0));
        a->stage = ADMIT_PASSWORD;
        return exchange_step(s, e);
    }
    bool md5 = usable ? c->verifier.type == VERIFIER_MD5
                      : session_settings(s)->password_encryption == CONF_PASSWORD_MD5;
    return s->rule->method == HBA_METHOD_MD5 && md5 ? begin_md5(s, e) : begin_scram(s, e);
}

/* A secret that was changed on the server meanwhile counts from the next try on. */
static enum step password_wrong(struct session *s, const struct err *e)
{
    if (e->code == E_PASSWORD && s->admission->route->auth_source == CONF_AUTH_QUERY)
        lookup_forget(s->worker, s->startup.user);
    if (e->code == E_PASSWORD && !s->reason)
        s->reason = "Password does not match.";
    return session_fail(s, PARTING_FATAL);
}

static enum step scram_done(struct session *s, struct bytes reply, struct err *e)
{
    struct admission *a = s->admission;

    backend_auth(&a->final, AUTH_SASL_FINAL, reply);
    scram_server_keys(&a->scram, &a->keys);
    s->bound = scram_server_bound(&a->scram);
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
            return password_wrong(s, e);
        }
        UNREACHABLE();
    }
}

static enum step password_judged(struct session *s, enum code code, struct err *e)
{
    if (code == OK && s->reason)
        code = password_failed(s->startup.user, e);
    return code == OK ? admission_proved(s, e) : password_wrong(s, e);
}

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
    return password_judged(s, code, e);
}

/* E_MORE: the pool checks it. */
static enum code check_against(struct session *s, const struct verifier *verifier)
{
    struct admission *a = s->admission;
    struct bytes password = password_bytes(&a->password);
    const struct derive_owner owner = derive_owner(s);

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
            return password_judged(s, code, e);
        code = s->reason ? check_in_vain(s) : check_password(s);
        if (code == E_MORE)
            return STEP_JOB;
    }
    if (code != OK)
        code = password_failed(s->startup.user, e);
    return password_judged(s, code, e);
}

enum step exchange_step(struct session *s, struct err *e)
{
    switch (s->admission->stage) {
    case ADMIT_SCRAM:
        return step_scram(s, e);
    case ADMIT_MD5:
        return step_md5(s, e);
    case ADMIT_PASSWORD:
        return step_password(s, e);
    case ADMIT_MATCH:
    case ADMIT_SECRET:
    case ADMIT_PROVED:
    case ADMIT_LOGIN:
    case ADMIT_DONE:
        break;
    }
    UNREACHABLE();
}
