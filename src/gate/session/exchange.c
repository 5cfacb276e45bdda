/*
 * What the password exchanges that the gate judges itself have in common.
 *
 * Users without a usable secret go through the same steps and fail at the last one, so that nobody learns who
 * exists [src: PostgreSQL 18, "Password Authentication"; auth-scram.c].
 */
#include "gate/session/exchange.h"

#include "auth/password.h"
#include "auth/userlist.h"
#include "gate/session/admission.h"
#include "gate/upstream/derive.h"
#include "gate/upstream/lookup.h"
#include "gate/work/worker.h"

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

const char *exchange_doom(const struct credential *c)
{
    if (!c->exists)
        return "Role does not exist.";
    if (!c->has_secret)
        return "User has no password assigned.";
    if (c->expired)
        return "User has an expired password.";
    return NULL;
}

static void on_derived(void *arg)
{
    session_resume(arg);
}

struct derive_owner exchange_derive_owner(struct session *s)
{
    return (struct derive_owner){ s->worker->loop, on_derived, s };
}

/* A secret that was changed on the server meanwhile counts from the next try on. */
enum step exchange_wrong(struct session *s, const struct err *e)
{
    if (e->code == E_PASSWORD && s->admission->route->auth_source == CONF_AUTH_QUERY)
        lookup_forget(s->worker, s->startup.user);
    if (e->code == E_PASSWORD && !s->reason)
        s->reason = "Password does not match.";
    return session_fail(s, PARTING_FATAL);
}

enum step exchange_judged(struct session *s, enum code code, struct err *e)
{
    if (code == OK && s->reason)
        code = password_failed(s->startup.user, e);
    return code == OK ? admission_proved(s, e) : exchange_wrong(s, e);
}
