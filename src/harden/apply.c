#include "harden/apply.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "renew/target.h"

#include <sys/stat.h>
#include <unistd.h>

enum { NEW_FILE_MODE = 0600 };

/* ---- hooks ---- */

static enum code job_check(void *ctx, struct err *e)
{
    const struct harden_job *job = ctx;

    return job->server && job->seen ? harden_server_check(job->server, job->seen, false, e) : OK;
}

/* A gate that does not run takes the files at its next start. */
static enum code reload_gate_of(const struct harden_job *job, struct err *e)
{
    const struct renew_where where = { job->target->dir, NULL, true };
    AUTO(renew_target) struct renew_target target = { 0 };

    TRY(renew_target_open(&where, job->arena, &target, e));
    return renew_target_runs(&target) ? renew_target_reload(&target, e) : OK;
}

/* What was killed in the middle may be put back while no server runs. */
static enum code job_reload(void *ctx, struct err *e)
{
    const struct harden_job *job = ctx;

    if (job->target->is_gate)
        return reload_gate_of(job, e);
    if (job->server && job->seen)
        return harden_server_reload(job->server, e);
    return harden_server_signal(job->target->pid, e);
}

/* Also where the new rules let nobody in who could ask for it. */
static enum code job_reload_back(void *ctx, struct err *e)
{
    const struct harden_job *job = ctx;
    struct err ignored;

    if (job->target->is_gate)
        return reload_gate_of(job, e);
    if (job->server && harden_server_reload(job->server, &ignored) == OK)
        return OK;
    TRY(harden_server_signal(job->target->pid, e));
    if (job->server)
        harden_server_await(job->server);
    return OK;
}

static bool gate_runs(const struct harden_job *job)
{
    const struct renew_where where = { job->target->dir, NULL, true };
    AUTO(renew_target) struct renew_target target = { 0 };
    struct err ignored;

    return renew_target_open(&where, job->arena, &target, &ignored) == OK && renew_target_runs(&target);
}

static enum code job_prove(void *ctx, struct err *e)
{
    struct harden_job *job = ctx;
    const struct prove_params params = { job->plan, job->target, job->names, job->env, job->arena };

    if (!job->plan || (job->target->is_gate && !gate_runs(job)))
        return OK;
    if (job->server && job->seen)
        TRY(harden_server_check(job->server, job->seen, true, e));
    return harden_prove(&params, &job->proofs, e);
}

/* ---- the change ---- */

enum code harden_job_open(struct harden_job *job, bool force, struct change **out,
                          struct change_report *report, struct err *e)
{
    struct change_params params = { .state = job->target->state,
                                    .env = job->env,
                                    .hooks = { .check = job_check,
                                               .reload = job_reload,
                                               .prove = job_prove,
                                               .reload_back = job_reload_back,
                                               .ctx = job },
                                    .force = force };
    struct stat st;

    if (stat(job->target->dir, &st) != 0)
        return err_set(e, E_ACCESS, "could not access \"%s\": %m", job->target->dir);
    params.uid = st.st_uid;
    if (geteuid() != st.st_uid) {
        (void)err_set(e, E_ACCESS, "the files of \"%s\" belong to another account", job->target->dir);
        err_hint(e, "Run it as root, or as the owner of the directory.");
        return E_ACCESS;
    }
    return change_open(&params, out, report, e);
}

/* A new file is as readable as the one that includes it. */
static mode_t mode_beside(const struct harden_plan *plan)
{
    const struct audit_subject *s = &plan->before.subject;
    struct stat st;

    return s->n_files > 0 && stat(s->files[0].p, &st) == 0 ? st.st_mode & 0644 : NEW_FILE_MODE;
}

static enum code file_of(const struct harden_job *job, const struct harden_text *text,
                         struct change_file *out)
{
    AUTO(buf) struct buf before = BUF_INIT(OS_FILE_LIMIT), after = BUF_INIT(OS_FILE_LIMIT);
    struct str old, new;

    harden_text_before(text, &before);
    harden_text_after(text, &after);
    const char *path = arena_c(job->arena, text->path);
    if (!path || !buf_ok(&before) || !buf_ok(&after) || !arena_str(job->arena, buf_str(&before), &old) ||
        !arena_str(job->arena, buf_str(&after), &new))
        return E_NOMEM;
    *out = (struct change_file){ .path = path,
                                 .existed = !text->is_new,
                                 .stays = true,
                                 .before = str_bytes(old),
                                 .after = str_bytes(new),
                                 .mode = mode_beside(job->plan) };
    return OK;
}

enum code harden_job_apply(const struct harden_job *job, struct change *change, struct change_report *report,
                           struct err *e)
{
    struct change_file files[HARDEN_TEXTS_MAX];
    size_t n = 0;

    *report = (struct change_report){ .end = CHANGE_UNTOUCHED };
    for (size_t i = 0; i < job->plan->n_texts; i++)
        if (job->plan->texts[i]->changed && file_of(job, job->plan->texts[i], &files[n++]) != OK)
            return err_set(e, E_NOMEM, "out of memory");
    return change_apply(change, files, n, report, e);
}
