/* A login and its slow step. */
#include "gate/upstream/own_login.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/secret.h"
#include "net/loop.h"

#include <stdlib.h>

enum { LOGON_ARENA_MAX = 1024 * 1024 };

struct own_login {
    struct loop *loop;
    struct login *login;
    struct arena arena;
    struct password password;
    bool working;   /* the pool holds it */
    bool abandoned; /* nobody waits for the pool any more */
    void (*done)(void *arg);
    void *arg;
};

static void destroy(struct own_login *logon)
{
    login_free(logon->login);
    password_wipe(&logon->password);
    arena_fini(&logon->arena);
    free(logon);
}

struct own_login *own_login_new(struct loop *loop, const struct login_params *params)
{
    struct own_login *logon = calloc(1, sizeof *logon);
    struct login_params own = *params;

    if (!logon)
        return NULL;
    logon->loop = loop;
    arena_init(&logon->arena, LOGON_ARENA_MAX, 2048);
    bool copied = password_set(&logon->password, params->creds.password) == OK;
    own.creds.password = password_bytes(&logon->password);
    if (copied && arena_bytes(&logon->arena, params->end_point, &own.end_point))
        logon->login = login_new(&own, &logon->arena);
    if (!logon->login) {
        destroy(logon);
        return NULL;
    }
    return logon;
}

struct login *own_login_login(struct own_login *logon)
{
    return logon->login;
}

static void work(void *arg)
{
    struct own_login *logon = arg;

    login_work(logon->login);
}

static void worked(void *arg)
{
    struct own_login *logon = arg;

    logon->working = false;
    if (logon->abandoned)
        destroy(logon);
    else
        logon->done(logon->arg);
}

bool own_login_work(struct own_login *logon, void (*done)(void *arg), void *arg)
{
    CHECK(!logon->working);
    logon->done = done;
    logon->arg = arg;
    logon->working = loop_job(logon->loop, work, worked, logon);
    return logon->working;
}

bool own_login_working(const struct own_login *logon)
{
    return logon->working;
}

void own_login_free(struct own_login *logon)
{
    if (!logon)
        return;
    if (logon->working)
        logon->abandoned = true;
    else
        destroy(logon);
}
