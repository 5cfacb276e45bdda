/* A load in which the n-th allocation fails, for every n: refused as out of memory, nothing leaks. */
#include "../unit.h"

#include "../conf_memory.h"
#include "base/arena.h"
#include "conf/settings.h"

#include <limits.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long left = LONG_MAX;

void *__wrap_malloc(size_t size)
{
    return left-- > 0 ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return left-- > 0 ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *p, size_t size)
{
    return left-- > 0 ? __real_realloc(p, size) : NULL;
}

static struct memory_file files[] = {
    { "/d/pgseal.conf", TEXT("port = 6000\nadmin_users = 'a,b'\nproxy_protocol_from = '10.0.0.0/8'\n"
                             "upstream.\"A b\" = 'host=x'\ninclude 'more.conf'\ninclude_dir 'dir'\n") },
    { "/d/more.conf", TEXT("ssl = on\nunix_socket_directories = '/a, b'\n") },
    { "/d/dir/1.conf", TEXT("cluster_name = 'f\xc3\xbcnf'\n") },
    { "/d/bad.conf", TEXT("port = x\nnonsense = 1\nbad bad\n") },
    { NULL, { NULL, 0 } },
};

static enum code load_with(long allowed, const char *file, const struct settings *running)
{
    struct conf_fs fs = memory_fs(files);
    struct settings_params params = {
        .dir = STR("/d"), .config_file = str_c(file), .running = running, .fs = &fs
    };
    struct settings *settings = NULL;
    const struct setting_file_row *rows;
    struct arena arena;
    struct diags diags;
    size_t n;

    arena_init(&arena, 1 << 20, 64);
    diags_init(&diags, &arena);
    left = allowed;
    enum code code = settings_load(&params, &settings, &diags);
    if (code == OK)
        settings_log_changes(running, settings, &diags);
    enum code rows_code = settings_file_rows(&params, &arena, &rows, &n);
    left = LONG_MAX;
    assert_true(rows_code == OK || rows_code == E_NOMEM || rows_code == E_LIMIT);
    settings_unref(settings);
    arena_fini(&arena);
    return code;
}

static void every_allocation_may_fail(void **state)
{
    static const char *const names[] = { "pgseal.conf", "bad.conf" };
    struct conf_fs fs = memory_fs(files);
    struct settings_params params = { .dir = STR("/d"), .fs = &fs };
    struct settings *running = NULL;
    struct arena arena;
    struct diags diags;

    (void)state;
    arena_init(&arena, 1 << 20, 64);
    diags_init(&diags, &arena);
    files[1].text = TEXT("ssl = off\n");
    assert_int_equal(settings_load(&params, &running, &diags), OK);
    files[1].text = TEXT("ssl = on\nunix_socket_directories = '/a, b'\nport = 6001\n");
    for (size_t f = 0; f < 2; f++) {
        for (long allowed = 0; allowed < 60; allowed++) {
            enum code code = load_with(allowed, names[f], running);
            assert_true(code == E_NOMEM || code == (f == 0 ? OK : E_CONFIG) || code == E_LIMIT);
        }
        assert_int_equal(load_with(LONG_MAX, names[f], running), f == 0 ? OK : E_CONFIG);
    }
    settings_unref(running);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation_may_fail) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
