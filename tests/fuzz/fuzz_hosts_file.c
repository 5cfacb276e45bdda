/* pg_hosts.conf: what is kept of its lines is whole, and no name is served twice. */
#include "base/arena.h"
#include "base/check.h"
#include "conf/hosts_file.h"
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

static void check_line(const struct host_lines *hosts, size_t at)
{
    const struct host_line *line = &hosts->at[at];

    CHECK(line->line > 0 && (line->error.p != NULL || line->n_names > 0));
    if (line->error.p)
        return;
    CHECK(line->cert.p && line->key.p && (line->command.p || !line->command_reloads));
    for (size_t i = 0; i < line->n_names && at < 64; i++)
        for (size_t k = 0; k < at; k++)
            for (size_t m = 0; !hosts->at[k].error.p && m < hosts->at[k].n_names; m++)
                CHECK(!str_equal_nocase(line->names[i], hosts->at[k].names[m]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hba_lex_fs fs = { no_file, no_dir, is_dir, NULL };
    const struct hba_lex_params params = { .fs = &fs };
    struct host_lines hosts;
    struct hba_lines lines;
    struct arena arena;
    size_t bad = 0;

    arena_init(&arena, 16 << 20, 4096);
    if (hba_lex_bytes(&params, STR("/data/pg_hosts.conf"), bytes_of(data, size), &arena, &lines) == OK &&
        hosts_file_parse(&lines, &arena, &hosts) == OK) {
        for (size_t i = 0; i < hosts.n; i++) {
            check_line(&hosts, i);
            bad += hosts.at[i].error.p != NULL;
        }
        CHECK(hosts.n == lines.n && hosts.n_bad == bad);
    }
    arena_fini(&arena);
    return 0;
}
