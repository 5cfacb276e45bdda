/*
 * Secrets and memberships, cached.
 *
 * An answer is kept per (upstream, user, kind) for auth_cache_ttl: memberships are used again as long, secrets
 * where the server cannot be asked. Whoever asks for one that is on its way waits for it. Questions to one upstream go over one session, one at a time.
 */
#include "gate/upstream/lookup.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/hash.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/upstream/credential.h"
#include "gate/upstream/lookup_text.h"
#include "gate/upstream/server_query.h"
#include "gate/work/worker.h"
#include "net/loop.h"
#include "policy/match.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    ANSWER_ARENA_MAX = 4 << 20, /* memberships of one user */
    ANSWERS_MAX = 10000,        /* users remembered per worker; the oldest goes first */
    SECRET_COLUMNS = 4
};

#define ROLES_QUERY                                                                                          \
    "WITH RECURSIVE member_of(oid) AS ("                                                                     \
    "SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = $1 "                                          \
    "UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN member_of o ON m.member = o.oid) "         \
    "SELECT r.rolname FROM pg_catalog.pg_roles r JOIN member_of o ON r.oid = o.oid"

enum answer_state { ANSWER_QUEUED, ANSWER_ASKED, ANSWER_READY, ANSWER_FAILED };

struct answer {
    struct str upstream; /* the conninfo's text: routes to the same server share */
    struct str user;
    unsigned generation; /* of the snapshot: another auth_query may have another answer */
    enum lookup_kind kind;
    enum answer_state state;
    unsigned failures;  /* forget_slot() when it was asked: later ones make it useless */
    unsigned waiting;   /* lookups that hold it */
    struct prefix site; /* of the client that asked first */
    uint64_t turn;      /* while it is queued: the smallest one goes first */
    int64_t expires_us;
    struct arena arena;
    bool exists;
    bool no_login;
    bool expires_at_all;
    int64_t valid_until_us;
    struct secret secret;
    struct str *roles;
    size_t n_roles, roles_size;
    struct err why;
    TAILQ_ENTRY(answer) entry; /* all of a worker, the oldest first */
};

/** One session per upstream, made when needed. */
struct line {
    struct lookups *lookups;
    struct str upstream;
    struct snapshot *snapshot; /* whose conninfo it was made with; the waiting session holds a reference */
    struct server_query *query;
    struct answer *asked;
    uint64_t turn; /* of the question that was asked last */
    LIST_ENTRY(line) entry;
    char text[];
};

struct lookup {
    struct lookups *lookups;
    struct answer *answer;
    bool cached;
    void (*done)(void *arg); /* NULL: was called */
    void *arg;
    TAILQ_ENTRY(lookup) entry;
};

struct lookups {
    struct worker *worker;
    struct timer *tell; /* answers are told from the loop, never from inside lookup_new() */
    size_t n_answers;
    TAILQ_HEAD(answer_list, answer) answers;
    TAILQ_HEAD(lookup_list, lookup) waiting;
    LIST_HEAD(, line) lines;
};

/* ---- answers ---- */

/* Failed logins by user, counted for all workers together: each has answers of its own. */
static atomic_uint *forget_slot(struct lookups *all, struct str user)
{
    /* a collision costs one more question */
    return &all->worker->shared->forgotten[hash_str(HASH_BEGIN, user) % FORGET_SLOTS];
}

static bool is_forgotten(struct lookups *all, const struct answer *answer)
{
    return answer->failures != atomic_load_explicit(forget_slot(all, answer->user), memory_order_relaxed);
}

static void answer_free(struct lookups *all, struct answer *answer)
{
    TAILQ_REMOVE(&all->answers, answer, entry);
    all->n_answers--;
    secret_wipe(&answer->secret);
    arena_fini(&answer->arena);
    free(answer);
}

static void drop_old(struct lookups *all)
{
    struct answer *answer, *next;
    int64_t now = env_mono_us(&all->worker->env);

    for (answer = TAILQ_FIRST(&all->answers); answer; answer = next) {
        next = TAILQ_NEXT(answer, entry);
        bool over = answer->state >= ANSWER_READY && answer->expires_us <= now;
        bool crowded = answer->state >= ANSWER_READY && all->n_answers > ANSWERS_MAX;
        if ((over || crowded) && answer->waiting == 0)
            answer_free(all, answer);
        else if (all->n_answers <= ANSWERS_MAX)
            break;
    }
}

static bool is_same(const struct answer *a, const struct answer *b)
{
    return a->kind == b->kind && a->generation == b->generation && str_equal(a->user, b->user) &&
           str_equal(a->upstream, b->upstream);
}

/* May a known answer be used again? */
static bool is_usable(struct lookups *all, const struct answer *answer)
{
    return answer->state == ANSWER_READY && answer->expires_us > env_mono_us(&all->worker->env) &&
           !is_forgotten(all, answer);
}

/* The one that answers `q`: on its way, or known. What a client must prove follows from a secret, salt and all,
 * before anybody can see that it was changed: a secret is asked for at every login. */
static struct answer *answer_find(struct lookups *all, const struct lookup_question *q)
{
    const struct answer wanted = { .upstream = q->route->upstream,
                                   .user = q->user,
                                   .generation = snapshot_generation(q->snapshot),
                                   .kind = q->kind };
    struct answer *answer;

    TAILQ_FOREACH (answer, &all->answers, entry) {
        bool known = q->kind == LOOKUP_ROLES && !q->anew && is_usable(all, answer);
        if ((answer->state < ANSWER_READY || known) && is_same(answer, &wanted))
            return answer;
    }
    return NULL;
}

/* The last one before a question that came to nothing. */
static const struct answer *answer_before(struct lookups *all, const struct answer *failed)
{
    const struct answer *answer;

    TAILQ_FOREACH (answer, &all->answers, entry)
        if (is_same(answer, failed) && is_usable(all, answer))
            return answer;
    return failed;
}

/* `answer` is newer. */
static void drop_older(struct lookups *all, const struct answer *answer)
{
    struct answer *old, *next;

    for (old = TAILQ_FIRST(&all->answers); old; old = next) {
        next = TAILQ_NEXT(old, entry);
        if (old != answer && old->state >= ANSWER_READY && old->waiting == 0 && is_same(old, answer))
            answer_free(all, old);
    }
}

static struct answer *answer_new(struct lookups *all, const struct lookup_question *q)
{
    struct answer *answer = calloc(1, sizeof *answer);

    if (!answer)
        return NULL;
    arena_init(&answer->arena, ANSWER_ARENA_MAX, 512);
    answer->kind = q->kind;
    answer->generation = snapshot_generation(q->snapshot);
    answer->site = prefix_site(&q->prefix);
    TAILQ_INSERT_TAIL(&all->answers, answer, entry);
    all->n_answers++;
    if (!arena_str(&answer->arena, q->route->upstream, &answer->upstream) ||
        !arena_str(&answer->arena, q->user, &answer->user)) {
        answer_free(all, answer);
        return NULL;
    }
    answer->failures = atomic_load_explicit(forget_slot(all, q->user), memory_order_relaxed);
    return answer;
}

static enum code take_secret(struct answer *answer, const struct str *v, size_t n)
{
    bool can_log_in;

    if (n != SECRET_COLUMNS)
        return err_set(&answer->why, E_CONFIG,
                       "auth_query must return four columns: name, secret, valid until, can log in");
    if (answer->exists)
        return err_set(&answer->why, E_CONFIG, "auth_query must not return more than one row");
    answer->exists = true;
    answer->expires_at_all = false;
    if (v[1].p && secret_set(&answer->secret, str_bytes(v[1])) != OK)
        return err_set(&answer->why, E_CONFIG, "the secret of the user is too long");
    if (v[2].p && !lookup_read_time(v[2], &answer->expires_at_all, &answer->valid_until_us))
        return err_set(&answer->why, E_CONFIG, "the user's validity could not be read");
    if (!lookup_read_bool(v[3], &can_log_in))
        return err_set(&answer->why, E_CONFIG,
                       "the fourth column of auth_query, can log in, must be true or false");
    answer->no_login = !can_log_in;
    return OK;
}

static bool take_role(struct answer *answer, struct str role)
{
    struct str *roles = arena_grow(&answer->arena, answer->roles, answer->n_roles, &answer->roles_size,
                                   sizeof *roles);

    if (!roles)
        return false;
    answer->roles = roles;
    return arena_str(&answer->arena, role, &answer->roles[answer->n_roles++]);
}

static int compare_roles(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* ---- the session of an upstream ---- */

static void ask_next(struct line *line);

static void on_row(void *arg, const struct str *values, size_t n)
{
    struct line *line = arg;
    struct answer *answer = line->asked;

    if (answer->why.message[0])
        return;
    if (answer->kind == LOOKUP_SECRET)
        (void)!take_secret(answer, values, n);
    else if (n != 1 || !values[0].p || !take_role(answer, values[0]))
        err_set(&answer->why, E_CONFIG, "the user's memberships could not be read");
}

static void lookup_settle(struct line *line, struct answer *answer, const struct err *e)
{
    struct lookups *all = line->lookups;
    int64_t ttl_us = (int64_t)snapshot_settings(line->snapshot)->auth_cache_ttl_s * 1000000;

    if (e)
        answer->why = *e;
    answer->state = answer->why.message[0] ? ANSWER_FAILED : ANSWER_READY;
    answer->expires_us = env_mono_us(&all->worker->env) + ttl_us;
    if (answer->state == ANSWER_READY)
        drop_older(all, answer);
    if (answer->kind == LOOKUP_ROLES && answer->n_roles > 1)
        qsort(answer->roles, answer->n_roles, sizeof *answer->roles, compare_roles);
    timer_set(all->tell, 0);
}

static bool is_queued(const struct line *line, const struct answer *answer)
{
    return answer->state == ANSWER_QUEUED && answer->generation == snapshot_generation(line->snapshot) &&
           str_equal(answer->upstream, line->upstream);
}

/* Client prefixes take turns: who asks about many users waits for the answers itself. */
static void queue_up(const struct line *line, struct answer *answer)
{
    answer->turn = line->turn;
    const struct answer *other;
    TAILQ_FOREACH (other, &line->lookups->answers, entry)
        if (other != answer && is_queued(line, other) && prefix_equal(&other->site, &answer->site) &&
            other->turn >= answer->turn)
            answer->turn = other->turn + 1;
}

static struct answer *next_question(const struct line *line)
{
    struct answer *answer, *next = NULL;

    TAILQ_FOREACH (answer, &line->lookups->answers, entry)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow TAILQ_REMOVE */
        if (is_queued(line, answer) && (!next || answer->turn < next->turn))
            next = answer;
    return next;
}

/* A lost connection is told to all who stand in line: each trying for itself could take minutes. */
static void fail_queued(struct line *line, const struct err *e)
{
    struct answer *answer;

    while ((answer = next_question(line)) != NULL)
        lookup_settle(line, answer, e);
}

/* The server has answered, if only this user's question with an error. A name that cannot be written in its
 * encoding is no user's. */
static void on_done(void *arg, const struct err *e)
{
    struct line *line = arg;
    struct answer *answer = line->asked;

    line->asked = NULL;
    lookup_settle(line, answer, e && e->code == E_ENCODING ? NULL : e);
    ask_next(line);
}

static void on_lost(void *arg, const struct err *e)
{
    struct line *line = arg;
    struct answer *answer = line->asked;

    line->asked = NULL;
    lookup_settle(line, answer, e);
    fail_queued(line, e);
}

static void ask_next(struct line *line)
{
    const struct settings *settings = snapshot_settings(line->snapshot);
    struct answer *answer;
    struct err e;

    while (!line->asked && (answer = next_question(line)) != NULL) {
        struct str sql = answer->kind == LOOKUP_SECRET ? settings->auth_query : STR(ROLES_QUERY);
        line->asked = answer;
        line->turn = answer->turn;
        answer->state = ANSWER_ASKED;
        if (server_query_ask(line->query, sql, answer->user) == OK)
            return;
        line->asked = NULL;
        err_set(&e, E_NOMEM, "out of memory");
        lookup_settle(line, answer, &e);
    }
}

static struct line *line_of(struct lookups *all, struct snapshot *snapshot, const struct upstream *upstream)
{
    struct str text = upstream->route->upstream;
    struct line *line;

    LIST_FOREACH (line, &all->lines, entry)
        if (line->snapshot == snapshot && str_equal(line->upstream, text))
            return line;
    line = calloc(1, sizeof *line + text.n);
    if (!line)
        return NULL;
    memcpy(line->text, text.p, text.n);
    line->upstream = str_of(line->text, text.n);
    line->lookups = all;
    line->snapshot = snapshot;
    const struct server_query_owner owner = { on_row, on_done, on_lost, line };
    line->query = server_query_new(all->worker, snapshot, upstream, &owner);
    if (!line->query) {
        free(line);
        return NULL;
    }
    LIST_INSERT_HEAD(&all->lines, line, entry);
    return line;
}

static void line_free(struct line *line)
{
    LIST_REMOVE(line, entry);
    server_query_free(line->query);
    free(line);
}

/* ---- telling ---- */

static void drop_lines(struct lookups *all)
{
    struct line *line, *next;

    for (line = LIST_FIRST(&all->lines); line; line = next) {
        next = LIST_NEXT(line, entry);
        if (!line->asked && line->snapshot != all->worker->snapshot)
            line_free(line);
    }
}

static void on_tell(void *arg)
{
    struct lookups *all = arg;
    struct lookup *lookup;

    for (;;) {
        TAILQ_FOREACH (lookup, &all->waiting, entry)
            if (lookup->answer->state >= ANSWER_READY)
                break;
        if (!lookup)
            break;
        TAILQ_REMOVE(&all->waiting, lookup, entry);
        void (*done)(void *) = lookup->done;
        lookup->done = NULL;
        /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): it does not follow TAILQ_REMOVE */
        done(lookup->arg); /* may free the lookup, and others with it */
    }
    drop_lines(all);
    drop_old(all);
}

/* ---- for the rooms ---- */

static struct lookups *lookups_of(struct worker *worker)
{
    struct lookups *all = worker->lookups;

    if (all)
        return all;
    all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->worker = worker;
    TAILQ_INIT(&all->answers);
    TAILQ_INIT(&all->waiting);
    LIST_INIT(&all->lines);
    all->tell = timer_new(worker->loop, on_tell, all);
    if (!all->tell) {
        free(all);
        return NULL;
    }
    worker->lookups = all;
    return all;
}

struct lookup *lookup_new(struct worker *worker, const struct lookup_question *q, void (*done)(void *arg),
                          void *arg)
{
    struct lookups *all = lookups_of(worker);
    struct lookup *lookup = calloc(1, sizeof *lookup);

    if (!all || !lookup) {
        free(lookup);
        return NULL;
    }
    struct answer *answer = answer_find(all, q);
    bool found = answer != NULL;
    struct line *line = NULL;
    if (!answer) {
        line = line_of(all, q->snapshot, snapshot_upstream(q->snapshot, q->route));
        answer = line ? answer_new(all, q) : NULL;
    }
    if (!answer) {
        free(lookup);
        return NULL;
    }
    *lookup = (struct lookup){ .lookups = all, .answer = answer, .done = done, .arg = arg };
    lookup->cached = answer->state == ANSWER_READY;
    answer->waiting++;
    TAILQ_INSERT_TAIL(&all->waiting, lookup, entry);
    if (!found) {
        queue_up(line, answer);
        ask_next(line);
    } else if (answer->state >= ANSWER_READY)
        timer_set(all->tell, 0);
    return lookup;
}

void lookup_free(struct lookup *lookup)
{
    if (!lookup)
        return;
    if (lookup->done)
        TAILQ_REMOVE(&lookup->lookups->waiting, lookup, entry);
    if (--lookup->answer->waiting == 0 && lookup->answer->state == ANSWER_QUEUED) /* nobody wants to know */
        answer_free(lookup->lookups, lookup->answer);
    free(lookup);
}

static void fill_credential(struct lookups *all, const struct answer *answer, struct credential *out)
{
    const struct env *env = &all->worker->env;
    struct str secret = str_from_bytes(secret_bytes(&answer->secret));

    out->exists = answer->exists;
    out->no_login = answer->no_login;
    out->has_secret = secret.n > 0;
    out->expired = answer->expires_at_all && answer->valid_until_us < env->now_unix_us(env->ctx);
    verifier_parse(secret, &out->verifier);
}

enum code lookup_take(struct lookup *lookup, struct arena *arena, struct credential *credential,
                      const struct role_set **roles, struct err *e)
{
    const struct answer *answer = lookup->answer;

    if (answer->state == ANSWER_FAILED)
        answer = answer_before(lookup->lookups, answer);
    if (answer->state != ANSWER_READY) {
        *e = answer->why;
        if (e->code != E_CONFIG)
            e->code = E_UNAVAILABLE;
        return e->code;
    }
    if (answer->kind == LOOKUP_SECRET) {
        fill_credential(lookup->lookups, answer, credential);
        return OK;
    }
    struct role_set *set = ARENA_NEW(arena, struct role_set);
    struct str *names = arena_array(arena, answer->n_roles, sizeof *names);
    if (!set || !names)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < answer->n_roles; i++)
        if (!arena_str(arena, answer->roles[i], &names[i]))
            return err_set(e, E_NOMEM, "out of memory");
    *set = (struct role_set){ names, answer->n_roles };
    *roles = set;
    return OK;
}

bool lookup_cached(const struct lookup *lookup)
{
    return lookup->cached;
}

void lookup_forget(struct worker *worker, struct str user)
{
    if (worker->lookups)
        atomic_fetch_add_explicit(forget_slot(worker->lookups, user), 1, memory_order_relaxed);
}

void lookups_news(struct lookups *lookups, const struct conn_host *host, bool lost)
{
    struct line *line, *next;

    for (line = lookups ? LIST_FIRST(&lookups->lines) : NULL; line; line = next) {
        next = LIST_NEXT(line, entry);
        server_query_news(line->query, host, lost);
    }
}

void lookups_free(struct lookups *all)
{
    struct line *line, *next_line;
    struct answer *answer, *next;

    if (!all)
        return;
    for (line = LIST_FIRST(&all->lines); line; line = next_line) {
        next_line = LIST_NEXT(line, entry);
        line_free(line);
    }
    for (answer = TAILQ_FIRST(&all->answers); answer; answer = next) {
        next = TAILQ_NEXT(answer, entry);
        answer_free(all, answer);
    }
    timer_close(all->tell);
    free(all);
}
