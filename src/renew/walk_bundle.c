/*
 * The renewal of a file of roots: what the operator fetched becomes what upstreams are verified with, once all of
 * them are verified by it.
 */
#include "renew/walk_bundle.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "pki/certfile.h"
#include "pki/trust.h"
#include "renew/bundle.h"
#include "renew/servers.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAST_LIMIT = 1 << 20, ROOTS_LIMIT = 8 << 20 };

struct bundle_work {
    struct cert_list fetched;
    struct bundle_plan plan;
    bool planned;
    struct renew_servers servers;
    struct buf text; /* the new file */
    char past_path[OS_PATH_MAX];
};

static void bundle_fini(struct walk *w)
{
    if (!w->bundle)
        return;
    cert_list_fini(&w->bundle->fetched);
    bundle_plan_fini(&w->bundle->plan);
    buf_fini(&w->bundle->text);
}

/* ---- what there is ---- */

static enum code bundle_find_files(struct walk *w, struct err *e)
{
    char path[OS_PATH_MAX], name[OS_PATH_MAX];

    w->bundle = ARENA_NEW(w->arena, struct bundle_work);
    if (!w->bundle)
        return err_set(e, E_NOMEM, "out of memory");
    w->bundle->text = BUF_INIT(ROOTS_LIMIT);
    (void)snprintf(name, sizeof name, "roots-%.*s", STR_ARG(w->rule->name));
    TRY(os_path(w->target->work, name, w->bundle->past_path, e));
    TRY(os_path(w->target->dir, w->rule->v[RENEW_SET_ROOTS_FILE].p, path, e));
    return swap_at_file(path, w->rule->name, &w->swap, e);
}

static enum code note_sha256(struct walk *w, const struct buf *text, struct err *e)
{
    uint8_t sha256[CERT_SHA256_SIZE];

    if (EVP_Digest(text->p, text->n, sha256, NULL, EVP_sha256(), NULL) != 1)
        return err_set(e, E_INTERNAL, "could not compute a fingerprint");
    cert_sha256_text(sha256, w->report->sha256);
    return OK;
}

/* The roots in use; none where the file is not there yet. */
static enum code bundle_load(struct walk *w, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT);
    AUTO(trust) struct trust trust = { 0 };
    struct renew_report *report = w->report;
    int64_t from, to;

    cert_list_fini(&w->old);
    report->not_after_unix_s = 0;
    if (!os_exists(w->swap.cert_path))
        return OK;
    TRY(os_read_file(w->swap.cert_path, &text, e));
    if (text.n == 0)
        return OK;
    TRY(note_sha256(w, &text, e));
    TRY(trust_from_pem(buf_bytes(&text), w->swap.cert_path, &trust, e));
    if (trust.crls.n > 0) {
        (void)err_set(e, E_CONFIG, "file \"%s\" contains revocation lists, too", w->swap.cert_path);
        err_hint(e, "Move them to a separate file, and set sslcrl to it.");
        return E_CONFIG;
    }
    for (size_t i = 0; i < trust.certs.n; i++) {
        if (cert_list_add(&w->old, trust.certs.items[i]) != OK)
            return err_set(e, E_NOMEM, "out of memory");
        TRY(cert_times(trust.certs.items[i], &from, &to, e));
        if (report->not_after_unix_s == 0 || to < report->not_after_unix_s)
            report->not_after_unix_s = to;
    }
    return OK;
}

static enum code read_past(struct walk *w, struct bundle_past *out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(PAST_LIMIT);

    if (os_exists(w->bundle->past_path))
        TRY(os_read_file(w->bundle->past_path, &text, e));
    return bundle_past_parse(buf_str(&text), w->arena, out, e);
}

static enum code write_past(struct walk *w, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(PAST_LIMIT);

    bundle_past_write(&w->bundle->plan.past, &text);
    if (text.n == 0 && !os_exists(w->bundle->past_path))
        return OK;
    return os_write_file(w->bundle->past_path, buf_bytes(&text), 0600, OS_WRITE_REPLACE, e);
}

/* ---- what is to be ---- */

static enum code read_fetched(struct walk *w, struct err *e)
{
    struct str rest = w->rule->v[RENEW_SET_BUNDLE], part;
    char path[OS_PATH_MAX];

    while (str_split(&rest, ',', &part)) {
        const char *name = arena_c(w->arena, str_trim(part));
        if (!name)
            return err_set(e, E_NOMEM, "out of memory");
        TRY(os_path(w->target->dir, name, path, e));
        if (strcmp(path, w->swap.cert_path) == 0)
            return err_set(e, E_CONFIG, "file \"%s\" is both %.*s.bundle and %.*s.roots_file", path,
                           STR_ARG(w->rule->name), STR_ARG(w->rule->name));
        TRY(certfile_load(path, &w->bundle->fetched, e));
    }
    return OK;
}

static enum code bundle_judge(struct walk *w, struct err *e)
{
    struct bundle_past past;
    struct bundle_work *work = w->bundle;
    struct bundle_plan *plan = &work->plan;

    w->step = RENEW_READ;
    TRY(read_past(w, &past, e));
    TRY(read_fetched(w, e));
    const struct bundle_facts facts = { .fetched = &work->fetched,
                                        .running = &w->old,
                                        .past = &past,
                                        .keep_days = w->rule->keep_days,
                                        .now_unix_s = env_now_s(w->params->env) };
    TRY(bundle_plan_make(&facts, w->arena, plan, e));
    work->planned = true;
    w->report->changes = plan->changes;
    w->report->n_changes = plan->n;
    w->report->due.due = plan->differs;
    w->report->due.renew_unix_s = plan->next_unix_s;
    for (size_t i = 0; i < plan->roots.n; i++)
        if (cert_to_pem(plan->roots.items[i], &work->text) != OK)
            return err_set(e, E_LIMIT, "the roots take more than %d bytes", ROOTS_LIMIT);
    /* From now on the days of a root that is kept are counted. */
    return plan->differs || w->params->dry_run ? OK : write_past(w, e);
}

/* ---- whom it is for ---- */

static enum code find_servers(struct walk *w, struct err *e)
{
    struct bundle_work *work = w->bundle;

    TRY(renew_servers_find(w->target, w->rule, w->swap.cert_path, w->arena, &work->servers, e));
    w->verifies = work->servers.n > 0;
    w->report->n_servers = work->servers.n;
    w->report->servers = work->servers.items;
    return OK;
}

/* They are asked before there is any new file: the roots lie in memory. */
static enum code check_servers(struct walk *w, struct err *e)
{
    struct bundle_work *work = w->bundle;
    int fd = memfd_create("roots", MFD_CLOEXEC);
    char path[64];

    if (fd < 0 || write(fd, work->text.p, work->text.n) != (ssize_t)work->text.n) {
        if (fd >= 0)
            (void)close(fd);
        return err_set(e, E_IO, "could not keep the roots in memory: %m");
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    enum code code = renew_servers_ask(&work->servers, w->target, path, !work->plan.loses, w->params->env, e);
    (void)close(fd);
    return code;
}

static enum code rehearse(struct walk *w, struct err *e)
{
    TRY(find_servers(w, e));
    w->step = RENEW_CHECK;
    return check_servers(w, e);
}

/* ---- the steps ---- */

static enum code bundle_prepare(struct walk *w, struct err *e)
{
    TRY(walk_enter(w, RENEW_CHECK, NULL, NULL, e));
    TRY(check_servers(w, e));
    TRY(walk_enter(w, RENEW_STAGE, NULL, NULL, e));
    /* The way back leads to a file without roots where there was none. */
    if (!os_exists(w->swap.cert_path))
        TRY(os_write_file(w->swap.cert_path, bytes_of(NULL, 0), 0644, OS_WRITE_NEW, e));
    TRY(walk_generations(w, e));
    return swap_stage_file(&w->swap, w->next, buf_bytes(&w->bundle->text), e);
}

static enum code bundle_verify(struct walk *w, struct err *e)
{
    bool silent_may_be = !w->bundle->planned || !w->bundle->plan.loses;

    return renew_servers_ask(&w->bundle->servers, w->target, w->swap.cert_path, silent_may_be, w->params->env,
                             e);
}

/* The servers may be such that neither set verifies them: what counts is that the target has the old roots. */
static enum code bundle_verify_back(struct walk *w, enum code reloaded, struct err *e)
{
    (void)e;
    return w->loaded ? reloaded : OK;
}

static enum code bundle_finish(struct walk *w, struct err *e)
{
    return w->bundle->planned ? write_past(w, e) : OK;
}

const struct walk_kind walk_bundle = {
    .find_files = bundle_find_files,
    .load = bundle_load,
    .judge = bundle_judge,
    .rehearse = rehearse,
    .look_around = find_servers,
    .prepare = bundle_prepare,
    .verify = bundle_verify,
    .verify_back = bundle_verify_back,
    .finish = bundle_finish,
    .fini = bundle_fini,
};
