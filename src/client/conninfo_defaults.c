/*
 * What a connection string leaves open: the service file, the environment, the built-in values.
 *
 * Precedence is text, service file, environment, default. Each step only fills what is still unset.
 * [src: PostgreSQL 18, "Environment Variables", "The Connection Service File"]
 */
#include "client/conninfo_defaults.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "client/conninfo_text.h"
#include "os/files.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Debian's SYSCONFDIR for PostgreSQL; PGSYSCONFDIR overrides it. */
#define CONN_SYSCONFDIR "/etc/postgresql-common"
enum { SERVICE_LINE_MAX = 1022 /* bytes of a line with its newline [src: parseServiceFile] */ };

static const struct {
    const char *environment;
    const char *value;
} fallback[CONN_OPTION_COUNT] = {
#define X(name, keyword, environment, value, secrecy) [CONN_##name] = { environment, value },
#include "conninfo.def"
#undef X
};

static const char *env_get(const struct conn_world *world, const char *name)
{
    return world->getenv ? world->getenv(world->ctx, name) : NULL;
}

static enum code set_copy(struct conn_options *options, enum conn_option option, struct str value,
                          struct arena *arena, struct err *e)
{
    return arena_str(arena, value, &options->v[option]) ? OK : err_set(e, E_NOMEM, "out of memory");
}

/* ---- service file ---- */

struct service {
    struct str name;
    struct str path;
    struct conn_options *options;
    struct arena *arena;
    struct err *e;
    bool in_group;
    bool found;
};

static enum code service_pair(struct service *s, struct str line, unsigned number)
{
    size_t equals = str_find(line, '=');
    struct str key = str_first(line, equals);

    if (equals < line.n && str_is(key, "service"))
        return err_set(s->e, E_PARAM,
                       "nested service specifications not supported in service file \"%.*s\", line %u",
                       STR_ARG(s->path), number);
    for (size_t i = 0; equals < line.n && i < CONN_OPTION_COUNT; i++) {
        if (!str_is(key, conn_option_keyword((enum conn_option)i)))
            continue;
        if (s->options->v[i].p)
            return OK;
        return set_copy(s->options, (enum conn_option)i, str_from(line, equals + 1), s->arena, s->e);
    }
    return err_set(s->e, E_PARAM, "syntax error in service file \"%.*s\", line %u", STR_ARG(s->path), number);
}

static bool is_group(struct str line, struct str name)
{
    struct str rest = str_from(line, 1);

    return str_starts(rest, name) && str_starts(str_from(rest, name.n), STR("]"));
}

static enum code service_parse(struct service *s, struct str text)
{
    struct str line;

    for (unsigned number = 1; str_split(&text, '\n', &line); number++) {
        if (line.n >= SERVICE_LINE_MAX)
            return err_set(s->e, E_PARAM, "line %u too long in service file \"%.*s\"", number,
                           STR_ARG(s->path));
        line = str_trim(str_first(line, str_find(line, '\0')));
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (line.p[0] == '[') {
            if (s->found)
                return OK; /* the group that was asked for ends here */
            s->in_group = s->found = is_group(line, s->name);
        } else if (s->in_group) {
            TRY(service_pair(s, line, number));
        }
    }
    return OK;
}

/* A file that must be there gives libpq's message when it is not. */
static enum code service_read(struct service *s, const struct conn_world *world, bool must_exist)
{
    AUTO(buf) struct buf contents = BUF_INIT(CONN_SERVICE_FILE_MAX);
    const char *path = arena_c(s->arena, s->path);

    if (!path)
        return err_set(s->e, E_NOMEM, "out of memory");
    struct err ignored;
    if (world->read_file(world->ctx, path, &contents, &ignored) != OK) {
        if (!must_exist)
            return OK;
        return err_set(s->e, E_PARAM, "service file \"%.*s\" not found", STR_ARG(s->path));
    }
    return service_parse(s, buf_str(&contents));
}

static enum code apply_service(struct conn_options *options, const struct conn_world *world,
                               struct arena *arena, struct err *e)
{
    struct service s = { .name = options->v[CONN_SERVICE], .options = options, .arena = arena, .e = e };
    const char *file = env_get(world, "PGSERVICEFILE"), *dir = env_get(world, "PGSYSCONFDIR");

    if (!s.name.p && env_get(world, "PGSERVICE"))
        s.name = str_c(env_get(world, "PGSERVICE"));
    if (!s.name.p)
        return OK;
    s.path = str_c(file);
    if (!file && world->home.n > 0 &&
        !arena_printf(arena, &s.path, "%.*s/.pg_service.conf", STR_ARG(world->home)))
        return err_set(e, E_NOMEM, "out of memory");
    if (file || s.path.n > 0)
        TRY(service_read(&s, world, file != NULL));
    if (s.found)
        return OK;
    if (!arena_printf(arena, &s.path, "%s/pg_service.conf", dir ? dir : CONN_SYSCONFDIR))
        return err_set(e, E_NOMEM, "out of memory");
    TRY(service_read(&s, world, false));
    if (!s.found)
        return err_set(e, E_PARAM, "definition of service \"%.*s\" not found", STR_ARG(s.name));
    return OK;
}

/* ---- environment and built-in values ---- */

/* The value of one unset option; p == NULL: none. */
static struct str default_of(enum conn_option option, const struct conn_world *world)
{
    const char *value = fallback[option].environment[0] ? env_get(world, fallback[option].environment) : NULL;

    if (value)
        return str_c(value);
    if (option == CONN_SSLMODE) { /* the deprecated PGREQUIRESSL, which PGSSLMODE overrides */
        value = env_get(world, "PGREQUIRESSL");
        if (value && value[0] == '1')
            return STR("require");
    }
    if (fallback[option].value[0] != '\0' || option == CONN_OPTIONS)
        return str_c(fallback[option].value);
    if (option == CONN_USER && world->os_user.n > 0)
        return world->os_user;
    return (struct str){ 0 };
}

enum code conn_options_defaults(struct conn_options *options, const struct conn_world *world,
                                enum conn_dialect dialect, struct arena *arena, struct err *e)
{
    struct conn_world outside = *world;
    bool sslmode_given;

    if (dialect == CONN_GATE) {
        outside.getenv = NULL;
        outside.os_user = STR("");
    } else {
        TRY(apply_service(options, world, arena, e));
    }
    sslmode_given = options->v[CONN_SSLMODE].p || env_get(&outside, "PGSSLMODE") ||
                    str_starts(default_of(CONN_SSLMODE, &outside), STR("require"));
    for (size_t i = 0; i < CONN_OPTION_COUNT; i++) {
        struct str value = options->v[i].p ? (struct str){ 0 } : default_of((enum conn_option)i, &outside);
        if (value.p)
            TRY(set_copy(options, (enum conn_option)i, value, arena, e));
    }
    struct str root = options->v[CONN_SSLROOTCERT];
    if (!sslmode_given && (dialect == CONN_GATE || (root.p && str_is(root, "system"))))
        options->v[CONN_SSLMODE] = STR("verify-full");
    return OK;
}

/* ---- the real machine ---- */

static const char *system_getenv(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static enum code system_read(void *ctx, const char *path, struct buf *out, struct err *e)
{
    (void)ctx;
    return os_read_file(path, out, e);
}

static struct conn_file system_stat(void *ctx, const char *path)
{
    struct stat st;

    (void)ctx;
    if (stat(path, &st) != 0)
        return (struct conn_file){ .error = errno };
    return (struct conn_file){ .regular = S_ISREG(st.st_mode),
                               .owned_by_root = st.st_uid == 0,
                               .mode = st.st_mode & 0777 };
}

struct conn_world conn_world_files(void)
{
    return (struct conn_world){ .getenv = system_getenv, .read_file = system_read, .stat_file = system_stat };
}

enum code conn_world_system(struct arena *arena, struct conn_world *out)
{
    enum { PASSWD_ROOM = 16384 };
    struct conn_world world = conn_world_files();
    char *room = arena_array(arena, PASSWD_ROOM, 1);
    struct passwd entry, *found = NULL;
    const char *home = getenv("HOME");
    long uid = (long)geteuid();

    if (!room)
        return E_NOMEM;
    int error = getpwuid_r((uid_t)uid, &entry, room, PASSWD_ROOM, &found);
    world.home = str_c(home && home[0] ? home : (found ? found->pw_dir : ""));
    world.os_user = str_c(found ? found->pw_name : "");
    if (!found && error == 0 &&
        !arena_printf(arena, &world.user_error, "local user with ID %ld does not exist", uid))
        return E_NOMEM;
    if (!found && error != 0 &&
        !arena_printf(arena, &world.user_error, "could not look up local user ID %ld: %s", uid,
                      strerrordesc_np(error)))
        return E_NOMEM;
    if (!arena_str(arena, world.home, &world.home))
        return E_NOMEM;
    *out = world;
    return OK;
}
