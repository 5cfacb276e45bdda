/* The method peer: who is at the other end of the unix socket. */
#include "gate/session/method_peer.h"

#include "gate/session/admission.h"
#include "gate/session/method.h"
#include "gate/upstream/lookup.h"
#include "gate/work/worker.h"
#include "net/resolve.h"
#include "policy/ident.h"

static void on_os_user(void *arg, int gai_error, const struct addrinfo *found, const char *name)
{
    struct session *s = arg;
    struct admission *a = s->admission;

    (void)found;
    s->resolve = NULL;
    if (gai_error != 0)
        a->os_user_error = gai_error == EAI_NONAME ? "local user does not exist"
                                                   : "could not look up local user";
    else if (!arena_str(&s->arena, str_c(name), &a->os_user))
        a->os_user_error = "out of memory";
    session_resume(s);
}

enum step method_peer_find_user(struct session *s, struct err *e)
{
    struct admission *a = s->admission;
    uid_t uid;
    gid_t gid;

    if (a->os_user_requested)
        return STEP_DONE;
    a->os_user_requested = true;
    if (!socket_peer_ids(s->client.fd, &uid, &gid)) {
        a->os_user_error = "could not get peer credentials";
        return STEP_DONE;
    }
    s->resolve = resolve_user(s->worker->loop, uid, on_os_user, s);
    if (s->resolve)
        return STEP_JOB;
    err_set(e, E_NOMEM, "out of memory");
    return session_fail(s, PARTING_FATAL);
}

/* [src: PostgreSQL 18, auth_peer] */
static enum step judge_peer(struct session *s, struct err *e)
{
    struct admission *a = s->admission;
    struct err why;
    enum step found = method_peer_find_user(s, e);

    if (found != STEP_DONE)
        return found;
    if (a->os_user_error)
        return admission_refuse(s, a->os_user_error, e);
    admission_identified(s, a->os_user);
    const struct ident_question question = {
        .map = s->rule->map, .role = s->startup.user, .name = s->identity, .roles = a->facts.roles
    };
    enum code code = ident_check(snapshot_policy(s->snapshot), &question, &why);
    if (code == E_NEED_ROLES)
        return admission_look_up(s, LOOKUP_ROLES, e);
    return code == OK ? admission_proved(s, e) : admission_refuse(s, err_text(&why), e);
}

const struct method method_peer = { judge_peer, NULL };
