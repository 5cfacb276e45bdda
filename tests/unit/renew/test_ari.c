/* What a CA answers when it is asked for a renewal window. */
#include "../unit.h"

#include "base/check.h"
#include "renew/ari.h"

static enum code parse(const char *text, struct ari_window *out)
{
    struct err e;

    return ari_parse(str_bytes(str_c(text)), out, &e);
}

static void a_window(void **state)
{
    struct ari_window w;

    (void)state;
    assert_int_equal(parse("{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\","
                           "\"end\":\"2025-01-03T04:00:00.123+02:00\"},\"explanationURL\":\"x\"}",
                           &w),
                     OK);
    assert_int_equal(w.start_unix_s, 1735790400);
    assert_int_equal(w.end_unix_s, 1735790400 + 86400 - 7200);
}

static void no_window(void **state)
{
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "<html>",
        "{\"suggestedWindow\":null}",
        "{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\"}}",
        "{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":\"2025-01-01T04:00:00Z\"}}",
        "{\"suggestedWindow\":{\"start\":1735790400,\"end\":1735790400}}",
        "{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00\",\"end\":\"2025-01-03T04:00:00\"}}",
        "{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Zx\",\"end\":\"2025-01-03T04:00:00Z\"}}",
        "{\"suggestedWindow\":{\"start\":\"2025-01-02T04:00:00Z\",\"end\":\"2025-01-03T04:00:00Z\"}",
    };
    struct ari_window w;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(parse(bad[i], &w), E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window),
        cmocka_unit_test(no_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
