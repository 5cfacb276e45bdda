/* pgseal.conf from hostile bytes: the file includes itself and a second one made of its second half. */
#include "../unit/conf_memory.h"
#include "base/arena.h"
#include "conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_file files[] = {
        { "/d/pgseal.conf", { data, size } },
        { "/d/a.conf", { data + size / 2, size - size / 2 } },
        { NULL, { NULL, 0 } },
    };
    struct conf_fs fs = memory_fs(files);
    struct settings_params params = { .dir = STR("/d"), .fs = &fs };
    const struct setting_file_row *rows;
    struct settings *settings = NULL, *next = NULL;
    struct arena arena;
    struct diags diags;
    size_t n;

    arena_init(&arena, 16 << 20, 4096);
    diags_init(&diags, &arena);
    if (settings_load(&params, &settings, &diags) == OK) {
        params.running = settings;
        if (settings_load(&params, &next, &diags) == OK)
            settings_log_changes(settings, next, &diags);
    }
    (void)!settings_file_rows(&params, &arena, &rows, &n);
    settings_unref(settings);
    settings_unref(next);
    arena_fini(&arena);
    return 0;
}
