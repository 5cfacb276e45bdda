/*
 * The table in memory is what counts; rows that differ from the file are marked, and written together.
 *
 * A file that is damaged or somebody else's is put aside and a new one begun. Every other failure
 * (permissions, a full disk) leaves the marks where they are: the next attempt writes what this one could
 * not.
 */
#include "gate/stats/clients.h"

#include "base/arena.h"
#include "base/env.h"
#include "base/log.h"
#include "base/lru.h"
#include "conf/settings.h"
#include "gate/stats/addresses.h"
#include "gate/work/sql_thread.h"
#include "net/loop.h"
#include "os/files.h"
#include "status/clients_store.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    TABLE_SLOTS = 512,    /* of a worker's table; powers of two */
    LEDGER_SLOTS = 16384, /* of the one table */
    SAVE_MS = 500,        /* after the first change: other workers hand over at about the same time */
    RETRY_MS = 5000,
    /* After so long every worker has handed over what it had seen by then. */
    SETTLED_MS = CLIENTS_HAND_OVER_MS + 1000
};

struct ledger_row {
    struct client_row row; /* first: lru.h finds the key at its begin */
    bool changed;          /* differs from the file */
    unsigned neighbours;   /* of a row without a user, while conclusions are drawn: rows of that address */
};

/* Who may write the file: another gate may have the directory already while this one still counts. */
enum writer { WRITER_FREE, WRITER_BUSY, WRITER_GONE };

struct clients {
    struct sql_thread *sql;
    _Atomic enum writer writer;
    const struct env *env;
    struct lru *rows; /* of struct ledger_row; high: it had a session */
    struct addresses *addresses;
    struct timer *timer;
    char path[OS_PATH_MAX];
    size_t limit;
    size_t lowest; /* that the limit was since the file was written: so many rows are to stay of it */
    bool started;
    bool loaded;
    bool waiting;         /* the timer is set */
    bool dirty;           /* there are changed rows, or too many rows in the file */
    enum code complained; /* what the last attempt ended with */
};

static bool writer_begin(struct clients *c)
{
    enum writer writer = WRITER_FREE;

    return atomic_compare_exchange_strong(&c->writer, &writer, WRITER_BUSY);
}

static void writer_end(struct clients *c)
{
    atomic_store(&c->writer, WRITER_FREE);
}

bool clients_forbid(struct clients *clients)
{
    enum writer writer = WRITER_FREE;

    return atomic_compare_exchange_strong(&clients->writer, &writer, WRITER_GONE) || writer == WRITER_GONE;
}

/* Those without a session first; each kind from the oldest to the latest. NULL begins, with *high false, and
 * ends.
 */
static struct ledger_row *next_row(const struct clients *c, bool *high, struct ledger_row *row)
{
    row = lru_next(c->rows, *high, row);
    if (row || *high)
        return row;
    *high = true;
    return lru_next(c->rows, true, NULL);
}

/* ---- the file ---- */

static void log_trouble(struct clients *c, enum severity severity, const char *event, const struct err *e)
{
    struct log_line line;

    log_begin(&line, c->env, severity, event);
    log_err(&line, e);
    log_end(&line);
}

/* One line for each kind of trouble, and one when it is over. */
static void clients_complain(struct clients *c, enum code code, const struct err *e)
{
    struct log_line line;

    if (code != OK && code != c->complained)
        log_trouble(c, SEV_WARNING, "clients_not_kept", e);
    if (code == OK && c->complained != OK) {
        log_begin(&line, c->env, SEV_LOG, "clients_kept");
        log_c(&line, "file", c->path);
        log_end(&line);
    }
    c->complained = code;
}

struct walk {
    struct clients *clients;
    struct ledger_row *row;
    bool high;
};

static const struct client_row *next_changed(void *arg)
{
    struct walk *walk = arg;

    do
        walk->row = next_row(walk->clients, &walk->high, walk->row);
    while (walk->row && !walk->row->changed);
    return walk->row ? &walk->row->row : NULL;
}

static void mark_all(struct clients *c, bool changed)
{
    struct ledger_row *row = NULL;
    bool high = false;

    while ((row = next_row(c, &high, row)) != NULL)
        row->changed = changed;
}

static void clients_add(struct clients *c, const struct client_row *seen)
{
    struct ledger_row *row = lru_note(c->rows, &seen->key, seen->sessions > 0);

    addresses_note(c->addresses, seen);
    if (!row)
        return;
    client_merge(&row->row, seen);
    row->changed = true;
}

static void add_loaded(void *arg, const struct client_row *row)
{
    struct clients *c = arg;

    if (lru_count(c->rows) == c->limit)
        c->dirty = true; /* the file has more rows than are to be kept */
    clients_add(c, row);
}

/* E_DAMAGED is seen to here. */
static enum code clients_load(struct clients *c, struct err *e)
{
    bool empty = lru_count(c->rows) == 0;
    enum code code = client_store_load(c->path, add_loaded, c, e);

    if (code == OK && empty)
        mark_all(c, false); /* just as in the file */
    c->loaded = code == OK;
    return code;
}

static enum code set_aside(struct clients *c, const struct err *why, struct err *e)
{
    TRY(client_store_set_aside(c->path, e));
    log_trouble(c, SEV_WARNING, "clients_set_aside", why);
    c->loaded = true;
    c->dirty = true;
    return OK;
}

static const struct client_row *no_row(void *arg)
{
    (void)arg;
    return NULL;
}

/* The limit was lower meanwhile: what was removed in memory goes from the file too. */
static enum code save_removal(struct clients *c, struct err *e)
{
    const struct client_changes none = { .next = no_row, .limit = c->lowest };

    if (c->lowest >= c->limit)
        return OK;
    mark_all(c, true);
    return client_store_save(c->path, &none, e);
}

static enum code try_to_save(struct clients *c, struct err *e)
{
    struct walk walk = { .clients = c };
    const struct client_changes changes = { .next = next_changed, .arg = &walk, .limit = c->limit };

    if (!c->loaded)
        TRY(clients_load(c, e));
    if (!os_exists(c->path)) {
        if (lru_count(c->rows) == 0)
            return OK;
        mark_all(c, true);
    }
    TRY(save_removal(c, e));
    TRY(client_store_save(c->path, &changes, e));
    c->lowest = c->limit;
    mark_all(c, false);
    return OK;
}

static void set_timer(struct clients *c, int64_t delay_ms)
{
    if (!c->waiting && c->timer) /* NULL: stopped, and what is left comes too late */
        timer_set(c->timer, delay_ms);
    c->waiting = true;
}

static bool save(struct clients *c)
{
    struct err e, why;

    if (!writer_begin(c)) {
        c->dirty = false; /* it is another gate's file now */
        return true;
    }
    enum code code = try_to_save(c, &e);
    if (code == E_DAMAGED) {
        why = e;
        code = set_aside(c, &why, &e);
        if (code == OK)
            code = try_to_save(c, &e);
    }
    writer_end(c);
    clients_complain(c, code, &e);
    c->dirty = code != OK;
    return code == OK;
}

/* ---- counting ---- */

/* There is no user where a handshake failed: look for the address alone. */
static struct ledger_row *nameless(const struct clients *c, const struct client_row *row)
{
    struct client_key key = { .user = "" };

    memcpy(key.address, row->key.address, sizeof key.address);
    return row->key.user[0] ? lru_find(c->rows, &key) : NULL;
}

static void count_neighbours(struct clients *c)
{
    struct ledger_row *row = NULL, *other;
    bool high = false;

    while ((row = next_row(c, &high, row)) != NULL)
        row->neighbours = 0;
    high = false;
    while ((row = next_row(c, &high, row)) != NULL)
        if ((other = nameless(c, &row->row)) != NULL)
            other->neighbours++;
}

static bool is_recent(const struct clients *c, const struct client_row *row)
{
    int64_t age_us = c->env->now_unix_us(c->env->ctx) - row->last_us;

    return age_us >= 0 && age_us < (int64_t)SETTLED_MS * 1000;
}

/*
 * What two tries close together mean can be seen when both have arrived, in whatever order. A handshake that
 * failed is only laid to a client that has its address for itself: to know that, all workers must have handed
 * over what they saw. `all`: they have; otherwise what is recent is put off, and true says so.
 */
static bool conclude_row(struct clients *c, struct ledger_row *row, bool all)
{
    struct ledger_row *other = nameless(c, &row->row);
    bool alone = other && other->neighbours == 1;
    bool settled = all || !alone || (!is_recent(c, &row->row) && !is_recent(c, &other->row));
    bool news = client_conclude(&row->row, alone && settled ? &other->row : NULL);

    if (other && client_charge(&row->row, &other->row, alone && settled))
        news = true;
    if (news)
        row->changed = c->dirty = true;
    return !settled && (row->row.plain_us > 0 || client_owes(&row->row, &other->row));
}

static bool conclude(struct clients *c, bool all)
{
    struct ledger_row *row = NULL;
    bool high = false, put_off = false;

    count_neighbours(c);
    while ((row = next_row(c, &high, row)) != NULL)
        put_off |= conclude_row(c, row, all);
    return put_off;
}

static void changed(struct clients *c)
{
    c->dirty = true;
    set_timer(c, c->complained == OK ? SAVE_MS : RETRY_MS);
}

struct parcel {
    struct clients *clients;
    struct lru *table;
    _Atomic unsigned *under_way;
};

static void take_parcel(void *arg)
{
    struct parcel *parcel = arg;
    const struct client_row *row = NULL;

    for (int high = 0; high < 2; high++)
        while ((row = lru_next(parcel->table, high, row)) != NULL)
            clients_add(parcel->clients, row);
    changed(parcel->clients);
    lru_free(parcel->table);
    atomic_fetch_sub_explicit(parcel->under_way, 1, memory_order_relaxed);
    free(parcel);
}

struct lru *clients_table(void)
{
    return lru_new(TABLE_SLOTS, sizeof(struct client_row), sizeof(struct client_key), CLIENTS_PER_WORKER);
}

bool clients_hand_over(struct clients *clients, struct lru *table, _Atomic unsigned *under_way)
{
    struct parcel *parcel = malloc(sizeof *parcel);

    if (!parcel)
        return false;
    *parcel = (struct parcel){ .clients = clients, .table = table, .under_way = under_way };
    atomic_fetch_add_explicit(under_way, 1, memory_order_relaxed);
    if (sql_thread_post(clients->sql, take_parcel, parcel))
        return true;
    atomic_fetch_sub_explicit(under_way, 1, memory_order_relaxed);
    free(parcel);
    return false;
}

struct new_limit {
    struct clients *clients;
    size_t limit;
};

static void take_limit(void *arg)
{
    struct new_limit *new_limit = arg;
    struct clients *c = new_limit->clients;

    if (new_limit->limit != c->limit) {
        c->limit = new_limit->limit;
        if (c->limit < c->lowest)
            c->lowest = c->limit;
        lru_limit(c->rows, c->limit);
        changed(c);
    }
    free(new_limit);
}

bool clients_set_limit(struct clients *clients, size_t limit)
{
    struct new_limit *new_limit = malloc(sizeof *new_limit);

    if (!new_limit)
        return false;
    *new_limit = (struct new_limit){ .clients = clients, .limit = limit };
    if (sql_thread_post(clients->sql, take_limit, new_limit))
        return true;
    free(new_limit);
    return false;
}

bool clients_copy(struct clients *clients, struct arena *arena, const struct client_row **out, size_t *out_n)
{
    (void)conclude(clients, true);
    if (clients->dirty)
        changed(clients);

    size_t n = lru_count(clients->rows);
    struct client_row *rows = arena_array(arena, n, sizeof *rows);
    struct ledger_row *row = NULL;
    bool high = false;

    if (!rows)
        return false;
    *out_n = n;
    while ((row = next_row(clients, &high, row)) != NULL)
        rows[--n] = row->row;
    *out = rows;
    return true;
}

struct leaving {
    struct clients *clients;
    void (*done)(void *arg);
    void *arg;
};

static void leave(void *arg)
{
    struct leaving *leaving = arg;
    struct clients *c = leaving->clients;

    (void)conclude(c, true);
    if (c->dirty)
        (void)save(c);
    (void)!clients_forbid(c); /* only this thread writes, and it does not now */
    leaving->done(leaving->arg);
    free(leaving);
}

bool clients_leave(struct clients *clients, void (*done)(void *arg), void *arg)
{
    struct leaving *leaving = malloc(sizeof *leaving);

    if (!leaving)
        return false;
    *leaving = (struct leaving){ .clients = clients, .done = done, .arg = arg };
    if (sql_thread_post(clients->sql, leave, leaving))
        return true;
    free(leaving);
    return false;
}

/* ---- life ---- */

static void on_timer(void *arg)
{
    struct clients *c = arg;

    c->waiting = false;
    bool put_off = conclude(c, false);
    if (c->dirty && !save(c))
        set_timer(c, RETRY_MS);
    else if (put_off)
        set_timer(c, SETTLED_MS);
}

static void first_load(void *arg)
{
    struct clients *c = arg;
    struct err e, why;

    if (!writer_begin(c))
        return;
    enum code code = clients_load(c, &e);
    if (code == E_DAMAGED) {
        why = e;
        code = set_aside(c, &why, &e);
    }
    writer_end(c);
    clients_complain(c, code, &e);
    if (c->dirty || code != OK)
        changed(c);
}

struct clients *clients_new(struct sql_thread *sql, const char *dir, const struct env *env)
{
    struct clients *c = calloc(1, sizeof *c);
    struct err ignored;

    if (!c)
        return NULL;
    c->sql = sql;
    c->env = env;
    c->rows = lru_new(LEDGER_SLOTS, sizeof(struct ledger_row), sizeof(struct client_key), 0);
    c->timer = timer_new(sql_thread_loop(sql), on_timer, c);
    c->addresses = addresses_new();
    if (!c->rows || !c->timer || !c->addresses || os_path(dir, STATE_CLIENTS, c->path, &ignored) != OK) {
        clients_stop(c);
        clients_free(c);
        return NULL;
    }
    return c;
}

void clients_await(struct clients *clients, size_t limit)
{
    atomic_store(&clients->writer, WRITER_BUSY);
    clients->limit = clients->lowest = limit;
    lru_limit(clients->rows, limit);
}

bool clients_go_on(struct clients *clients)
{
    atomic_store(&clients->writer, WRITER_FREE);
    clients->started = sql_thread_post(clients->sql, first_load, clients);
    return clients->started;
}

struct addresses *clients_addresses(const struct clients *clients)
{
    return clients->addresses;
}

bool clients_start(struct clients *clients, size_t limit)
{
    clients->limit = clients->lowest = limit;
    lru_limit(clients->rows, limit);
    clients->started = sql_thread_post(clients->sql, first_load, clients);
    return clients->started;
}

void clients_stop(struct clients *clients)
{
    if (!clients)
        return;
    if (clients->started) {
        (void)conclude(clients, true);
        if (clients->dirty)
            (void)save(clients);
    }
    timer_close(clients->timer);
    clients->timer = NULL;
}

void clients_free(struct clients *clients)
{
    if (!clients)
        return;
    lru_free(clients->rows);
    addresses_free(clients->addresses);
    free(clients);
}
