#include "harden/target.h"

#include "audit/collect_rules.h"
#include "audit/collect_server.h"
#include "audit/regular_file.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/pgserver.h"
#include "os/owner.h"
#include "renew/pgdata.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

enum { PID_FILE_MAX = 1 << 16, PID_LINES = 5 };

static enum code own_files(struct harden_target *t, const char *state, struct err *e)
{
    if (state)
        TRY(os_real_path(state, "read", t->state, NULL) == OK ? OK : os_path("", state, t->state, e));
    TRY(os_path(t->state, "private/", t->own_dir, e));
    TRY(os_path(t->state, "ca.crt", t->root, e));
    TRY(os_path(t->state, "private/server.crt", t->cert, e));
    TRY(os_path(t->state, "private/server.key", t->key, e));
    return os_path(t->state, "private/ca", t->ca_dir, e);
}

/* ---- the owner ---- */

/* Where data_directory leads; empty: nothing says so. Read as root, so only of a file that is root's. */
static enum code data_directory(const char *config, struct arena *arena, struct str *out)
{
    const struct conf_fs fs = regular_file_conf_fs(NULL);
    const struct conf_entry *entry;
    struct conf_entries entries;
    struct diags diags;

    *out = STR("");
    diags_init(&diags, arena);
    conf_entries_init(&entries, arena);
    enum code code = conf_lex_file(&fs, str_c(config), &entries, &diags);
    if (code != OK)
        return code == E_NOMEM ? code : OK;
    STAILQ_FOREACH (entry, &entries.list, next)
        if (entry->name.p && str_equal_nocase(entry->name, STR("data_directory")))
            *out = entry->value;
    return OK;
}

static enum code become(const char *path, struct err *e)
{
    const struct passwd *row;

    if (geteuid() != 0)
        return OK;
    TRY(os_owner_become(path, e));
    row = geteuid() != 0 ? getpwuid(geteuid()) : NULL;
    if (row) /* libpq looks for files there */
        (void)setenv("HOME", row->pw_dir, 1);
    return OK;
}

/* A configuration may be root's, and the data somebody else's. */
static enum code become_owner(const char *path, struct arena *arena, struct err *e)
{
    char config[OS_PATH_MAX];
    struct str dir = STR("");

    TRY(become(path, e));
    if (geteuid() != 0 || os_has(path, "pgseal.conf") || pgserver_is_data(path))
        return OK;
    TRY(os_path(path, "postgresql.conf", config, e));
    if (!os_exists(config))
        TRY(os_path("", path, config, e));
    TRY(become(config, e));
    if (geteuid() != 0)
        return OK;
    if (data_directory(config, arena, &dir) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    const char *c = dir.n > 0 ? arena_c(arena, dir) : NULL;
    return c ? become(c, e) : OK;
}

/* ---- a server ---- */

/* The port and the socket's directory are lines 4 and 5. [src: PostgreSQL 18, pidfile.h] */
static enum code find_socket(struct harden_target *t, struct arena *arena, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(PID_FILE_MAX);
    struct str rest, lines[PID_LINES] = { { NULL, 0 } };
    char path[OS_PATH_MAX];

    TRY(os_path(t->dir, "postmaster.pid", path, e));
    TRY(os_read_file(path, &text, e));
    rest = buf_str(&text);
    for (size_t i = 0; i < PID_LINES && str_split(&rest, '\n', &lines[i]); i++)
        ;
    struct str port = str_trim(lines[3].p ? lines[3] : STR("")),
               dir = str_trim(lines[4].p ? lines[4] : STR(""));
    if (port.n == 0 || dir.n == 0)
        return OK;
    return arena_printf(arena, &t->conninfo, "host='%.*s' port=%.*s dbname=postgres", STR_ARG(dir),
                        STR_ARG(port))
               ? OK
               : err_set(e, E_NOMEM, "out of memory");
}

/* From either half of the configuration to both. */
static enum code find_halves(struct harden_target *t, char config[OS_PATH_MAX], struct arena *arena,
                             struct err *e)
{
    const struct collect_source source = { .path = t->path };
    AUTO(collected) struct collected c = { .settings = NULL };

    TRY(collect_server(&source, arena, &c, e));
    const struct audit_subject *s = &c.subject;
    if (!s->owner_seen)
        return err_set(e, E_NO_FILE, "the data directory of \"%s\" does not exist, or cannot be entered",
                       t->path);
    if (s->n_files == 0)
        return err_set(e, E_NO_FILE, "the postgresql.conf of \"%s\" could not be found", t->path);
    if (!str_to_c(s->dir, t->dir, sizeof t->dir) || !str_to_c(s->files[0], config, OS_PATH_MAX))
        return err_set(e, E_LIMIT, "path name is too long");
    return OK;
}

static enum code open_server(struct harden_target *t, const char *state, struct arena *arena, struct err *e)
{
    char config[OS_PATH_MAX];
    struct pgdata pg;

    TRY(find_halves(t, config, arena, e));
    TRY(become(t->dir, e));
    TRY(pgdata_read(t->dir, arena, &pg, e));
    t->pid = pg.pid;
    if (!state)
        TRY(pgdata_state_dir(t->dir, config, t->state, e));
    return t->pid != 0 ? find_socket(t, arena, e) : OK;
}

/* ---- all of it ---- */

enum code harden_target_open(const char *path, const char *state, struct arena *arena,
                             struct harden_target *out, struct err *e)
{
    struct harden_target *t = out;

    *t = (struct harden_target){ .pid = 0 };
    TRY(become_owner(path, arena, e));
    TRY(os_real_path(path, "read", t->path, e));
    if (os_has(t->path, "pgseal.conf")) {
        t->is_gate = true;
        memcpy(t->dir, t->path, sizeof t->dir);
        TRY(os_path(t->dir, "harden", t->state, e));
    } else if (!collect_is_server(t->path) && !str_ends(str_c(t->path), STR("/postgresql.conf"))) {
        return err_set(e, E_NO_FILE, "\"%s\" is neither a gate's directory nor a server's", path);
    } else {
        TRY(open_server(t, state, arena, e));
    }
    return own_files(t, state, e);
}
