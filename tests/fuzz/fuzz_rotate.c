/* rotate.conf, its command lines, journals of renewals and rollovers, roots that are kept, and what a CA answers. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/conf_lex.h"
#include "renew/ari.h"
#include "renew/bundle.h"
#include "renew/conf.h"
#include "renew/journal.h"
#include "renew/rollover_past.h"
#include "renew/rollover_text.h"

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

/* Nothing is taken out of a file of roots or lists where nothing is to go. */
static void keep_text(struct str text)
{
    AUTO(buf) struct buf roots = BUF_INIT(64 << 20), lists = BUF_INIT(64 << 20);
    const struct cert_list none = { .n = 0 };
    struct err e;

    CHECK(rollover_text_drop_roots(text, &none, &roots, &e) == OK && str_equal(buf_str(&roots), text));
    CHECK(rollover_text_put_lists(text, &none, STR(""), &lists, &e) == OK &&
          str_equal(buf_str(&lists), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    const struct conf_fs fs = { .read = read_input, .list = list_nothing, .ctx = &input };
    struct ari_window window;
    struct bundle_past kept;
    struct rollover_past rollover;
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
    if (rollover_past_read(str_from_bytes(input), &arena, &rollover, &e) == OK)
        CHECK(rollover.phase <= ROLLOVER_ABORTED && rollover.step <= ROLLOVER_STEP_RETIRE);
    keep_text(str_from_bytes(input));
    if (bundle_past_parse(str_from_bytes(input), &arena, &kept, &e) == OK)
        CHECK(kept.n <= CERT_LIST_MAX);
    (void)!ari_parse(input, &window, &e);
    arena_fini(&arena);
    return 0;
}
