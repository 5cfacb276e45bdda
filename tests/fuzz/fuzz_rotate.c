/* rotate.conf, its command lines, a journal of renewals, the roots that are kept, and what a CA answers. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/conf_lex.h"
#include "renew/ari.h"
#include "renew/bundle.h"
#include "renew/conf.h"
#include "renew/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum code read_input(void *ctx, const char *path, struct buf *out, struct err *e)
{
    const struct bytes *input = ctx;

    if (strcmp(path, "/rotate.conf") != 0)
        return err_set(e, E_NO_FILE, "No such file or directory");
    return buf_append(out, *input) ? OK : err_set(e, E_LIMIT, "file is too large");
}

static enum code list_nothing(void *ctx, const char *path, bool (*add)(void *add_ctx, struct str name),
                              void *add_ctx, struct err *e)
{
    (void)ctx, (void)path, (void)add, (void)add_ctx;
    return err_set(e, E_NO_FILE, "No such file or directory");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    const struct conf_fs fs = { .read = read_input, .list = list_nothing, .ctx = &input };
    struct ari_window window;
    struct bundle_past kept;
    struct renew_past past;
    struct renew_conf conf;
    struct diags diags;
    struct arena arena;
    struct err e;

    arena_init(&arena, 64 << 20, 4096);
    diags_init(&diags, &arena);
    if (renew_conf_load(&fs, "/rotate.conf", &arena, &conf, &diags) == OK)
        for (size_t i = 0; i < conf.n; i++)
            CHECK(renew_conf_find(&conf, conf.rules[i].name) != NULL);
    (void)!renew_journal_read(str_from_bytes(input), STR("server"), &arena, &past, &e);
    if (bundle_past_parse(str_from_bytes(input), &arena, &kept, &e) == OK)
        CHECK(kept.n <= CERT_LIST_MAX);
    (void)!ari_parse(input, &window, &e);
    arena_fini(&arena);
    return 0;
}
