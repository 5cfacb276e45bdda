/* The walk of a change, its way back, and what the next run makes of one that was killed. */
#include "harden/change.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "harden/change_files.h"
#include "harden/change_moves.h"
#include "os/hold.h"
#include "os/journal.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_LIMIT = 64 << 20, ARENA_FIRST = 4096, NUMBER_MAX = 999999999, WORDS_LIMIT = 2048 };

struct change {
    struct change_params params;
    struct os_lock lock;
    char private[OS_PATH_MAX];
    char changes[OS_PATH_MAX];
    char journal[OS_PATH_MAX];
    struct arena arena;
    struct change_rows rows;
    unsigned last; /* highest number that was ever given */
};

/* ---- errors ---- */

static void add_detail(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add_detail(struct err *e, const char *fmt, ...)
{
    AUTO(buf) struct buf text = BUF_INIT(2 * sizeof e->detail);
    va_list args;

    if (!e)
        return;
    if (e->detail[0])
        buf_printf(&text, "%s%s ", e->detail, e->detail[strlen(e->detail) - 1] == '.' ? "" : ".");
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    err_detail(e, "%s", buf_c(&text));
}

static const char *account(uid_t uid)
{
    const struct passwd *row = getpwuid(uid);

    return row ? row->pw_name : "its owner";
}

/* ---- the state directory ---- */

static enum code make_dir(const char *path, mode_t mode, const struct change_params *params, struct err *e)
{
    AUTO(os_place) struct os_place parent = OS_PLACE_INIT;

    TRY(os_place_find(path, params->uid, &parent, e));
    enum code code = os_mkdir(parent.path, mode, e);
    if (code != OK)
        err_hint(e, "Name a directory that %s can create, with --state DIR.", account(params->uid));
    return code == OK ? os_place_sync(&parent, e) : code;
}

/* The directory, made if need be; its path without links. */
static enum code get_dir(const char *path, mode_t mode, const struct change_params *params,
                         char out[OS_PATH_MAX], struct err *e)
{
    AUTO(os_place) struct os_place place = OS_PLACE_INIT;
    enum code code = os_place_dir(path, params->uid, &place, e);
    struct stat st;

    if (code == E_NO_FILE) {
        TRY(make_dir(path, mode, params, e));
        code = os_place_dir(path, params->uid, &place, e);
    }
    TRY(code);
    if (fstat(place.dir, &st) < 0)
        return err_set(e, E_IO, "could not access directory \"%s\": %m", path);
    if (mode == 0700 && (st.st_mode & 077 || st.st_uid != params->uid)) {
        (void)err_set(e, E_ACCESS, "directory \"%s\" must belong to %s and be accessible to nobody else",
                      place.path, account(params->uid));
        err_hint(e, "chown %s \"%s\" && chmod 0700 \"%s\"", account(params->uid), place.path, place.path);
        return E_ACCESS;
    }
    return str_to_c(str_c(place.path), out, OS_PATH_MAX) ? OK : err_set(e, E_LIMIT, "path name is too long");
}

static enum code get_dirs(struct change *c, struct err *e)
{
    char state[OS_PATH_MAX];

    TRY(get_dir(c->params.state, 0755, &c->params, state, e));
    TRY(os_path(state, "private", c->private, e));
    TRY(get_dir(c->private, 0700, &c->params, c->private, e));
    TRY(os_path(c->private, "changes", c->changes, e));
    TRY(get_dir(c->changes, 0700, &c->params, c->changes, e));
    return os_path(c->private, "journal", c->journal, e);
}

static enum code take_lock(struct change *c, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(c->private, "lock", path, e));
    enum code code = os_lock_take(path, getpid(), &c->lock, e);
    if (code == E_EXISTS && e)
        (void)snprintf(e->message, sizeof e->message, "another pgseal harden is running for \"%s\"",
                       c->params.state);
    return code;
}

/* Numbers of directories are numbers of changes, also where the journal has lost them. */
static bool number_of(const char *name, unsigned *out)
{
    uint32_t n;

    if (!str_to_u32(str_c(name), 1, NUMBER_MAX, &n))
        return false;
    *out = n;
    return true;
}

static enum code last_directory(const char *changes, unsigned *out, struct err *e)
{
    DIR *dir = opendir(changes);
    unsigned n;

    *out = 0;
    if (!dir && errno == ENOENT)
        return OK;
    if (!dir)
        return err_set(e, code_from_errno(errno), "could not open directory \"%s\": %m", changes);
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (number_of(entry->d_name, &n) && n > *out)
            *out = n;
    (void)closedir(dir);
    return OK;
}

static enum code read_journal(const char *path, struct arena *arena, struct change_rows *out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_JOURNAL_LIMIT);

    TRY(os_journal_load(path, &text, e));
    return change_rows_read(buf_str(&text), arena, out, e);
}

/* That the journal has; 0: none. */
static unsigned last_number(const struct change_rows *rows)
{
    return rows->rows && rows->n > 0 ? rows->rows[rows->n - 1].number : 0;
}

static enum code read_past(struct change *c, struct err *e)
{
    TRY(read_journal(c->journal, &c->arena, &c->rows, e));
    TRY(last_directory(c->changes, &c->last, e));
    if (last_number(&c->rows) > c->last)
        c->last = last_number(&c->rows);
    return OK;
}

static enum code note(struct change *c, unsigned number, enum change_step step, const char *words,
                      struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(WORDS_LIMIT);

    buf_printf(&text, "%s %u%s%s", change_step_name(step), number, words[0] ? " " : "", words);
    return buf_ok(&text) ? os_journal_add(c->journal, buf_str(&text), c->params.env, e)
                         : err_set(e, E_NOMEM, "out of memory");
}

/* ---- a walk ---- */

struct walk {
    struct change *c;
    struct change_set *set;
    unsigned number;
    enum change_step step;   /* the last that the journal has */
    enum change_step wanted; /* the last that was to be taken */
    char kind[32];           /* words of "begin" and "done" */
    struct os_hold hold;
};

static enum code enter(struct walk *w, enum change_step step, struct err *e)
{
    w->wanted = step;
    int signal = os_hold_signal(&w->hold);
    if (signal)
        return err_set(e, E_CANCELED, "interrupted by signal SIG%s", sigabbrev_np(signal));
    TRY(note(w->c, w->number, step, step == CHANGE_STEP_DONE ? w->kind : "", e));
    w->step = step;
    return OK;
}

static enum code call(const struct walk *w, enum code (*hook)(void *ctx, struct err *e), struct err *e)
{
    return hook ? hook(w->c->params.hooks.ctx, e) : OK;
}

static enum code reload_back(const struct change *c, struct err *e)
{
    const struct change_hooks *hooks = &c->params.hooks;
    enum code (*reload)(void *ctx, struct err *e) = hooks->reload_back ? hooks->reload_back : hooks->reload;

    return reload ? reload(hooks->ctx, e) : OK;
}

static enum code forward(struct walk *w, struct err *e)
{
    const struct change_hooks *hooks = &w->c->params.hooks;

    TRY(enter(w, CHANGE_STEP_BACKUP, e));
    TRY(change_set_backup(w->set, e));
    TRY(enter(w, CHANGE_STEP_STAGE, e));
    TRY(change_set_stage(w->set, e));
    TRY(enter(w, CHANGE_STEP_REPLACE, e));
    TRY(change_set_replace(w->set, e));
    TRY(enter(w, CHANGE_STEP_ALSO, e));
    change_set_expect_also(w->set);
    if (!w->set->undoes)
        TRY(call(w, hooks->also, e));
    TRY(change_set_take_also(w->set, e));
    TRY(enter(w, CHANGE_STEP_CHECK, e));
    TRY(call(w, hooks->check, e));
    TRY(enter(w, CHANGE_STEP_RELOAD, e));
    TRY(call(w, hooks->reload, e));
    TRY(enter(w, CHANGE_STEP_PROVE, e));
    TRY(call(w, hooks->prove, e));
    return enter(w, CHANGE_STEP_DONE, e);
}

/* The cause is in the journal, as far as the disk takes it: a failure to write there must not stop the way back. */
static void note_failure(const struct walk *w, const struct err *e)
{
    AUTO(buf) struct buf words = BUF_INIT(WORDS_LIMIT);

    buf_printf(&words, "%s: %s", change_step_name(w->wanted), e ? err_text(e) : "");
    (void)!note(w->c, w->number, CHANGE_STEP_FAILED, buf_c(&words), NULL);
}

/* `e` has the cause; what became of the files is added. */
static enum change_end back(const struct walk *w, struct err *e)
{
    const char *step = change_step_name(w->wanted);
    bool touched = w->step >= CHANGE_STEP_REPLACE;
    struct err why;
    bool any;

    note_failure(w, e);
    if (touched && change_set_restore(w->set, w->step, &any, &why) != OK) {
        add_detail(e, "The change failed at the step \"%s\", and not everything could be restored: %s. %s",
                   step, err_text(&why), why.detail);
        err_hint(e, "%s", why.hint[0] ? why.hint : "The next run of pgseal harden tries again.");
        return CHANGE_LOST;
    }
    if (touched && reload_back(w->c, &why) != OK) {
        add_detail(
            e,
            "The change failed at the step \"%s\". All files are as before, but the server has not read them "
            "again: %s.",
            step, err_text(&why));
        return CHANGE_BACK; /* it stays open, so that the next run tries again */
    }
    add_detail(e, "The change failed at the step \"%s\". %s", step,
               touched ? "All files are as before." : "No file was changed.");
    change_set_tidy(w->set);
    if (note(w->c, w->number, CHANGE_STEP_BACK, "", NULL) == OK)
        change_set_forget(w->set);
    return touched ? CHANGE_BACK : CHANGE_UNTOUCHED;
}

static enum code begin(struct walk *w, struct change_report *out, struct err *e)
{
    char name[16];

    if (w->c->last == NUMBER_MAX)
        return err_set(e, E_LIMIT, "too many changes");
    w->number = ++w->c->last;
    out->number = w->number;
    (void)snprintf(name, sizeof name, "%u", w->number);
    TRY(os_path(w->c->changes, name, w->set->dir, e));
    if (w->set->undoes)
        (void)snprintf(w->kind, sizeof w->kind, "undo %u", w->set->undoes);
    else
        (void)snprintf(w->kind, sizeof w->kind, "apply");
    return note(w->c, w->number, CHANGE_STEP_BEGIN, w->kind, e);
}

static enum code run(struct change *c, struct change_set *set, struct change_report *out, struct err *e)
{
    struct walk w = { .c = c, .set = set, .step = CHANGE_STEP_BEGIN };

    TRY(begin(&w, out, e));
    os_hold_begin(&w.hold);
    enum code code = forward(&w, e);
    if (code == OK) {
        out->end = CHANGE_DONE;
        change_set_tidy(set);
    } else {
        out->failed = w.wanted;
        out->end = back(&w, e);
    }
    os_hold_end(&w.hold);
    return code;
}

/* ---- what a killed run has left ---- */

static enum code set_of(struct change *c, unsigned number, struct change_set *set, struct err *e)
{
    char name[16];

    (void)snprintf(name, sizeof name, "%u", number);
    change_set_init(set, &c->arena);
    set->uid = c->params.uid;
    set->force = c->params.force;
    if (!set->items)
        return err_set(e, E_NOMEM, "out of memory");
    return os_path(c->changes, name, set->dir, e);
}

/* The set is initialised. */
static enum code put_set_back(struct change *c, struct change_set *set, enum change_step farthest,
                              bool *out_any, struct err *e)
{
    bool any = false;

    *out_any = farthest >= CHANGE_STEP_REPLACE;
    if (!change_set_has_manifest(set)) /* it had not begun to write */
        return OK;
    TRY(change_set_load(set, &c->arena, e));
    TRY(change_set_restore(set, farthest, &any, e));
    *out_any = *out_any || any;
    if (*out_any)
        TRY(reload_back(c, e));
    change_set_tidy(set);
    return OK;
}

static enum code put_back(struct change *c, unsigned number, enum change_step farthest,
                          struct change_report *out, struct err *e)
{
    AUTO(change_set) struct change_set set;
    struct os_hold hold;
    bool any;

    TRY(set_of(c, number, &set, e));
    os_hold_begin(&hold);
    enum code code = put_set_back(c, &set, farthest, &any, e);
    if (code == OK)
        code = note(c, number, CHANGE_STEP_BACK, "", e);
    if (code == OK)
        change_set_forget(&set);
    os_hold_end(&hold);
    if (code == OK) {
        *out = (struct change_report){ any ? CHANGE_BACK : CHANGE_UNTOUCHED, number, farthest };
        return OK;
    }
    add_detail(e, "An earlier run did not end; it had reached the step \"%s\".", change_step_name(farthest));
    if (e && !e->hint[0])
        err_hint(e, "To leave the files as they are now instead: rm -r \"%s\"", set.dir);
    return code;
}

/* What is beside the files of a change that was killed while it tidied up. */
static void tidy(struct change *c, const struct change_row *row)
{
    AUTO(change_set) struct change_set set;

    if (set_of(c, row->number, &set, NULL) != OK || change_set_load(&set, &c->arena, NULL) != OK)
        return;
    change_set_tidy(&set);
    if (row->step == CHANGE_STEP_BACK)
        change_set_forget(&set);
}

static enum code recover(struct change *c, struct change_report *out, struct err *e)
{
    unsigned known = last_number(&c->rows);

    for (unsigned n = c->last; n > known; n--)
        TRY(put_back(c, n, CHANGE_STEP_BEGIN, out, e));
    for (size_t i = c->rows.n; i-- > 0;) {
        const struct change_row *row = &c->rows.rows[i];
        if (!change_row_ended(row))
            TRY(put_back(c, row->number, row->farthest, out, e));
        else if (i + 1 == c->rows.n)
            tidy(c, row);
    }
    return OK;
}

/* ---- the doors ---- */

static enum code check_account(const struct change_params *params, struct err *e)
{
    if (geteuid() == params->uid)
        return OK;
    (void)err_set(e, E_ACCESS, "the server's files belong to %s", account(params->uid));
    err_hint(e, "Run this as root, or as that user: runuser -u %s -- COMMAND", account(params->uid));
    return E_ACCESS;
}

static enum code open_all(struct change *c, struct change_report *out_report, struct err *e)
{
    TRY(check_account(&c->params, e));
    TRY(get_dirs(c, e));
    TRY(take_lock(c, e));
    TRY(read_past(c, e));
    return recover(c, out_report, e);
}

enum code change_open(const struct change_params *params, struct change **out,
                      struct change_report *out_report, struct err *e)
{
    struct change_report report = { .end = CHANGE_UNTOUCHED };
    struct change *c = calloc(1, sizeof *c);

    if (!c)
        return err_set(e, E_NOMEM, "out of memory");
    c->params = *params;
    c->lock = OS_LOCK_INIT;
    arena_init(&c->arena, ARENA_LIMIT, ARENA_FIRST);
    enum code code = open_all(c, &report, e);
    if (code != OK) {
        change_close(c);
        return code;
    }
    *out = c;
    *out_report = report;
    return OK;
}

void change_close(struct change *change)
{
    if (!change)
        return;
    os_lock_release(&change->lock);
    arena_fini(&change->arena);
    free(change);
}

void change_auto(struct change **change)
{
    change_close(*change);
}

enum code change_apply(struct change *change, const struct change_file *files, size_t n,
                       struct change_report *out, struct err *e)
{
    AUTO(change_set) struct change_set set;

    *out = (struct change_report){ .end = CHANGE_UNTOUCHED };
    TRY(set_of(change, change->last + 1, &set, e));
    for (size_t i = 0; i < n; i++)
        TRY(change_set_plan(&set, &files[i], &change->arena, e));
    return run(change, &set, out, e);
}

enum code change_undo(struct change *change, struct change_report *out, struct err *e)
{
    AUTO(change_set) struct change_set old, turned;

    change_set_init(&old, &change->arena);
    change_set_init(&turned, &change->arena);
    *out = (struct change_report){ .end = CHANGE_UNTOUCHED };
    TRY(read_past(change, e)); /* with what this process has applied */
    const struct change_row *row = change_rows_applied(&change->rows);
    if (!row)
        return err_set(e, E_NO_FILE, "there is no change to undo in \"%s\"", change->params.state);
    TRY(set_of(change, row->number, &old, e));
    if (!change_set_has_manifest(&old))
        return err_set(e, E_DAMAGED, "the backups of the change are missing in \"%s\"", old.dir);
    TRY(change_set_load(&old, &change->arena, e));
    TRY(set_of(change, change->last + 1, &turned, e));
    TRY(change_set_turn(&old, &turned, e));
    turned.undoes = row->number;
    return run(change, &turned, out, e);
}

/* ---- words ---- */

void change_say_report(const struct change_report *report, struct buf *out)
{
    const char *step = change_step_name(report->failed);

    if (report->number == 0)
        return;
    switch (report->end) {
    case CHANGE_UNTOUCHED:
        buf_printf(out, "An earlier run was interrupted at the step \"%s\", before it changed any file.",
                   step);
        break;
    case CHANGE_BACK:
        buf_printf(out,
                   "An earlier run was interrupted at the step \"%s\". All files are as they were before it.",
                   step);
        break;
    case CHANGE_DONE:
    case CHANGE_LOST:
        break;
    }
}

void change_say_status(const struct change_status *status, struct buf *out)
{
    const char *step = change_step_name(status->step);

    if (status->open == 0)
        return;
    if (status->running)
        buf_printf(out, "Another pgseal harden is running; it has reached the step \"%s\".", step);
    else
        buf_printf(
            out,
            "A run was interrupted at the step \"%s\". The next run of pgseal harden with --apply or --undo "
            "begins by restoring the files as they were before it.",
            step);
}

/* ---- a look from outside ---- */

static const struct change_row *open_row(const struct change_rows *rows)
{
    for (size_t i = rows->n; i-- > 0;)
        if (!change_row_ended(&rows->rows[i]))
            return &rows->rows[i];
    return NULL;
}

enum code change_look(const struct change_params *params, struct change_status *out, struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    char journal[OS_PATH_MAX], lock[OS_PATH_MAX], changes[OS_PATH_MAX];
    struct change_status status = { .applied = 0 };
    struct change_rows rows = { NULL, 0 };
    unsigned last;

    arena_init(&arena, ARENA_LIMIT, ARENA_FIRST);
    TRY(os_path(params->state, "private/journal", journal, e));
    TRY(os_path(params->state, "private/lock", lock, e));
    TRY(os_path(params->state, "private/changes", changes, e));
    TRY(read_journal(journal, &arena, &rows, e));
    const struct change_row *applied = change_rows_applied(&rows), *open = open_row(&rows);
    if (applied) {
        status.applied = applied->number;
        status.applied_unix_s = applied->unix_s;
    }
    TRY(last_directory(changes, &last, e));
    if (open) {
        status.open = open->number;
        status.step = open->farthest;
    } else if (last > last_number(&rows)) {
        status.open = last; /* the journal has lost it */
    }
    status.running = os_lock_held(lock);
    *out = status;
    return OK;
}
