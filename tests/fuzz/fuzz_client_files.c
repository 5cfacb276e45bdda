/* Configurations of clients: every text as every kind of file, and each string in it as its driver reads it; and
 * as a manifest. */
#include "audit/client_files.h"
#include "audit/collect_client.h"
#include "audit/collect_manifest.h"
#include "audit/collect_rules.h"
#include "audit/link.h"
#include "base/arena.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as(enum client_file kind, struct str name, struct str text)
{
    struct client_items items = { .n = 0 };
    struct arena arena;

    arena_init(&arena, 16 << 20, 4096);
    items.arena = &arena;
    if (client_file_read(kind, name, text, PASTED_LIBPQ, &items) == OK) {
        for (size_t i = 0; i < items.n; i++) {
            struct subject_link link;
            struct err e;
            CHECK(items.items[i].line <= text.n + 1);
            if (items.items[i].text.p)
                (void)!link_of_text_over(items.items[i].text, items.items[i].driver, &items.items[i].options,
                                         &arena, &link, &e);
            else
                (void)!link_of_options(&items.items[i].options, &arena, &link);
        }
    }
    arena_fini(&arena);
}

static void read_manifest(struct str text)
{
    struct collected c = { .settings = NULL };
    struct arena arena;
    struct err e;

    arena_init(&arena, 64 << 20, 4096);
    const struct client_params params = { PASTED_LIBPQ, 0, &arena };
    if (collect_manifest("/x/cluster.yaml", text, &params, &c, &e) == OK)
        collected_fini(&c);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);

    for (enum client_file kind = CLIENT_FILE_SERVICE; kind <= CLIENT_FILE_TEXT; kind++)
        read_as(kind, STR("app.js"), text);
    read_manifest(text);
    (void)client_file_kind(STR("patroni.yml"), text);
    return 0;
}
