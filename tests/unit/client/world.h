/** A machine made of tables: environment and files for tests of src/client. */
#ifndef PGSEAL_TESTS_CLIENT_WORLD_H
#define PGSEAL_TESTS_CLIENT_WORLD_H

#include "base/buf.h"
#include "client/conninfo.h"

#include <errno.h>

struct fake_file {
    const char *path;
    const char *contents;
    unsigned mode;
    bool root;
};

struct fake {
    const char *const *environment; /* name, value, name, value, …, NULL */
    const struct fake_file *files;  /* ends with a NULL path */
};

static const struct fake_file *fake_find(const struct fake *fake, const char *path)
{
    for (const struct fake_file *f = fake->files; f && f->path; f++) {
        if (strcmp(f->path, path) == 0)
            return f;
    }
    return NULL;
}

static const char *fake_getenv(void *ctx, const char *name)
{
    const struct fake *fake = ctx;

    for (size_t i = 0; fake->environment && fake->environment[i]; i += 2) {
        if (strcmp(fake->environment[i], name) == 0)
            return fake->environment[i + 1];
    }
    return NULL;
}

static enum code fake_read(void *ctx, const char *path, struct buf *out, struct err *e)
{
    const struct fake_file *f = fake_find(ctx, path);

    if (!f)
        return err_set(e, E_NO_FILE, "no file");
    buf_append_c(out, f->contents);
    return OK;
}

static struct conn_file fake_stat(void *ctx, const char *path)
{
    const struct fake_file *f = fake_find(ctx, path);

    if (!f)
        return (struct conn_file){ .error = ENOENT };
    if (f->mode == 0)
        return (struct conn_file){ .error = EACCES };
    return (struct conn_file){ .regular = f->contents != NULL, .owned_by_root = f->root, .mode = f->mode };
}

static inline struct conn_world fake_world(struct fake *fake)
{
    return (struct conn_world){ .getenv = fake_getenv,
                                .read_file = fake_read,
                                .stat_file = fake_stat,
                                .home = STR("/home/u"),
                                .os_user = STR("osuser"),
                                .user_error = STR("local user with ID 7 does not exist"),
                                .ctx = fake };
}

#endif
