/* pg_hosts.conf: what is kept of its lines is whole. */
#include "audit/hosts_file.h"
#include "base/arena.h"
#include "base/check.h"
#include "lex/hba_lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int no_file(void *ctx, const char *path, struct buf *out)
{
    (void)ctx, (void)path, (void)out;
    return 2; /* ENOENT */
}

static int no_dir(void *ctx, const char *path, void (*entry)(void *arg, const char *name), void *arg)
{
    (void)ctx, (void)path, (void)entry, (void)arg;
    return 2;
}

static int is_dir(void *ctx, const char *path)
{
    (void)ctx, (void)path;
    return -2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hba_lex_fs fs = { no_file, no_dir, is_dir, NULL };
    const struct hba_lex_params params = { .fs = &fs };
    struct audit_subject subject = { .kind = SUBJECT_SERVER };
    struct hba_lines lines;
    struct arena arena;

    arena_init(&arena, 16 << 20, 4096);
    if (hba_lex_bytes(&params, STR("/data/pg_hosts.conf"), bytes_of(data, size), &arena, &lines) == OK &&
        hosts_file_parse(&lines, STR("/data"), &arena, &subject) == OK)
        for (size_t i = 0; i < subject.n_hosts; i++) {
            CHECK(subject.hosts[i].n_names > 0 && subject.hosts[i].line > 0);
            CHECK(!subject.hosts[i].cert || subject.hosts[i].cert[0] == '/');
        }
    arena_fini(&arena);
    return 0;
}
