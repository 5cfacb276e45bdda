/* The steps of a renewal, whatever is renewed. */
#include "renew/walk.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"

#include <stdio.h>

enum { JOURNAL_LIMIT = 4 << 20 };

static void walk_auto(struct walk *w)
{
    w->kind->fini(w);
    cert_list_fini(&w->old);
}

/* ---- the journal ---- */

static enum code walk_note(struct walk *w, enum renew_event event, const char *generation, const char *words,
                           struct err *e)
{
    struct renew_line line = { w->rule->name, event, generation, words };

    return renew_journal_add(w->journal, &line, w->params->env, e);
}

enum code walk_enter(struct walk *w, enum renew_event step, const char *generation, const char *words,
                     struct err *e)
{
    w->step = step;
    return w->params->dry_run ? OK : walk_note(w, step, generation, words, e);
}

static enum code read_past(struct walk *w, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(JOURNAL_LIMIT);

    TRY(os_path(w->target->work, "journal", w->journal, e));
    TRY(renew_journal_load(w->journal, &text, e));
    return renew_journal_read(buf_str(&text), w->rule->name, w->arena, &w->past, e);
}

/* ---- the exchange, and what follows ---- */

enum code walk_generations(struct walk *w, struct err *e)
{
    int64_t now = env_now_s(w->params->env);
    char first[RENEW_GENERATION_MAX];

    TRY(swap_name(&w->swap, now, first, e));
    TRY(swap_adopt(&w->swap, first, w->before, e));
    return swap_name(&w->swap, now, w->next, e);
}

/* Bring the target to use what is in force on the disk. */
static enum code bring_into_force(struct walk *w, struct err *e)
{
    bool reloads = w->runs && !w->unused;
    TRY(walk_enter(w, RENEW_RELOAD, NULL,
                   reloads     ? NULL
                   : w->unused ? "the target does not read it"
                               : "it is not running",
                   e));
    if (reloads) {
        TRY(renew_target_reload(w->target, e));
        w->loaded = true;
    }
    if (!w->verifies)
        return OK;
    TRY(walk_enter(w, RENEW_VERIFY, NULL, NULL, e));
    return w->kind->verify(w, e);
}

static enum code walk_finish(struct walk *w, const char *generation, struct err *e)
{
    struct err ignored;

    w->step = RENEW_DONE;
    TRY(w->kind->load(w, e));
    TRY(w->kind->finish(w, e));
    TRY(walk_note(w, RENEW_DONE, generation, w->report->sha256, e));
    (void)!swap_sweep(&w->swap, NULL, &ignored); /* what is left over is swept by the next renewal */
    return OK;
}

static enum code exchange(struct walk *w, struct err *e)
{
    TRY(walk_enter(w, RENEW_SWAP, w->next, w->before, e));
    TRY(swap_set(&w->swap, w->next, e));
    TRY(bring_into_force(w, e));
    return walk_finish(w, w->next, e);
}

/* The files of this generation again, and used again. */
static enum code put_back(struct walk *w, const char *generation, struct err *e)
{
    enum renew_event failed_in = w->step;

    TRY(swap_set(&w->swap, generation, e));
    enum code reloaded = w->runs && !w->unused ? renew_target_reload(w->target, e) : OK;
    TRY(w->kind->verify_back(w, reloaded, e));
    w->step = failed_in;
    TRY(walk_note(w, RENEW_BACK, generation, NULL, e));
    return swap_sweep(&w->swap, NULL, e);
}

static void walk_fail(struct walk *w, const struct err *why, bool exchanged)
{
    char words[sizeof why->message + 32];
    struct err e = *why, ignored;

    (void)snprintf(words, sizeof words, "%s: %s", renew_event_name(w->step), err_text(why));
    w->report->outcome = RENEW_KEPT;
    w->report->step = w->step;
    w->report->why = *why;
    if (w->params->dry_run)
        return;
    (void)!walk_note(w, RENEW_FAILED, NULL, words, &ignored);
    if (exchanged && put_back(w, w->before, &e) != OK) {
        w->report->outcome = RENEW_UNSETTLED;
        (void)snprintf(words, sizeof words, "%s", err_text(&e));
        e = *why;
        err_detail(&e, "The old files could not be restored: %s", words);
    }
    if (!exchanged)
        (void)!swap_sweep(&w->swap, NULL, &ignored);
    if (w->report->outcome == RENEW_UNSETTLED)
        w->report->why = e;
}

/* ---- a run that was killed ---- */

/* The files may be the old ones or the new ones; the target may use either. */
static enum code recover(struct walk *w, struct err *e)
{
    char live[RENEW_GENERATION_MAX];

    TRY(swap_live(&w->swap, live, e));
    if (!str_to_c(w->past.before, w->before, sizeof w->before))
        return err_set(e, E_CONFIG, "the journal names no generation to go back to");
    bool exchanged = str_is(w->past.open, live);
    TRY(w->kind->load(w, e));
    enum code code = bring_into_force(w, e);
    if (code == OK && exchanged) {
        w->report->outcome = RENEW_FINISHED;
        return walk_finish(w, live, e);
    }
    if (code == OK) { /* it was killed before the exchange, or while it went back */
        TRY(walk_note(w, RENEW_BACK, live, NULL, e));
        w->past.open = STR("");
        return swap_sweep(&w->swap, NULL, e);
    }
    struct err why = *e;
    walk_fail(w, &why, exchanged);
    return code;
}

/* ---- all of it ---- */

static enum code look_around(struct walk *w, struct err *e)
{
    w->step = RENEW_BEGIN;
    w->runs = renew_target_runs(w->target);
    return w->kind->look_around(w, e);
}

static enum code go(struct walk *w, bool *out_exchanged, struct err *e)
{
    TRY(walk_note(w, RENEW_BEGIN, NULL, w->params->force ? "forced" : NULL, e));
    TRY(w->kind->prepare(w, e));
    *out_exchanged = true;
    return exchange(w, e);
}

/* `out`: there is nothing more to do. */
static enum code walk_settle(struct walk *w, bool *out, struct err *e)
{
    struct renew_report *report = w->report;

    *out = true;
    TRY(w->kind->judge(w, e));
    bool forced = w->params->force && w->kind->may_be_forced;
    if (!report->due.due && !forced) {
        report->outcome = RENEW_NOT_DUE;
        return OK;
    }
    if (report->due.waits && !forced) {
        report->outcome = RENEW_WAITING;
        report->step = w->past.step;
        (void)err_set(&report->why, E_UNAVAILABLE, "%.*s", STR_ARG(w->past.why));
        return OK;
    }
    report->outcome = RENEW_WOULD;
    *out = w->params->dry_run;
    return w->params->dry_run && w->kind->rehearse ? w->kind->rehearse(w, e) : OK;
}

static void walk(struct walk *w)
{
    bool exchanged = false, settled = false;
    struct err e = { 0 };

    w->step = RENEW_BEGIN;
    enum code code = w->kind->find_files(w, &e);
    if (code == OK)
        code = read_past(w, &e);
    if (code == OK && w->past.open.n > 0 && !w->params->dry_run) {
        code = look_around(w, &e);
        if (code == OK)
            code = recover(w, &e);
        if (w->report->why.code != OK || w->report->outcome == RENEW_FINISHED)
            return; /* it has told */
    }
    if (code == OK)
        code = w->kind->load(w, &e);
    if (code == OK)
        code = walk_settle(w, &settled, &e);
    if (code == OK && settled)
        return;
    if (code == OK)
        code = look_around(w, &e);
    if (code == OK)
        code = go(w, &exchanged, &e);
    if (code != OK)
        walk_fail(w, &e, exchanged);
    else
        w->report->outcome = RENEW_RENEWED;
}

void renew_walk(const struct walk_kind *kind, const struct renew_params *params,
                const struct renew_rule *rule, struct arena *arena, struct renew_report *out)
{
    AUTO(walk)
    struct walk w = {
        .kind = kind, .params = params, .rule = rule, .target = params->target, .arena = arena, .report = out
    };

    *out = (struct renew_report){ .name = rule->name, .source = rule->source };
    walk(&w);
}
