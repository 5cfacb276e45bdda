/* Changes that are applied, that fail, and that are taken back. */
#include "world.h"

static struct world world;

static struct change_report open_and_apply(enum code expected, struct err *e)
{
    struct change_params params = world_params(&world);
    AUTO(change) struct change *change = NULL;
    struct change_report report;

    world.calls[0] = '\0';
    memset(world.calls, 0, sizeof world.calls);
    assert_int_equal(change_open(&params, &change, &report, e), OK);
    assert_int_equal(change_apply(change, world.plan, WORLD_FILES, &report, e), expected);
    return report;
}

static struct change_report open_and_undo(enum code expected, bool force, struct err *e)
{
    struct change_params params = world_params(&world);
    AUTO(change) struct change *change = NULL;
    struct change_report report;

    params.force = force;
    memset(world.calls, 0, sizeof world.calls);
    assert_int_equal(change_open(&params, &change, &report, e), OK);
    assert_int_equal(change_undo(change, &report, e), expected);
    return report;
}

static void applied_and_undone(void **state)
{
    (void)state;
    struct err e = { 0 };
    struct change_report report = open_and_apply(OK, &e);
    assert_int_equal(report.end, CHANGE_DONE);
    assert_string_equal(world.calls, "acrp");
    world_expect_new(&world);
    report = open_and_undo(OK, false, &e);
    assert_int_equal(report.end, CHANGE_DONE);
    assert_string_equal(world.calls, "crp");
    world_expect_old(&world);
    (void)open_and_undo(E_NO_FILE, false, &e);
}

static void each_hook_fails(void **state)
{
    static const char letters[] = "acrp";

    (void)state;
    for (const char *letter = letters; *letter; letter++) {
        struct err e = { 0 };
        world.fail = *letter;
        struct change_report report = open_and_apply(E_CONFIG, &e);
        assert_int_equal(report.end, CHANGE_BACK);
        assert_non_null(strstr(e.message, "does not like it"));
        assert_non_null(strstr(e.detail, "All files are as before"));
        assert_int_equal(world.calls[strlen(world.calls) - 1], 'r');
        world_expect_old(&world);
        world.fail = 0;
        (void)open_and_undo(E_NO_FILE, false, &e);
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    memcpy(world.root, "/tmp/pgseal-change-XXXXXX", sizeof "/tmp/pgseal-change-XXXXXX");
    if (!mkdtemp(world.root))
        return -1;
    world_fill(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_clean(&world);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(applied_and_undone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_hook_fails, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
