/*
 * Which host is the primary?
 *
 * Every host is asked on a timer of its own, on a pool thread, so that one that does not answer delays no other; but hosts
 * that are silent together hold no more than half of the pool, which logins need as well. What
 * they say is a hint: where sessions go first, whose sessions have no future, and when those that wait may try again.
 * Whether a server is the primary, new sessions find out from itself.
 *
 * A host has lost its role when another has it, or when it has denied it several times: a single denial may be a
 * Patroni that has just been started beside its server.
 */
#include "gate/steward/role_check.h"

#include "base/check.h"
#include "base/count.h"
#include "base/log.h"
#include "client/hosts.h"
#include "client/https.h"
#include "gate/load/check_url.h"
#include "gate/load/snapshot.h"
#include "gate/session/role_news.h"
#include "gate/steward/steward.h"
#include "gate/steward/steward_log.h"
#include "net/loop.h"

#include <stdlib.h>

enum {
    HURRY_MS = 250,         /* between questions while no host is the primary, or somebody has hurried us */
    HURRY_FOR_MS = 5000,    /* after pgseal_recheck() */
    ANSWER_LEAST_MS = 1000, /* how long an answer is waited for, if not upstream_check_interval */
    ANSWER_MOST_MS = 5000,
    DENIALS = 3, /* [choice: as haproxy's fall 3 in Patroni's example] */
    STATUS_PRIMARY = 200,
    STATUS_STANDBY =
        503, /* of any other nobody knows what it was the answer to: a wrong path, a proxy's failure */
    HOST_TEXT_MAX = 512
};

struct role_check {
    struct gate *gate;
    struct snapshot *snapshot; /* a reference */
    const struct upstream *upstream;
    const struct conn_host *host;
    struct timer *timer;
    char name[HOST_TEXT_MAX]; /* host and port, for people */
    char url[CHECK_URL_MAX];
    char connect_to[HOST_TEXT_MAX]; /* "": where the URL says */
    enum host_role role;            /* as last told */
    bool told;                      /* ever */
    unsigned denials;               /* in a row */
    bool lost;                      /* and its sessions know */
    uint64_t waits;                 /* its turn to be asked, while too many are; 0: it does not wait */
    bool asking;                    /* what follows is the pool's */
    bool again;                     /* somebody wants a newer answer than the one that is on its way */
    bool dropped;                   /* goes when the answer has come */
    enum code code;
    long status;
    struct err why;
    TAILQ_ENTRY(role_check) next;
};

static void ask(void *arg);
static void begin_next(struct gate *g);

/* ---- life ---- */

static void role_check_free(struct role_check *c)
{
    timer_close(c->timer);
    snapshot_unref(c->snapshot);
    free(c);
}

static void drop_all(struct role_check_list *list)
{
    struct role_check *c;

    while ((c = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, c, next);
        if (c->asking)
            c->dropped = true;
        else
            role_check_free(c);
    }
}

static struct role_check *role_check_new(struct gate *g, const struct upstream *upstream, size_t host)
{
    struct role_check *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->gate = g;
    c->snapshot = snapshot_ref(g->snapshot);
    c->upstream = upstream;
    c->host = &upstream->info.hosts[host];
    c->timer = timer_new(g->loop, ask, c);
    struct str name = c->host->host.n > 0 ? c->host->host : c->host->hostaddr;
    bool fits = check_url_host(name, c->host->port_text, c->name, sizeof c->name) &&
                check_url_for(snapshot_settings(g->snapshot)->upstream_check_url, c->host, c->url) &&
                (c->host->host.n == 0 ||
                 check_url_host(c->host->hostaddr, STR(""), c->connect_to, sizeof c->connect_to));
    if (c->timer && fits)
        return c;
    role_check_free(c);
    return NULL;
}

/* ---- what follows from an answer ---- */

static bool has_primary(const struct gate *g, const struct upstream *upstream)
{
    const struct role_check *c;

    TAILQ_FOREACH (c, &g->role_checks.list, next)
        if (c->upstream == upstream && c->role == HOST_ROLE_PRIMARY)
            return true;
    return false;
}

static bool tell_workers(const struct role_check *c, bool lost)
{
    const struct gate *g = c->gate;
    bool all = true;

    for (unsigned i = 0; i < g->n_workers; i++)
        all = role_news_post(g->workers[i], c->host, lost) && all;
    if (!all)
        gate_log(g->env, SEV_WARNING, "upstream_role", "out of memory: not every session has heard of it");
    return all;
}

static void judge_host(struct role_check *c, bool primary)
{
    bool is_primary = c->role == HOST_ROLE_PRIMARY;
    bool lost = !is_primary && (primary || c->denials >= DENIALS);

    host_roles_hint(c->gate->shared.roles, c->host,
                    c->role == HOST_ROLE_UNKNOWN && primary ? HOST_ROLE_SILENT : c->role);
    if (lost && !c->lost)
        c->lost = tell_workers(c, true); /* else again with the next answer */
    else if (!lost)
        c->lost = false;
}

static void judge(struct gate *g, const struct upstream *upstream)
{
    bool primary = has_primary(g, upstream);
    struct role_check *c;

    TAILQ_FOREACH (c, &g->role_checks.list, next)
        if (c->upstream == upstream)
            judge_host(c, primary);
}

static const char *role_word(enum host_role role)
{
    return role == HOST_ROLE_PRIMARY ? "primary" : role == HOST_ROLE_STANDBY ? "standby" : "unknown";
}

static void log_role(const struct role_check *c)
{
    struct log_line line;

    log_begin(&line, c->gate->env, c->role == HOST_ROLE_UNKNOWN ? SEV_WARNING : SEV_LOG, "upstream_role");
    log_str(&line, "upstream", c->upstream->route->label);
    log_c(&line, "host", c->name);
    log_c(&line, "role", role_word(c->role));
    if (c->code == OK)
        log_int(&line, "status", c->status);
    else
        log_err(&line, &c->why);
    log_end(&line);
}

static void take_answer(struct role_check *c)
{
    enum host_role role = c->code != OK                 ? HOST_ROLE_UNKNOWN
                          : c->status == STATUS_PRIMARY ? HOST_ROLE_PRIMARY
                          : c->status == STATUS_STANDBY ? HOST_ROLE_STANDBY
                                                        : HOST_ROLE_UNKNOWN;
    bool changed = !c->told || role != c->role;

    c->denials = role == HOST_ROLE_STANDBY ? c->denials + 1 : 0;
    c->role = role;
    c->told = true;
    if (changed)
        log_role(c);
    judge(c->gate, c->upstream);
    if (changed && role == HOST_ROLE_PRIMARY)
        (void)tell_workers(c, false);
}

/* ---- questions ---- */

static void work(void *arg)
{
    struct role_check *c = arg;
    const struct settings *settings = snapshot_settings(c->snapshot);
    unsigned interval_ms = (unsigned)settings->upstream_check_interval_s * 1000;
    unsigned timeout_ms = interval_ms > ANSWER_LEAST_MS ? interval_ms : ANSWER_LEAST_MS;
    const struct https_question question = {
        .url = c->url,
        .timeout_ms = timeout_ms < ANSWER_MOST_MS ? timeout_ms : ANSWER_MOST_MS,
        .may_plain = true,
        .direct = true,
        .connect_to = c->connect_to[0] ? c->connect_to : NULL,
        .ca_file = settings->upstream_check_ca_file.path,
        .cert_file = settings->upstream_check_cert_file.path,
        .key_file = settings->upstream_check_key_file.path,
        .stop = &c->gate->role_checks.stop,
    };

    c->code = https_ask(&question, &c->status, &c->why);
}

static int64_t pause_ms(const struct role_check *c)
{
    const struct gate *g = c->gate;

    if (c->again)
        return 0;
    if (loop_now_ms(g->loop) < g->role_checks.hurry_until_ms || !has_primary(g, c->upstream))
        return HURRY_MS;
    return (int64_t)snapshot_settings(c->snapshot)->upstream_check_interval_s * 1000;
}

static void finish(void *arg)
{
    struct role_check *c = arg;
    struct gate *g = c->gate;

    c->asking = false;
    g->role_checks.under_way--;
    if (c->dropped)
        role_check_free(c);
    else if (!g->role_checks.stop) {
        take_answer(c);
        timer_set(c->timer, pause_ms(c));
        c->again = false;
    }
    begin_next(g);
    if (gate_is_over(g) || g->role_checks.stop)
        loop_stop(g->loop);
}

static void begin(struct role_check *c)
{
    struct gate *g = c->gate;

    c->waits = 0;
    c->asking = loop_job(g->loop, work, finish, c);
    if (c->asking)
        g->role_checks.under_way++;
    else
        timer_set(c->timer, HURRY_MS); /* without memory now */
}

static bool pool_is_taken(const struct gate *g)
{
    return g->role_checks.under_way > 0 && g->role_checks.under_way >= loop_pool_size() / 2;
}

static void begin_next(struct gate *g)
{
    struct role_check *c, *first = NULL;

    if (g->role_checks.stop || pool_is_taken(g))
        return;
    TAILQ_FOREACH (c, &g->role_checks.list, next)
        if (c->waits && (!first || c->waits < first->waits))
            first = c;
    if (first)
        begin(first);
}

static void ask(void *arg)
{
    struct role_check *c = arg;

    if (c->waits)
        return;
    if (pool_is_taken(c->gate))
        c->waits = ++c->gate->role_checks.turns;
    else
        begin(c);
}

/* ---- for the steward ---- */

/* What was known of a host stays known over a reload. */
static void inherit(struct role_check *c, const struct role_check_list *from)
{
    const struct role_check *old;

    TAILQ_FOREACH (old, from, next) {
        if (!conn_host_equal(old->host, c->host) ||
            !str_equal(old->upstream->route->label, c->upstream->route->label))
            continue;
        c->role = old->role;
        c->told = old->told;
        c->denials = old->denials;
        c->lost = old->lost;
        return;
    }
}

static bool add_hosts(struct gate *g, const struct upstream *upstream, struct role_check_list *list)
{
    for (size_t i = 0; i < upstream->info.host_count; i++) {
        struct role_check *c = role_check_new(g, upstream, i);
        if (!c)
            return false;
        inherit(c, &g->role_checks.list);
        TAILQ_INSERT_TAIL(list, c, next);
    }
    return true;
}

/* Hosts that are asked no more say nothing any more. */
static void forget_hints(const struct gate *g)
{
    const struct role_check *c;

    TAILQ_FOREACH (c, &g->role_checks.list, next)
        host_roles_hint(g->shared.roles, c->host, HOST_ROLE_UNKNOWN);
}

void role_check_follow(struct gate *g)
{
    const struct settings *settings = snapshot_settings(g->snapshot);
    struct role_check_list list = TAILQ_HEAD_INITIALIZER(list);
    struct role_check *c;
    bool whole = true;

    for (size_t i = 0; whole && i < settings->n_routes; i++) {
        const struct upstream *upstream = snapshot_upstream(g->snapshot, &settings->routes[i]);
        if (upstream->configured && upstream->checked && (i == 0 || settings->routes[i].owns_upstream))
            whole = add_hosts(g, upstream, &list);
    }
    if (!whole) {
        gate_log(g->env, SEV_WARNING, "reload_incomplete",
                 "out of memory: the hosts that are asked are unchanged");
        drop_all(&list);
        return;
    }
    forget_hints(g);
    drop_all(&g->role_checks.list);
    TAILQ_CONCAT(&g->role_checks.list, &list, next);
    TAILQ_FOREACH (c, &g->role_checks.list, next) {
        judge(g, c->upstream);
        timer_set(c->timer, 0);
    }
}

void role_check_now(struct gate *g, struct err *note)
{
    struct role_check *c;
    unsigned n = 0;

    TAILQ_FOREACH (c, &g->role_checks.list, next) {
        c->again = c->asking;
        if (!c->asking)
            timer_set(c->timer, 0);
        n++;
    }
    g->role_checks.hurry_until_ms = loop_now_ms(g->loop) + HURRY_FOR_MS;
    if (n > 0)
        err_set(note, OK, "%u %s asked for the primary", n, n == 1 ? "host is" : "hosts are");
    else
        err_set(note, E_CONFIG,
                "no host is asked for the primary: \"upstream_check_url\" is empty or not used");
}

void role_check_count(const struct gate *g, struct counters *sum)
{
    const struct role_check *c;

    TAILQ_FOREACH (c, &g->role_checks.list, next) {
        const struct str labels[] = { c->upstream->route->label, str_c(c->name) };
        count_set(count_cell(sum, METRIC_UPSTREAM_PRIMARY, labels), c->role == HOST_ROLE_PRIMARY);
    }
}

void role_check_stop(struct gate *g)
{
    g->role_checks.stop = true;
    while (g->role_checks.under_way > 0)
        loop_run(g->loop);
    drop_all(&g->role_checks.list);
}
