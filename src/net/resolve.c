/*
 * Lookups on the pool: getaddrinfo, getnameinfo and getpwuid, each kind in a lane of its own.
 *
 * What is looked up is a question, of the process; who wants to know is a `struct resolve`, of a loop. A question
 * goes from the line to the pool by way of the loop of one who asked, and its answer is sent to all of them.
 */
#include "net/resolve.h"

#include "net/loop.h"
#include "net/prefix.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

enum lane { LANE_CLIENTS, LANE_SERVERS, LANE_USERS, LANE_COUNT };

enum { PASSWD_ROOM = 16 * 1024, FAILED_MAX = 256, PREFIX_PART = 4 /* of the clients' lane */ };

enum question_state { QUESTION_WAITING, QUESTION_ASKED, QUESTION_FAILED, QUESTION_ANSWERED };

TAILQ_HEAD(question_list, question);

struct question {
    unsigned refs; /* of those who ask, of the job, of the memory for failures */
    enum question_state state;
    enum lane lane;
    void (*ask)(struct question *q); /* on the pool */
    struct prefix site;              /* LANE_CLIENTS: whose it is */
    int64_t since_ms;                /* when it was asked, or failed */
    struct loop_message *turn;       /* while it stands in line: takes it to the pool */
    struct loop *loop;               /* whose pool job it is */
    char host[NI_MAXHOST];           /* asked, or found */
    char port[NI_MAXSERV];
    struct sockaddr_storage address;
    uid_t uid;
    int gai_error;
    struct addrinfo *found;
    TAILQ_HEAD(, resolve) waiters; /* who have not been answered */
    TAILQ_ENTRY(question) entry;   /* in the list of its lane and state */
};

struct resolve {
    resolve_fn *fn; /* NULL: canceled */
    void *arg;
    struct loop *loop;
    struct question *question;
    struct loop_message *answer; /* NULL once sent */
    struct timer *deadline;      /* NULL: none */
    TAILQ_ENTRY(resolve) entry;
};

/* ---- lanes ---- */

/* Of the process; all loops use the same pool. */
static struct {
    pthread_mutex_t lock; /* is held before a loop's own */
    struct {
        unsigned under_way;
        struct question_list waiting, asked;
    } lanes[LANE_COUNT];
    struct question_list failed; /* of clients; the oldest first */
    size_t n_failed;
} road = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
#define LANE(lane)                                                                                           \
    [lane] = { 0, TAILQ_HEAD_INITIALIZER(road.lanes[lane].waiting),                                          \
               TAILQ_HEAD_INITIALIZER(road.lanes[lane].asked) }
    .lanes = { LANE(LANE_CLIENTS), LANE(LANE_SERVERS), LANE(LANE_USERS) },
#undef LANE
    .failed = TAILQ_HEAD_INITIALIZER(road.failed),
};

static void lock(void)
{
    (void)pthread_mutex_lock(&road.lock);
}

static void unlock(void)
{
    (void)pthread_mutex_unlock(&road.lock);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Together never the whole pool, unless it has less than four threads. */
static unsigned lane_width(enum lane lane)
{
    unsigned width = loop_pool_size() / (lane == LANE_CLIENTS ? 3 : 6);

    return width > 0 ? width : 1;
}

/* Has its prefix as many lookups under way as it may have? */
static bool is_held_back(const struct question *q)
{
    const struct question *other;
    unsigned n = 0, most = lane_width(q->lane) / PREFIX_PART;

    if (q->lane != LANE_CLIENTS)
        return false;
    TAILQ_FOREACH (other, &road.lanes[q->lane].asked, entry)
        n += prefix_equal(&other->site, &q->site);
    return n >= (most > 0 ? most : 1);
}

/* The next in line go, as many as there is room for. */
static void lane_move(enum lane lane)
{
    struct question *q, *next;

    for (q = TAILQ_FIRST(&road.lanes[lane].waiting); q && road.lanes[lane].under_way < lane_width(lane);
         q = next) {
        next = TAILQ_NEXT(q, entry);
        if (is_held_back(q))
            continue;
        struct loop_message *turn = q->turn;
        TAILQ_REMOVE(&road.lanes[lane].waiting, q, entry);
        TAILQ_INSERT_TAIL(&road.lanes[lane].asked, q, entry);
        road.lanes[lane].under_way++;
        q->state = QUESTION_ASKED;
        q->since_ms = now_ms();
        q->refs++;
        q->turn = NULL;
        q->loop = TAILQ_FIRST(&q->waiters)->loop;
        loop_send(q->loop, turn); /* under the lock: who cancels it later finds its loop told */
    }
}

/* ---- questions ---- */

/* With the lock held. */
static void question_unref(struct question *q)
{
    if (--q->refs > 0)
        return;
    loop_message_free(q->turn);
    if (q->found)
        freeaddrinfo(q->found);
    free(q);
}

static void forget_oldest_failure(void)
{
    struct question *q = TAILQ_FIRST(&road.failed);

    TAILQ_REMOVE(&road.failed, q, entry);
    road.n_failed--;
    q->state = QUESTION_ANSWERED;
    question_unref(q);
}

static void forget_failures(void)
{
    const int64_t limit = now_ms() - RESOLVE_FAILED_MS;

    while (road.n_failed > 0 && (road.n_failed > FAILED_MAX || TAILQ_FIRST(&road.failed)->since_ms < limit))
        forget_oldest_failure();
}

/* That there is no such name is an answer. */
static bool is_failure(int gai_error)
{
    return gai_error == EAI_AGAIN || gai_error == EAI_FAIL || gai_error == EAI_SYSTEM;
}

static void send_answer(struct resolve *r)
{
    struct loop_message *answer = r->answer;

    r->answer = NULL;
    loop_send(r->loop, answer);
}

/* It has been answered: tell everybody, and let the next ones go. With the lock held. */
static void question_settle(struct question *q)
{
    struct resolve *r;

    TAILQ_REMOVE(&road.lanes[q->lane].asked, q, entry);
    road.lanes[q->lane].under_way--;
    q->state = QUESTION_ANSWERED;
    if (q->lane == LANE_CLIENTS && is_failure(q->gai_error)) {
        q->state = QUESTION_FAILED;
        q->since_ms = now_ms();
        q->refs++;
        road.n_failed++;
        TAILQ_INSERT_TAIL(&road.failed, q, entry);
        forget_failures();
    }
    while ((r = TAILQ_FIRST(&q->waiters)) != NULL) {
        TAILQ_REMOVE(&q->waiters, r, entry);
        send_answer(r);
    }
    lane_move(q->lane);
}

/* ---- on the pool ---- */

/* Of this thread: its resolver has been told to hurry. */
static _Thread_local bool hurried;

/*
 * A name server that says nothing is given up in about the time that a client waits for it, so that threads are
 * not held longer than the client. [src: resolv.conf(5), timeout, attempts]
 */
static void hurry(bool for_client)
{
    enum { SECONDS = RESOLVE_CLIENT_MS / 1000 };

    if (!for_client && !hurried)
        return;
    hurried = for_client && res_init() == 0;
    if (!for_client)
        (void)res_init();
    if (!hurried)
        return;
    _res.retrans = 1;
    _res.retry = _res.nscount > 1 ? SECONDS / _res.nscount : SECONDS;
    if (_res.retry < 1)
        _res.retry = 1;
}

static void ask_forward(struct question *q)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

    hurry(q->lane == LANE_CLIENTS);
    q->gai_error = getaddrinfo(q->host, q->port[0] ? q->port : NULL, &hints, &q->found);
}

static void ask_reverse(struct question *q)
{
    socklen_t length = q->address.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                       : sizeof(struct sockaddr_in6);

    hurry(true);
    q->gai_error = getnameinfo((struct sockaddr *)&q->address, length, q->host, sizeof q->host, NULL, 0,
                               NI_NAMEREQD);
}

static void ask_user(struct question *q)
{
    struct passwd entry, *found = NULL;
    char room[PASSWD_ROOM];

    hurry(false);
    if (getpwuid_r(q->uid, &entry, room, sizeof room, &found) != 0)
        q->gai_error = EAI_SYSTEM;
    else if (!found)
        q->gai_error = EAI_NONAME;
    else if (!str_to_c(str_c(entry.pw_name), q->host, sizeof q->host))
        q->gai_error = EAI_OVERFLOW;
}

static void resolve_work(void *arg)
{
    struct question *q = arg;

    q->ask(q);
    lock();
    question_settle(q);
    unlock();
}

static void done(void *arg)
{
    lock();
    question_unref(arg);
    unlock();
}

static void on_turn(void *arg)
{
    struct question *q = arg;

    if (loop_job(q->loop, resolve_work, done, q))
        return;
    lock();
    q->gai_error = EAI_MEMORY;
    question_settle(q);
    question_unref(q);
    unlock();
}

/* ---- those who ask ---- */

static void resolve_free(struct resolve *r)
{
    loop_message_free(r->answer);
    timer_close(r->deadline);
    free(r);
}

static void on_answer(void *arg)
{
    struct resolve *r = arg;
    struct question *q = r->question;

    if (r->fn)
        r->fn(r->arg, q->gai_error, q->found, q->gai_error == 0 && !q->found ? q->host : NULL);
    lock();
    question_unref(q);
    unlock();
    resolve_free(r);
}

/* True: it has not been answered, and will not be. */
static bool give_up(struct resolve *r)
{
    struct question *q = r->question;

    lock();
    bool open = r->answer != NULL;
    if (open) {
        TAILQ_REMOVE(&q->waiters, r, entry);
        if (q->state == QUESTION_WAITING && TAILQ_EMPTY(&q->waiters))
            TAILQ_REMOVE(&road.lanes[q->lane].waiting, q, entry);
        question_unref(q);
    }
    unlock();
    return open;
}

static void on_deadline(void *arg)
{
    struct resolve *r = arg;

    if (!give_up(r))
        return;
    r->fn(r->arg, EAI_AGAIN, NULL, NULL);
    resolve_free(r);
}

/* Who wants to know; `q` is what, without a reference to it. */
static struct resolve *resolve_new(struct loop *loop, resolve_fn *fn, void *arg, bool timed)
{
    struct resolve *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    *r = (struct resolve){ .fn = fn, .arg = arg, .loop = loop };
    r->answer = loop_message_new(on_answer, r);
    r->deadline = timed ? timer_new(loop, on_deadline, r) : NULL;
    if (r->answer && (r->deadline || !timed))
        return r;
    resolve_free(r);
    return NULL;
}

static bool is_same(const struct question *a, const struct question *b)
{
    return a->ask == b->ask && a->address.ss_family == b->address.ss_family &&
           (a->address.ss_family ? memcmp(&a->address, &b->address, sizeof a->address) == 0
                                 : strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0);
}

static struct question *find_in(const struct question_list *list, const struct question *like)
{
    struct question *q;

    TAILQ_FOREACH (q, list, entry)
        if (is_same(q, like))
            return q;
    return NULL;
}

/* The same question of another client, in line, under way, or failed a short while ago. */
static struct question *resolve_find(const struct question *like)
{
    struct question *q = NULL;

    if (like->lane != LANE_CLIENTS)
        return NULL;
    forget_failures();
    q = find_in(&road.lanes[LANE_CLIENTS].asked, like);
    if (!q)
        q = find_in(&road.lanes[LANE_CLIENTS].waiting, like);
    return q ? q : find_in(&road.failed, like);
}

/* `q`: taken. */
static void resolve_ask(struct question *q, struct resolve *r)
{
    int64_t left_ms = RESOLVE_CLIENT_MS;

    lock();
    struct question *known = resolve_find(q);
    r->question = known ? known : q;
    r->question->refs++;
    if (!known)
        TAILQ_INSERT_TAIL(&road.lanes[q->lane].waiting, q, entry);
    if (r->question->state == QUESTION_ASKED)
        left_ms -= now_ms() - r->question->since_ms;
    if (r->question->state == QUESTION_FAILED) {
        send_answer(r);
    } else {
        TAILQ_INSERT_TAIL(&r->question->waiters, r, entry);
        lane_move(q->lane);
    }
    question_unref(q);
    unlock();
    if (r->deadline)
        timer_set(r->deadline, left_ms);
}

static struct question *question_new(enum lane lane, void (*ask_it)(struct question *q))
{
    struct question *q = calloc(1, sizeof *q);

    if (!q)
        return NULL;
    q->refs = 1;
    q->lane = lane;
    q->ask = ask_it;
    TAILQ_INIT(&q->waiters);
    q->turn = loop_message_new(on_turn, q);
    if (q->turn)
        return q;
    free(q);
    return NULL;
}

/* Both taken; NULL is fine, and means that memory ran out. */
static struct resolve *resolve_start(struct question *q, struct resolve *r)
{
    if (q && r) {
        resolve_ask(q, r);
        return r;
    }
    if (q)
        done(q);
    if (r)
        resolve_free(r);
    return NULL;
}

struct resolve *resolve_forward(struct loop *loop, const struct resolve_name *name, resolve_fn *fn, void *arg)
{
    struct question *q = question_new(name->client ? LANE_CLIENTS : LANE_SERVERS, ask_forward);

    if (!q)
        return NULL;
    if (!str_to_c(str_c(name->host), q->host, sizeof q->host) ||
        !str_to_c(str_c(name->port), q->port, sizeof q->port))
        return resolve_start(q, NULL);
    if (name->client) {
        const struct prefix prefix = prefix_of_address(name->client);
        q->site = prefix_site(&prefix);
    }
    return resolve_start(q, resolve_new(loop, fn, arg, name->client != NULL));
}

/* Without the port, so that equal addresses are equal bytes. */
static struct sockaddr_storage bare(const struct sockaddr_storage *address)
{
    struct sockaddr_storage out = { .ss_family = address->ss_family };
    struct sockaddr_in ipv4 = { .sin_family = AF_INET };
    struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };

    if (address->ss_family == AF_INET) {
        ipv4.sin_addr = ((const struct sockaddr_in *)(const void *)address)->sin_addr;
        memcpy(&out, &ipv4, sizeof ipv4);
    } else {
        ipv6.sin6_addr = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        ipv6.sin6_scope_id = ((const struct sockaddr_in6 *)(const void *)address)->sin6_scope_id;
        memcpy(&out, &ipv6, sizeof ipv6);
    }
    return out;
}

struct resolve *resolve_reverse(struct loop *loop, const struct sockaddr_storage *client, resolve_fn *fn,
                                void *arg)
{
    const struct prefix prefix = prefix_of_address(client);
    struct question *q = question_new(LANE_CLIENTS, ask_reverse);

    if (!q)
        return NULL;
    q->address = bare(client);
    q->site = prefix_site(&prefix);
    return resolve_start(q, resolve_new(loop, fn, arg, true));
}

struct resolve *resolve_user(struct loop *loop, uid_t uid, resolve_fn *fn, void *arg)
{
    struct question *q = question_new(LANE_USERS, ask_user);

    if (!q)
        return NULL;
    q->uid = uid;
    return resolve_start(q, resolve_new(loop, fn, arg, false));
}

void resolve_cancel(struct resolve *resolve)
{
    if (!resolve)
        return;
    if (give_up(resolve))
        resolve_free(resolve);
    else
        resolve->fn = NULL; /* the answer is on its way */
}
