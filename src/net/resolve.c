/* Lookups on the pool: getaddrinfo, getnameinfo and getpwuid, each kind in a lane of its own. */
#include "net/resolve.h"

#include "net/loop.h"

#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum lane { LANE_CLIENTS, LANE_SERVERS, LANE_USERS, LANE_COUNT };

enum { PASSWD_ROOM = 16 * 1024 };

struct resolve {
    resolve_fn *fn; /* NULL: canceled */
    void *arg;
    struct loop *loop;
    struct loop_message *turn; /* while it stands in line: tells its loop that it may go */
    enum lane lane;
    void (*ask)(struct resolve *r); /* on the pool */
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    struct sockaddr_storage address;
    uid_t uid;
    int gai_error;
    struct addrinfo *found;
    TAILQ_ENTRY(resolve) entry;
};

/* ---- lanes ---- */

/* Of the process; all loops use the same pool. */
static struct {
    pthread_mutex_t lock; /* is held before a loop's own */
    struct {
        unsigned under_way;
        TAILQ_HEAD(, resolve) waiting;
    } lanes[LANE_COUNT];
} road = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .lanes = { [LANE_CLIENTS] = { 0, TAILQ_HEAD_INITIALIZER(road.lanes[LANE_CLIENTS].waiting) },
               [LANE_SERVERS] = { 0, TAILQ_HEAD_INITIALIZER(road.lanes[LANE_SERVERS].waiting) },
               [LANE_USERS] = { 0, TAILQ_HEAD_INITIALIZER(road.lanes[LANE_USERS].waiting) } },
};

/* Together never the whole pool, unless it has less than four threads. */
static unsigned lane_width(enum lane lane)
{
    unsigned width = loop_pool_size() / (lane == LANE_CLIENTS ? 3 : 6);

    return width > 0 ? width : 1;
}

/* Its lookup is over, or will not be: the next in line goes. */
static void lane_leave(enum lane lane)
{
    (void)pthread_mutex_lock(&road.lock);
    struct resolve *next = TAILQ_FIRST(&road.lanes[lane].waiting);
    if (next) {
        struct loop_message *turn = next->turn;
        TAILQ_REMOVE(&road.lanes[lane].waiting, next, entry);
        next->turn = NULL;
        loop_send(next->loop, turn); /* under the lock: who cancels it later finds its loop told */
    } else {
        road.lanes[lane].under_way--;
    }
    (void)pthread_mutex_unlock(&road.lock);
}

/* ---- lookups ---- */

static void ask_forward(struct resolve *r)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

    r->gai_error = getaddrinfo(r->host, r->port[0] ? r->port : NULL, &hints, &r->found);
}

static void ask_reverse(struct resolve *r)
{
    socklen_t length = r->address.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                       : sizeof(struct sockaddr_in6);

    r->gai_error = getnameinfo((struct sockaddr *)&r->address, length, r->host, sizeof r->host, NULL, 0,
                               NI_NAMEREQD);
}

static void ask_user(struct resolve *r)
{
    struct passwd entry, *found = NULL;
    char room[PASSWD_ROOM];

    if (getpwuid_r(r->uid, &entry, room, sizeof room, &found) != 0)
        r->gai_error = EAI_SYSTEM;
    else if (!found)
        r->gai_error = EAI_NONAME;
    else if (!str_to_c(str_c(entry.pw_name), r->host, sizeof r->host))
        r->gai_error = EAI_OVERFLOW;
}

static void work(void *arg)
{
    struct resolve *r = arg;

    r->ask(r);
    lane_leave(r->lane);
}

static void done(void *arg)
{
    struct resolve *r = arg;

    if (r->fn)
        r->fn(r->arg, r->gai_error, r->found, r->gai_error == 0 && !r->found ? r->host : NULL);
    if (r->found)
        freeaddrinfo(r->found);
    free(r);
}

static void on_turn(void *arg)
{
    struct resolve *r = arg;

    if (r->fn && loop_job(r->loop, work, done, r))
        return;
    lane_leave(r->lane);
    r->gai_error = EAI_MEMORY;
    done(r);
}

/* True: it may go at once. Otherwise it has taken its place in line; without memory for that, E_NOMEM. */
static enum code lane_enter(struct resolve *r, bool *out_go)
{
    enum code code = OK;

    (void)pthread_mutex_lock(&road.lock);
    *out_go = road.lanes[r->lane].under_way < lane_width(r->lane);
    if (*out_go) {
        road.lanes[r->lane].under_way++;
    } else {
        r->turn = loop_message_new(on_turn, r);
        if (r->turn)
            TAILQ_INSERT_TAIL(&road.lanes[r->lane].waiting, r, entry);
        else
            code = E_NOMEM;
    }
    (void)pthread_mutex_unlock(&road.lock);
    return code;
}

static struct resolve *start(struct resolve *r)
{
    bool go;

    if (lane_enter(r, &go) != OK) {
        free(r);
        return NULL;
    }
    if (go && !loop_job(r->loop, work, done, r)) {
        lane_leave(r->lane);
        free(r);
        return NULL;
    }
    return r;
}

static struct resolve *resolve_new(struct loop *loop, resolve_fn *fn, void *arg)
{
    struct resolve *r = calloc(1, sizeof *r);

    if (r) {
        r->loop = loop;
        r->fn = fn;
        r->arg = arg;
    }
    return r;
}

struct resolve *resolve_forward(struct loop *loop, const struct resolve_name *name, resolve_fn *fn, void *arg)
{
    struct resolve *r = resolve_new(loop, fn, arg);

    if (!r || !str_to_c(str_c(name->host), r->host, sizeof r->host) ||
        !str_to_c(str_c(name->port), r->port, sizeof r->port)) {
        free(r);
        return NULL;
    }
    r->lane = name->whose == RESOLVE_FOR_SERVER ? LANE_SERVERS : LANE_CLIENTS;
    r->ask = ask_forward;
    return start(r);
}

struct resolve *resolve_reverse(struct loop *loop, const struct sockaddr *address, resolve_fn *fn, void *arg)
{
    struct resolve *r = resolve_new(loop, fn, arg);

    if (!r)
        return NULL;
    memcpy(&r->address, address,
           address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    r->lane = LANE_CLIENTS;
    r->ask = ask_reverse;
    return start(r);
}

struct resolve *resolve_user(struct loop *loop, uid_t uid, resolve_fn *fn, void *arg)
{
    struct resolve *r = resolve_new(loop, fn, arg);

    if (!r)
        return NULL;
    r->uid = uid;
    r->lane = LANE_USERS;
    r->ask = ask_user;
    return start(r);
}

void resolve_cancel(struct resolve *resolve)
{
    if (!resolve)
        return;
    resolve->fn = NULL;
    (void)pthread_mutex_lock(&road.lock);
    struct loop_message *turn = resolve->turn;
    if (turn)
        TAILQ_REMOVE(&road.lanes[resolve->lane].waiting, resolve, entry);
    (void)pthread_mutex_unlock(&road.lock);
    if (!turn)
        return; /* it is under way, or has been told that it may go */
    loop_message_free(turn);
    free(resolve);
}
