/** Files of pg_hba.conf's kind in memory: what is not listed is not there; the directory /d/inc has two. */
#ifndef PGSEAL_TESTS_FUZZ_MEMORY_FS_H
#define PGSEAL_TESTS_FUZZ_MEMORY_FS_H

#include "base/buf.h"
#include "base/check.h"
#include "lex/hba_lex.h"

#include <errno.h>

struct memory_text {
    const char *path;
    struct str text;
};

struct memory_texts {
    struct memory_text files[4];
    unsigned reads; /* includes multiply: after so many there is nothing more to read */
};

static inline int memory_read(void *ctx, const char *path, struct buf *out)
{
    struct memory_texts *texts = ctx;

    if (++texts->reads > 100)
        return ENOENT;
    for (size_t i = 0; i < COUNT_OF(texts->files); i++)
        if (texts->files[i].path && str_is(str_c(path), texts->files[i].path))
            return buf_append_str(out, texts->files[i].text) ? 0 : ENOMEM;
    return ENOENT;
}

static inline int memory_list(void *ctx, const char *path, void (*entry)(void *arg, const char *name),
                              void *arg)
{
    (void)ctx;
    if (!str_is(str_c(path), "/d/inc"))
        return ENOENT;
    entry(arg, "b.conf");
    entry(arg, "a.conf");
    return 0;
}

static inline int memory_is_dir(void *ctx, const char *path)
{
    (void)ctx;
    return str_is(str_c(path), "/d/inc");
}

static inline struct hba_lex_fs memory_hba_fs(struct memory_texts *texts)
{
    return (struct hba_lex_fs){ memory_read, memory_list, memory_is_dir, texts };
}

#endif
