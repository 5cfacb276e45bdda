/*
 * /proc/PID/environ holds the variables that a process was started with, /proc/PID/cmdline its arguments; both as
 * texts that end with a zero byte. [src: proc(5)]
 */
#include "audit/collect_processes.h"

#include "audit/client_text.h"
#include "audit/collect_client.h"
#include "audit/collect_rules.h"
#include "audit/link.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo_text.h"
#include "client/pasted.h"
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

enum { TEXT_MAX = 4 << 20, NAME_MAX_BYTES = 64, PROCESSES_MAX = 1 << 16 };

struct process {
    struct collected *collected;
    struct arena *arena;
    enum pasted_driver driver;
    const char *dir;
    struct str name, id; /* comm, PID */
};

static bool has_entry(const char *dir, const char *name)
{
    char path[OS_PATH_MAX];

    return os_path(dir, name, path, NULL) == OK && os_exists(path);
}

bool collect_is_processes(const char *path)
{
    return has_entry(path, "self/environ") || (has_entry(path, "environ") && has_entry(path, "cmdline"));
}

/* ---- texts ---- */

/* Lives in the arena; the copy on the heap is wiped. `out->p` is NULL: it is not to be read, or gone. */
static enum code read_text(const struct process *p, const char *name, struct str *out, enum code *why)
{
    AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
    char path[OS_PATH_MAX];
    struct err e;

    *out = str_of(NULL, 0);
    *why = os_path(p->dir, name, path, &e);
    if (*why == OK)
        *why = os_read_file(path, &text, &e);
    bool kept = *why != OK || arena_str(p->arena, buf_str(&text), out);
    buf_fini_secret(&text);
    return kept ? OK : E_NOMEM;
}

/* A line for each variable. */
static void make_lines(struct str text)
{
    char *p = (char *)(uintptr_t)text.p; /* of our own arena */

    for (size_t i = 0; i < text.n; i++)
        p[i] = p[i] == '\n' ? ' ' : p[i] == '\0' ? '\n' : p[i];
}

/* ---- connections ---- */

static bool is_known(const struct process *p, const struct subject_connection *c,
                     const struct subject_link *l)
{
    const struct audit_subject *subject = &p->collected->subject;

    for (size_t i = 0; i < subject->n_connections; i++) {
        const struct subject_connection *other = &subject->connections[i];
        if (str_equal(other->program, c->program) && str_equal(other->name, c->name) &&
            str_equal(other->link->endpoint, l->endpoint) && str_equal(other->link->mode, l->mode) &&
            other->link->has_password == l->has_password && other->link->in_arguments == l->in_arguments)
            return true;
    }
    return false;
}

static enum code add(const struct process *p, struct str name, struct subject_link link)
{
    struct subject_connection c = { .purpose = PURPOSE_APPLICATION, .name = name, .program = p->name };

    if (is_known(p, &c, &link))
        return OK;
    if (!arena_printf(p->arena, &c.where, "process %.*s (%.*s), %.*s", STR_ARG(p->id), STR_ARG(p->name),
                      STR_ARG(name)))
        return E_NOMEM;
    return link_add(p->collected, p->arena, c, link) ? OK : E_NOMEM;
}

static enum code missed(const struct process *p, struct str name, const char *why)
{
    struct subject_unseen unseen = { .items = ITEM_VERIFIED };

    return arena_printf(p->arena, &unseen.what, "process %.*s (%.*s), %.*s", STR_ARG(p->id), STR_ARG(p->name),
                        STR_ARG(name)) &&
                   arena_printf(p->arena, &unseen.why, "%s", why) &&
                   collect_unseen(&p->collected->subject, p->arena, unseen)
               ? OK
               : E_NOMEM;
}

static enum code add_item(const struct process *p, const struct client_item *item)
{
    struct subject_link link = { 0 };
    struct err e;

    enum code code = collect_client_link(item, p->arena, &link, &e);
    if (code == E_NOMEM)
        return code;
    return code == OK ? add(p, item->name, link) : missed(p, item->name, err_text(&e));
}

static enum code see_environment(const struct process *p, bool *out_hidden)
{
    struct client_items items = { .arena = p->arena };
    struct str text;
    enum code why;

    TRY(read_text(p, "environ", &text, &why));
    *out_hidden = why == E_ACCESS;
    if (!text.p)
        return OK;
    make_lines(text);
    TRY(client_text_environment(text, p->driver, &items));
    for (size_t i = 0; i < items.n; i++)
        TRY(add_item(p, &items.items[i]));
    return OK;
}

/* ---- arguments ---- */

/* A connection string, or the value of an option that is one. */
static bool is_connection(struct str argument, struct arena *arena, struct str *out)
{
    struct conn_options options;
    size_t given = 0;
    struct err e;

    if (str_starts(argument, STR("--")))
        argument = str_from(argument, str_find(argument, '=') + (str_find(argument, '=') < argument.n));
    else if (str_starts(argument, STR("-d")))
        argument = str_from(argument, 2);
    *out = argument;
    if (pasted_recognized(argument))
        return true;
    if (str_find(argument, '=') == argument.n || conn_options_parse(argument, arena, &options, &e) != OK)
        return false;
    for (size_t i = 0; i < CONN_OPTION_COUNT; i++)
        given += options.v[i].p != NULL;
    return given > 1 && (options.v[CONN_HOST].p || options.v[CONN_HOSTADDR].p || options.v[CONN_DBNAME].p);
}

static enum code see_argument(const struct process *p, struct str argument)
{
    struct subject_link link = { .endpoint = STR("PGPASSWORD"), .local = true, .has_password = true };
    struct str text;
    struct err e;

    if (argument.n > 0 && memmem(argument.p, argument.n, "PGPASSWORD=", 11)) {
        link.in_arguments = true;
        return add(p, STR("arguments"), link);
    }
    if (!is_connection(argument, p->arena, &text))
        return OK;
    enum code code = link_of_text(text, p->driver, p->arena, &link, &e);
    if (code == E_NOMEM)
        return code;
    if (code != OK) /* it only looks like one */
        return OK;
    link.in_arguments = true;
    return add(p, STR("arguments"), link);
}

/* The first argument is the program; one text with zero bytes in between. */
static enum code see_arguments(const struct process *p)
{
    struct str text, argument;
    enum code why;

    TRY(read_text(p, "cmdline", &text, &why));
    bool first = true;
    while (text.p && str_split(&text, '\0', &argument)) {
        if (!first)
            TRY(see_argument(p, argument));
        first = false;
    }
    return OK;
}

/* ---- processes ---- */

static enum code see_process(struct process p, bool *out_hidden)
{
    const char *slash = strrchr(p.dir, '/');
    struct str comm;
    enum code why;

    p.id = str_c(slash ? slash + 1 : p.dir);
    TRY(read_text(&p, "comm", &comm, &why));
    p.name = str_first(str_trim(comm.p ? comm : STR("?")), NAME_MAX_BYTES);
    TRY(see_arguments(&p));
    return see_environment(&p, out_hidden);
}

static bool is_other(const char *name)
{
    uint32_t id;

    return str_to_u32(str_c(name), 1, INT32_MAX, &id) && id != (uint32_t)getpid();
}

static enum code tell_hidden(const struct process *p, size_t hidden)
{
    struct subject_unseen unseen = { STR("environments of processes"), STR(""), ITEM_VERIFIED };

    if (hidden == 0)
        return OK;
    return arena_printf(p->arena, &unseen.why,
                        "%zu processes of other users do not show theirs; run it as root", hidden) &&
                   collect_unseen(&p->collected->subject, p->arena, unseen)
               ? OK
               : E_NOMEM;
}

static enum code see_all(struct process p, DIR *dir)
{
    const char *top = p.dir;
    struct dirent *entry;
    size_t hidden = 0, n = 0;

    while (n < PROCESSES_MAX && (entry = readdir(dir))) {
        char path[OS_PATH_MAX];
        bool is_hidden = false;
        if (!is_other(entry->d_name) || os_path(top, entry->d_name, path, NULL) != OK)
            continue;
        n++;
        p.dir = path;
        TRY(see_process(p, &is_hidden));
        hidden += is_hidden;
    }
    return tell_hidden(&p, hidden);
}

static enum code look(const char *path, const struct client_params *params, struct collected *c)
{
    struct process p = { .collected = c, .arena = params->arena, .driver = params->driver, .dir = path };
    bool hidden = false;

    TRY(collect_client_begin(params, c));
    if (has_entry(path, "environ")) {
        TRY(see_process(p, &hidden));
        return tell_hidden(&p, hidden);
    }
    DIR *dir = opendir(path);
    if (!dir)
        return code_from_errno(errno);
    enum code code = see_all(p, dir);
    (void)closedir(dir);
    return code;
}

enum code collect_processes(const char *path, const struct client_params *params, struct collected *out,
                            struct err *e)
{
    AUTO(collected) struct collected c = { .settings = NULL };

    enum code code = look(path, params, &c);
    if (code != OK)
        return code == E_NOMEM ? err_set(e, code, "out of memory")
                               : err_set(e, code, "could not read directory \"%s\"", path);
    *out = c;
    c = (struct collected){ .settings = NULL };
    return OK;
}
