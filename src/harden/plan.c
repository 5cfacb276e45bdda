/*
 * From findings to edits, until nothing is left to edit.
 *
 * A round looks at what is found in the texts as they are by now, notes edits, makes them from the last line to the
 * first (so that numbers of lines stay true), and has the result audited again. So an edit that brings up something
 * new, such as a rule that the one before it now takes the connections of, is followed by the next.
 */
#include "harden/plan.h"

#include "audit/collect_gate.h"
#include "audit/collect_server.h"
#include "audit/regular_file.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "harden/fix_rules.h"
#include "harden/fix_settings.h"
#include "harden/managed.h"
#include "harden/planning.h"
#include "os/files.h"
#include "policy/reach.h"

#include <stdlib.h>
#include <sys/stat.h>

#define CONF_D_NAME "99-pgseal.conf"
enum { ROUNDS_MAX = 32 };

static enum code plan_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- one look ---- */

static enum code collect(const struct harden_wish *wish, const struct regular_file_drafts *drafts,
                         struct collected *out, struct err *e)
{
    const struct collect_source source = { wish->target, wish->now_unix_s, drafts };
    char conf[OS_PATH_MAX];

    TRY(os_path(wish->target, "pgseal.conf", conf, e));
    if (os_exists(conf))
        TRY(collect_gate(&source, wish->arena, out, e));
    else
        TRY(collect_server(&source, wish->arena, out, e));
    if (out->subject.kind == SUBJECT_SERVER) {
        out->subject.roles = wish->roles;
        out->subject.n_roles = wish->n_roles;
    }
    return OK;
}

static enum code look(const struct harden_wish *wish, const struct harden_plan *plan, struct collected *out,
                      struct audit_report *report, struct err *e)
{
    struct regular_file_draft *items = arena_array(wish->arena, plan->n_texts, sizeof *items);
    struct regular_file_drafts drafts = { items, 0 };

    if (!items)
        return plan_nomem(e);
    for (size_t i = 0; i < plan->n_texts; i++) {
        AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT);
        if (!plan->texts[i]->changed)
            continue;
        harden_text_after(plan->texts[i], &text);
        items[drafts.n].path = plan->texts[i]->path;
        if (!buf_ok(&text) || !arena_str(wish->arena, buf_str(&text), &items[drafts.n].text))
            return plan_nomem(e);
        drafts.n++;
    }
    TRY(collect(wish, &drafts, out, e));
    enum code code = audit_run(&out->subject, PROFILE_DEFAULT, wish->arena, report);
    return code == OK ? OK : plan_nomem(e);
}

static enum code refuse_broken(const struct audit_subject *s, struct err *e)
{
    bool settings = s->n_broken_settings > 0;
    const struct subject_broken *b = settings ? &s->broken_settings[0] : &s->broken_rules[0];

    if (s->n_broken_settings == 0 && s->n_broken_rules == 0) {
        if (s->policy)
            return OK;
        const struct subject_unseen *u = s->n_unseen > 0 ? &s->unseen[0] : NULL;
        if (!u)
            return err_set(e, E_CONFIG, "the rules could not be read");
        return err_set(e, E_ACCESS, "\"%.*s\" could not be read: %.*s", STR_ARG(u->what), STR_ARG(u->why));
    }
    (void)err_set(e, E_CONFIG, "%.*s", STR_ARG(b->error));
    err_where(e, b->file, b->line);
    err_hint(e, "A server refuses the %s as they are: correct them first.", settings ? "settings" : "rules");
    return E_CONFIG;
}

/* ---- a round ---- */

static bool keep_left(struct planning *p, const struct finding *f, struct str why)
{
    struct harden_plan *plan = p->plan;

    plan->left[plan->n_left++] = (struct harden_left){ f, why };
    return true;
}

/* Whoever has no edit says why. */
static void fix_one(struct planning *p, const struct finding *f)
{
    struct fix fix = { false, STR("") };
    size_t n = p->n_edits;

    p->finding = f;
    if (!fix_settings(p, f, &fix) && !fix_rules(p, f, &fix))
        fix.why = f->fix;
    if (p->n_edits == n && fix.why.n > 0)
        keep_left(p, f, fix.why);
}

/* A rule asks for a better password before it is made two, one of them for this machine: both have the method then. */
static bool comes_first(enum check check)
{
    return check == CHECK_MD5_METHOD || check == CHECK_PASSWORD_METHOD;
}

static void fix_all(struct planning *p, bool first)
{
    const struct audit_report *report = &p->plan->is;

    for (size_t i = 0; i < report->findings.n && !p->nomem; i++) {
        const struct finding *f = &report->findings.items[i];
        if (comes_first(f->check) == first && planning_wants(p, f->check, f->severity))
            fix_one(p, f);
    }
}

/* As the findings come: the worst first. */
static int by_finding(const void *a, const void *b)
{
    const struct harden_left *x = a, *y = b;

    return (x->finding > y->finding) - (x->finding < y->finding);
}

static enum code round_of(struct planning *p, struct err *e)
{
    const struct audit_report *report = &p->plan->is;

    p->subject = &p->plan->after.subject;
    p->n_edits = 0;
    p->plan->n_left = 0;
    p->plan->left = arena_array(p->wish->arena, report->findings.n, sizeof *p->plan->left);
    p->search = p->subject->policy ? reach_search_new(p->subject->policy, p->subject->ifaces, p->wish->arena)
                                   : NULL;
    if (!p->plan->left || (p->subject->policy && !p->search))
        return plan_nomem(e);
    fix_names(p);
    fix_all(p, true);
    fix_all(p, false);
    if (p->plan->n_left > 1)
        qsort(p->plan->left, p->plan->n_left, sizeof *p->plan->left, by_finding);
    planning_finish(p);
    return p->nomem ? plan_nomem(e) : OK;
}

/* ---- all of it ---- */

/* postgresql.auto.conf, and the file of our own in a directory that is included. */
static enum code find_files(const struct harden_wish *wish, struct harden_plan *plan, struct err *e)
{
    const struct audit_subject *s = &plan->before.subject;
    struct str path;

    if (s->kind != SUBJECT_SERVER)
        return OK;
    if (s->owner_seen) { /* there is a data directory */
        if (!arena_printf(wish->arena, &path, "%.*s/postgresql.auto.conf", STR_ARG(s->dir)))
            return plan_nomem(e);
        plan->auto_file = path.p;
    }
    for (size_t i = 0; i < s->n_files && wish->way == HARDEN_CONF_D && !plan->conf_d_file; i++) {
        char c[OS_PATH_MAX];
        struct stat st;
        if (!str_to_c(s->files[i], c, sizeof c) || stat(c, &st) != 0 || !S_ISDIR(st.st_mode))
            continue;
        if (!arena_printf(wish->arena, &path, "%s/" CONF_D_NAME, c))
            return plan_nomem(e);
        plan->conf_d_file = path.p;
    }
    if (wish->way == HARDEN_CONF_D && !plan->conf_d_file)
        return err_set(e, E_PARAM, "the settings include no directory: there is no include_dir");
    return OK;
}

static enum code make(struct planning *p, struct err *e)
{
    struct harden_plan *plan = p->plan;
    const char *program;

    TRY(look(p->wish, plan, &plan->before, &plan->was, e));
    TRY(managed_check(&plan->before.subject, &program, e));
    plan->managed_by = str_c(program);
    TRY(refuse_broken(&plan->before.subject, e));
    TRY(find_files(p->wish, plan, e));
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        collected_fini(&plan->after);
        TRY(look(p->wish, plan, &plan->after, &plan->is, e));
        if (plan->after.subject.n_broken_settings + plan->after.subject.n_broken_rules > 0)
            return err_set(e, E_INTERNAL, "the proposed files would not load");
        TRY(round_of(p, e));
        if (p->n_edits == 0)
            return OK;
    }
    return err_set(e, E_INTERNAL, "the edits do not converge");
}

enum code harden_plan_make(const struct harden_wish *wish, struct harden_plan *out, struct err *e)
{
    struct harden_plan plan = { .n_texts = 0 };
    struct planning p = { .wish = wish, .plan = &plan };

    enum code code = make(&p, e);
    if (code != OK) {
        harden_plan_fini(&plan);
        return code;
    }
    *out = plan;
    /* Reports point at their subjects, which have moved. */
    out->was.subject = &out->before.subject;
    out->is.subject = &out->after.subject;
    return OK;
}

void harden_plan_fini(struct harden_plan *plan)
{
    collected_fini(&plan->before);
    collected_fini(&plan->after);
}

bool harden_plan_changes(const struct harden_plan *plan)
{
    for (size_t i = 0; i < plan->n_texts; i++)
        if (plan->texts[i]->changed)
            return true;
    return false;
}
