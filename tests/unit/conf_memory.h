/** Configuration files in memory, for tests: { "path", "text" } rows, ended by a NULL path. */
#ifndef PGSEAL_TESTS_CONF_MEMORY_H
#define PGSEAL_TESTS_CONF_MEMORY_H

#include "base/buf.h"
#include "lex/conf_lex.h"

struct memory_file {
    const char *path;
    struct bytes text;
};

static enum code memory_read(void *ctx, const char *path, struct buf *out, struct err *e)
{
    for (const struct memory_file *file = ctx; file->path; file++) {
        if (!str_is(str_c(path), file->path))
            continue;
        return buf_append(out, file->text) ? OK : E_LIMIT;
    }
    return err_set(e, E_NO_FILE, "No such file or directory");
}

/* A directory is there when a file is in it. */
static enum code memory_list(void *ctx, const char *path, bool (*add)(void *add_ctx, struct str name),
                             void *add_ctx, struct err *e)
{
    bool found = false;

    for (const struct memory_file *file = ctx; file->path; file++) {
        struct str rest = str_c(file->path);
        if (!str_starts(rest, str_c(path)))
            continue;
        rest = str_from(rest, strlen(path));
        if (rest.n < 2 || rest.p[0] != '/' || str_find(str_from(rest, 1), '/') < rest.n - 1)
            continue;
        found = true;
        if (!add(add_ctx, str_from(rest, 1)))
            return E_NOMEM;
    }
    return found ? OK : err_set(e, E_NO_FILE, "No such file or directory");
}

static inline struct conf_fs memory_fs(struct memory_file *files)
{
    return (struct conf_fs){ memory_read, memory_list, files };
}

#define TEXT(literal) ((struct bytes){ (const uint8_t *)"" literal, sizeof(literal) - 1 })

#endif
