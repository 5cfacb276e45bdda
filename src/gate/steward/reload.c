/*
 * Reload: load beside what is in force, swap, look at what is served, go back if that is something else.
 *
 * A reload is proven three times: by the load itself, by a handshake in memory, and on the wire. Only a
 * different certificate on the wire restores the previous snapshot; a check that could not be made says
 * nothing about the certificate.
 */
#include "gate/steward/reload.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/log.h"
#include "client/verify_served.h"
#include "conf/settings.h"
#include "gate/load/server_tls.h"
#include "gate/load/snapshot.h"
#include "gate/session/worker_thread.h"
#include "gate/stats/clients.h"
#include "gate/steward/in_force.h"
#include "gate/steward/role_check.h"
#include "gate/steward/steward.h"
#include "gate/steward/steward_log.h"
#include "gate/steward/watch.h"
#include "net/loop.h"
#include "net/pending_watch.h"
#include "tls/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIAGS_ARENA_MAX = 16 * 1024 * 1024,
    KEY_ALARM_MS = 9000, /* with the second of settling: ten */
    INSPECT_MS = 6 * 60 * 60 * 1000,
};

/* ---- what is served ---- */

struct check {
    struct gate *gate;
    unsigned generation;
    struct served_check served;
};

static void check_work(void *arg)
{
    struct check *check = arg;

    verify_served(&check->served);
}

static void log_target(struct gate *g, const struct check *check, const struct served_target *target)
{
    struct log_line line;
    char address[64];

    if (target->result == SERVED_SAME)
        return;
    log_begin(&line, g->env, SEV_WARNING,
              target->result == SERVED_OTHER ? "served_differs" : "served_unchecked");
    log_int(&line, "generation", check->generation);
    address_text(&target->address, address, sizeof address);
    log_c(&line, "address", address);
    log_err(&line, &target->why);
    log_end(&line);
}

static bool install(struct gate *g, struct snapshot *next, bool restored);

/* In the history, for those who ask later. The row is the caller's to complete. */
static struct history_row *remember(struct gate *g, enum reload_trigger trigger, const char *result);

static void restore(struct gate *g)
{
    struct snapshot *previous = g->previous;

    if (!previous)
        return;
    g->previous = NULL;
    gate_log(g->env, SEV_WARNING, "reload_rolled_back",
             "a listener serves a different certificate than the one loaded: the previous configuration is "
             "restored until the files change or SIGHUP is received");
    if (!install(g, previous, true))
        return;
    struct history_row *row = remember(g, RELOAD_CERTIFICATES, "restored");
    (void)snprintf(row->error, sizeof row->error, "a listener served a different certificate");
}

static void check_done(void *arg)
{
    struct check *check = arg;
    struct gate *g = check->gate;
    size_t same = 0, other = 0;
    struct log_line line;

    /* A newer reload has its own check; a gate that stops serves nothing any more. */
    if (check->generation != g->generation || g->draining) {
        free(check);
        return;
    }
    for (size_t i = 0; i < check->served.n; i++) {
        log_target(g, check, &check->served.targets[i]);
        same += check->served.targets[i].result == SERVED_SAME;
        other += check->served.targets[i].result == SERVED_OTHER;
    }
    if (other > 0) {
        restore(g);
        free(check);
        return;
    }
    if (same == check->served.n) {
        log_begin(&line, g->env, SEV_LOG, "served_verified");
        log_int(&line, "generation", check->generation);
        log_int(&line, "listeners", (long long)same);
        log_end(&line);
    }
    snapshot_unref(g->previous);
    g->previous = NULL;
    free(check);
}

/* What to ask for, to be served by this host. False: no client can ask for it. */
static bool name_of_host(const struct host_line *line, struct served_target *target)
{
    if (host_line_is(line, HOSTS_NO_SNI) || host_line_is(line, HOSTS_ANY))
        return true;
    struct str name = host_line_name(line);
    return name.p && str_to_c(name, target->name, sizeof target->name);
}

/* The check comes from the address it goes to: is that one from which a PROXY header is demanded? */
static void add_target(struct gate *g, struct check *check, const struct address *listening,
                       const struct server_host *host)
{
    struct served_target *target = &check->served.targets[check->served.n];
    struct bytes fingerprint = tls_context_fingerprint(host->tls[0]);

    if (check->served.n == SERVED_TARGETS_MAX || fingerprint.n != CERT_SHA256_SIZE ||
        (host->line && !name_of_host(host->line, target)))
        return;
    check->served.n++;
    target->by_name = true;
    memcpy(target->fingerprint, fingerprint.p, fingerprint.n);
    if (!host->line || host_line_is(host->line, HOSTS_ANY))
        (void)snprintf(target->name, sizeof target->name, "%s", check->served.name);
    target->address = served_address(listening);
    target->proxy = settings_proxy_expected(snapshot_settings(g->snapshot),
                                            (const struct sockaddr *)&target->address.ss);
}

/* False: there is nothing to look at. */
static bool check_served(struct gate *g)
{
    const struct server_tls *tls = snapshot_hosts(g->snapshot);

    if (tls->n == 0 || g->listening.n_tcp == 0 || g->draining)
        return false;
    struct check *check = calloc(1, sizeof *check);
    bool named = check && served_name(g->shared.env, g->shared.nonce, check->served.name);
    if (named) {
        check->gate = g;
        check->generation = g->generation;
        check->served.library = g->http_library;
        check->served.env = g->shared.env;
        for (size_t h = 0; h < tls->n; h++)
            for (size_t i = 0; i < g->listening.n_tcp && i < LISTEN_TCP_MAX; i++)
                add_target(g, check, &g->listening.tcp[i], &tls->hosts[h]);
    }
    if (named && loop_job(g->loop, check_work, check_done, check))
        return true;
    free(check);
    gate_log(g->env, SEV_WARNING, "served_unchecked", "out of memory");
    return false;
}

/* ---- the swap ---- */

struct swap {
    struct gate *gate;
    _Atomic unsigned left; /* workers that have not taken it */
    unsigned generation;
    bool restored;
    struct loop_message *swapped;  /* for the steward, once all have */
    struct worker_order *orders[]; /* one for each worker, until they are sent */
};

static void swap_free(struct swap *swap)
{
    for (unsigned i = 0; i < swap->gate->n_workers; i++)
        worker_order_free(swap->orders[i]);
    loop_message_free(swap->swapped);
    free(swap);
}

/* On the steward: every worker uses the new snapshot. */
static void swapped(void *arg)
{
    struct swap *swap = arg;
    struct gate *g = swap->gate;

    if (swap->generation == g->generation && (swap->restored || !check_served(g))) {
        snapshot_unref(g->previous); /* nobody will want it back */
        g->previous = NULL;
    }
    swap_free(swap);
}

static void swap_done(void *arg)
{
    struct swap *swap = arg;
    struct loop_message *last = swap->swapped;
    struct log_line line;

    if (atomic_fetch_sub_explicit(&swap->left, 1, memory_order_acq_rel) != 1)
        return;
    log_begin(&line, swap->gate->env, SEV_LOG, "reloaded");
    log_int(&line, "generation", swap->generation);
    log_end(&line);
    swap->swapped = NULL;
    loop_send(swap->gate->loop, last);
}

/* Everything a swap needs, so that nothing can fail half way. NULL when memory ran out. */
static struct swap *swap_new(struct gate *g, struct snapshot *next, bool restored)
{
    struct swap *swap = calloc(1, sizeof *swap + g->n_workers * sizeof swap->orders[0]);

    if (!swap)
        return NULL;
    swap->gate = g;
    swap->left = g->n_workers;
    swap->restored = restored;
    swap->swapped = loop_message_new(swapped, swap);
    bool whole = swap->swapped != NULL;
    for (unsigned i = 0; whole && i < g->n_workers; i++) {
        swap->orders[i] = worker_order_new(g->workers[i], next, swap_done, swap);
        whole = swap->orders[i] != NULL;
    }
    if (whole)
        return swap;
    swap_free(swap);
    return NULL;
}

/* next: a reference, taken. False: out of memory, what is in force stays, and that is logged. */
static bool install(struct gate *g, struct snapshot *next, bool restored)
{
    struct swap *swap = swap_new(g, next, restored);

    if (!swap) {
        snapshot_unref(next);
        gate_log(g->env, SEV_ERROR, "reload_failed", "out of memory; the configuration in force stays");
        return false;
    }
    swap->generation = ++g->generation;
    snapshot_unref(g->previous);
    g->previous = g->snapshot;
    g->snapshot = next;
    gate_set_log(g, snapshot_settings(next));
    in_force_leave_rules(g);
    role_check_follow(g);
    if (!clients_set_limit(g->shared.clients, (size_t)snapshot_settings(next)->clients_limit))
        gate_log(g->env, SEV_WARNING, "reload_incomplete", "out of memory: clients_limit is unchanged");
    in_force_set_http_access(g);
    atomic_store(&g->shared.generation, snapshot_generation(next)); /* from here on workers wait for it */
    for (unsigned i = 0; i < g->n_workers; i++) {
        struct worker_order *order = swap->orders[i];
        swap->orders[i] = NULL;
        worker_order_send(order); /* with the last of them the swap is the workers' */
    }
    return true;
}

/* ---- reload ---- */

static const char *trigger_text(enum reload_trigger trigger)
{
    switch (trigger) {
    case RELOAD_START:
        return "loading configuration files";
    case RELOAD_SQL:
        return "pg_reload_conf(), reloading configuration files";
    case RELOAD_SIGNAL:
        return "received SIGHUP, reloading configuration files";
    case RELOAD_CERTIFICATES:
        return "certificate files have changed, reloading them";
    case RELOAD_FILES:
        return "configuration files have been replaced, reloading them";
    }
    return "";
}

static const char *trigger_word(enum reload_trigger trigger)
{
    switch (trigger) {
    case RELOAD_START:
        return "start";
    case RELOAD_SIGNAL:
        return "SIGHUP";
    case RELOAD_SQL:
        return "pg_reload_conf";
    case RELOAD_CERTIFICATES:
        return "certificates changed";
    case RELOAD_FILES:
        return "files replaced";
    }
    return "";
}

static struct history_row *remember(struct gate *g, enum reload_trigger trigger, const char *result)
{
    return in_force_remember(g, trigger_word(trigger), result);
}

static bool is_order(enum reload_trigger trigger)
{
    return trigger == RELOAD_SIGNAL || trigger == RELOAD_SQL;
}

/* Two files cannot be replaced in one step: give whoever does it the time for the second one. */
static bool wait_for_key(struct gate *g, enum code code, enum reload_trigger trigger)
{
    if (code != E_KEY_FIT || is_order(trigger))
        return false;
    gate_log(g->env, SEV_INFO, "reload_waits", "the key does not match the certificate yet");
    if (!g->key_waits)
        timer_set(g->key_timer, KEY_ALARM_MS);
    g->key_waits = true;
    g->key_trigger = trigger;
    return true;
}

static void stop_waiting(struct gate *g)
{
    timer_stop(g->key_timer);
    g->key_waits = false;
}

/* The first complaint, for those who asked and for those who ask later. */
static void tell_refusal(const struct diags *diags, struct history_row *row, struct err *note)
{
    const struct diag *diag = diags_first_error(diags);

    err_set(note, E_CONFIG, "configuration was not reloaded; the one in force stays");
    if (!diag)
        return;
    (void)snprintf(row->file, sizeof row->file, "%.*s", STR_ARG(diag->file));
    (void)snprintf(row->error, sizeof row->error, "%.*s", STR_ARG(diag->message));
    row->line = diag->line;
    if (diag->line > 0)
        err_detail(note, "%.*s:%u: %.*s", STR_ARG(diag->file), diag->line, STR_ARG(diag->message));
    else
        err_detail(note, "%.*s", STR_ARG(diag->message));
}

static void refuse(struct gate *g, const struct diags *diags, enum reload_trigger trigger, struct err *note)
{
    tell_refusal(diags, remember(g, trigger, "refused"), note);
    gate_log_diags(g->env, diags, "reload_error");
    gate_log(g->env, SEV_ERROR, "reload_failed", "configuration was not reloaded; the one in force stays");
}

static void load_and_install(struct gate *g, enum reload_trigger trigger, bool last_word, struct err *note)
{
    AUTO(arena) struct arena arena;
    struct snapshot *next = NULL;
    struct diags diags;

    arena_init(&arena, DIAGS_ARENA_MAX, 1024);
    diags_init(&diags, &arena);
    watch_mark(g->watch);
    enum code code = in_force_load(g, trigger == RELOAD_CERTIFICATES, &next, &diags);
    bool waits = !last_word && wait_for_key(g, code, trigger);
    if (!waits) {
        stop_waiting(g);
        gate_log(g->env, SEV_LOG, "reload", trigger_text(trigger));
    }
    if (code != OK) {
        if (!waits)
            refuse(g, &diags, trigger, note);
        watch_follow(g->watch, g->snapshot);
        return;
    }
    settings_log_changes(snapshot_settings(g->snapshot), snapshot_settings(next), &diags);
    gate_log_diags(g->env, &diags, "reload_note");
    if (install(g, next, false)) {
        (void)remember(g, trigger, "loaded");
        err_set(note, OK, "configuration reloaded, generation %u", g->generation);
    } else {
        struct history_row *row = remember(g, trigger, "refused");
        (void)snprintf(row->error, sizeof row->error, "out of memory");
        err_set(note, E_NOMEM, "configuration was not reloaded; the one in force stays");
    }
    watch_follow(g->watch, g->snapshot);
    if (trigger != RELOAD_CERTIFICATES)
        watch_mark(g->watch); /* there may be other files now */
}

/* note: the result, for a client; NULL: nobody asks. */
static void attempt(struct gate *g, enum reload_trigger trigger, bool last_word, struct err *note)
{
    atomic_store(&g->shared.loading, true);
    load_and_install(g, trigger, last_word, note);
    atomic_store(&g->shared.loading, false);
    for (unsigned i = 0; i < g->n_workers; i++)
        worker_loaded(g->workers[i]);
}

void reload_signalled(void *gate)
{
    struct gate *g = gate;

    atomic_store(&g->shared.loading, true); /* before the signal is seen by nobody any more */
    pending_watch_take(g->hangup);
    if (!g->draining && !gate_is_over(g))
        attempt(g, RELOAD_SIGNAL, false, NULL);
    atomic_store(&g->shared.loading, false);
}

/* Load, and let all workers take it; or say why not. */
static void reload_begin(struct gate *g, enum reload_trigger trigger)
{
    attempt(g, trigger, false, NULL);
}

void reload_asked(struct gate *g, struct err *note)
{
    if (g->draining)
        err_set(note, E_SHUTDOWN, "the gate is shutting down; the configuration was not reloaded");
    else
        attempt(g, RELOAD_SQL, false, note);
}

static void on_key_timer(void *arg)
{
    struct gate *g = arg;

    if (!g->draining)
        attempt(g, g->key_trigger, true, NULL);
}

static void on_change(void *arg, enum watch_change change)
{
    struct gate *g = arg;

    if (!g->draining)
        reload_begin(g, change == WATCH_EVERYTHING ? RELOAD_FILES : RELOAD_CERTIFICATES);
}

/* ---- dates ---- */

static void on_inspect(void *arg)
{
    AUTO(arena) struct arena arena;
    struct gate *g = arg;
    struct diags diags;

    arena_init(&arena, DIAGS_ARENA_MAX, 1024);
    diags_init(&diags, &arena);
    snapshot_inspect(g->snapshot, g->env, &diags);
    gate_log_diags(g->env, &diags, "certificate_note");
    timer_set(g->cert_check_timer, INSPECT_MS);
}

enum code reload_start(struct gate *g)
{
    g->watch = watch_new(g->loop, on_change, g);
    g->key_timer = timer_new(g->loop, on_key_timer, g);
    g->cert_check_timer = timer_new(g->loop, on_inspect, g);
    if (!g->watch || !g->key_timer || !g->cert_check_timer)
        return E_NOMEM;
    watch_follow(g->watch, g->snapshot);
    watch_mark(g->watch);
    timer_set(g->cert_check_timer, INSPECT_MS);
    return OK;
}

void reload_stop(struct gate *g)
{
    watch_free(g->watch);
    timer_close(g->key_timer);
    timer_close(g->cert_check_timer);
    snapshot_unref(g->previous);
    g->previous = NULL;
}
