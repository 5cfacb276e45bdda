/*
 * Changes whose process is killed, or whose disk fails, in front of each single call that changes the file system; and
 * journals that have lost their end. Whatever happens, the next run finds all old files or all new ones.
 */
#include "base/buf.h"
#include "calls.h"
#include "world.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world world;

/* ---- a process that is killed ---- */

enum act { ACT_APPLY, ACT_APPLY_AND_FAIL, ACT_UNDO, ACT_OPEN };

static enum code act(enum act what)
{
    struct change_report report;

    world.fail = what == ACT_APPLY_AND_FAIL ? 'p' : 0;
    world.times = 1;
    switch (what) {
    case ACT_APPLY:
    case ACT_APPLY_AND_FAIL:
        return world_apply(&world, &report, NULL);
    case ACT_UNDO:
        return world_undo(&world, false, &report, NULL);
    case ACT_OPEN:
        return world_open(&world, &report, NULL);
    }
    return E_INTERNAL;
}

/* False: it came to its end. */
static bool is_killed(enum act what, long n)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        calls_arm(CALLS_KILL, n);
        (void)!act(what);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

/* The next run has put all to rights: `before`, or what is done is done. */
static void expect_whole(char before, char after)
{
    struct change_report report = { .end = CHANGE_DONE };
    struct err e = { 0 };
    unsigned open = world_look(&world).open;

    (void)world_state(&world); /* each file is a whole one */
    assert_int_equal(world_open(&world, &report, &e), OK);
    struct change_status status = world_look(&world);
    char now = world_state(&world);
    assert_true(now == before || (now == after && !open));
    assert_int_equal(now, status.applied ? 'n' : 'o');
    assert_int_equal(status.open, 0);
    if (now == 'n')
        world_expect_new(&world);
    else
        world_expect_old(&world);
    world_expect_tidy(&world);
    assert_int_equal(world_open(&world, &report, &e), OK); /* there is nothing left to do */
    assert_int_equal(report.number, 0);
    assert_string_equal(world.calls, "");
}

static void make_applied(void)
{
    world_make(&world);
    assert_int_equal(act(ACT_APPLY), OK);
}

static void killed_while_it_applies(void **state)
{
    (void)state;
    long n = 1;
    for (bool killed = true; killed; n++) {
        world_make(&world);
        killed = is_killed(ACT_APPLY, n);
        expect_whole('o', 'n');
        if (world_state(&world) == 'o')
            assert_int_equal(act(ACT_APPLY), OK);
        world_expect_new(&world);
        assert_int_equal(act(ACT_UNDO), OK);
        world_expect_old(&world);
        world_clean(&world);
    }
    assert_true(n > 80);
}

static void killed_while_it_undoes(void **state)
{
    (void)state;
    long n = 1;
    for (bool killed = true; killed; n++) {
        make_applied();
        killed = is_killed(ACT_UNDO, n);
        expect_whole('n', 'o');
        world_clean(&world);
    }
    assert_true(n > 60);
}

static void killed_while_it_puts_back(void **state)
{
    (void)state;
    long n = 1;
    for (bool killed = true; killed; n++) {
        world_make(&world);
        killed = is_killed(ACT_APPLY_AND_FAIL, n);
        expect_whole('o', 'o');
        world_clean(&world);
    }
    assert_true(n > 80);
}

static void die(struct world *w, char letter)
{
    (void)w;
    if (letter == 'p')
        (void)kill(getpid(), SIGKILL);
}

/* The first run dies with all new files in their places, the second one while it puts the old ones back. */
static void killed_while_it_recovers(void **state)
{
    (void)state;
    long n = 1;
    for (bool killed = true; killed; n++) {
        world_make(&world);
        world.during = die;
        assert_true(is_killed(ACT_APPLY, 0));
        world.during = NULL;
        assert_int_equal(world_state(&world), 'n');
        killed = is_killed(ACT_OPEN, n);
        expect_whole('o', 'o');
        world_clean(&world);
    }
    assert_true(n > 10);
}

/* ---- a disk that fails ---- */

static long fails(enum act what, enum calls_mode mode, long n)
{
    struct change_report report = { .end = CHANGE_UNTOUCHED };
    struct err e = { 0 };

    char before = world_state(&world);
    calls_arm(mode, n);
    enum code code = what == ACT_APPLY ? world_apply(&world, &report, &e)
                                       : world_undo(&world, false, &report, &e);
    long seen = calls_seen();
    calls_arm(CALLS_PASS, 0);
    char now = world_state(&world);
    if (code == OK) {
        assert_int_equal(report.end, CHANGE_DONE);
        assert_int_not_equal(now, before);
    } else {
        assert_int_not_equal(report.end, CHANGE_LOST);
        assert_int_not_equal(report.end, CHANGE_DONE);
        assert_int_equal(now, before);
        assert_true(e.message[0]);
    }
    assert_int_equal(world_open(&world, &report, &e), OK);
    assert_int_equal(world_state(&world), now);
    world_expect_tidy(&world);
    return seen;
}

/* How many calls there were. */
static long fail_everywhere(enum act what, enum calls_mode mode)
{
    long n = 1;

    for (bool met = true; met; n++) {
        if (what == ACT_UNDO)
            make_applied();
        else
            world_make(&world);
        met = fails(what, mode, n) >= n;
        world_clean(&world);
    }
    return n;
}

static void each_call_fails(void **state)
{
    (void)state;
    assert_true(fail_everywhere(ACT_APPLY, CALLS_FAIL) > 80);
    assert_true(fail_everywhere(ACT_UNDO, CALLS_FAIL) > 60);
}

/* Not a byte more from some point on: also the way back gets none. */
static void the_disk_is_full_from_there_on(void **state)
{
    (void)state;
    assert_true(fail_everywhere(ACT_APPLY, CALLS_FULL) > 80);
}

/* ---- somebody with an editor ---- */

#define EDITED "somebody's\n"

static bool is_edited;

void calls_told(void)
{
    is_edited = true;
    world_put(world.path[1], EDITED, 0600);
}

/* 1: the edit in front of the call `n` was lost. */
static unsigned edit_at(long n)
{
    struct change_report report;
    struct err e = { 0 };
    AUTO(buf) struct buf bytes = BUF_INIT(1 << 16);

    world_make(&world);
    calls_arm(CALLS_TELL, n);
    is_edited = false;
    enum code code = world_apply(&world, &report, &e);
    calls_arm(CALLS_PASS, 0);
    assert_int_equal(os_read_file(world.path[1], &bytes, NULL), OK);
    bool kept = str_is(buf_str(&bytes), EDITED);
    if (code == OK) {
        world_expect(world.path[0], WORLD_NEW_MAIN, 0640);
    } else {
        assert_int_equal(code, E_BAD_STATE);
        assert_int_not_equal(report.end, CHANGE_LOST);
        assert_true(kept);
        world_expect(world.path[0], WORLD_OLD_MAIN, 0640);
        world_expect(world.path[2], "", 0);
    }
    world_clean(&world);
    return !is_edited || kept ? 0 : 1;
}

/* Only an edit between the last look and the rename itself goes unseen. */
static void edited_in_front_of_each_call(void **state)
{
    (void)state;
    unsigned lost = 0;
    long n = 0;
    do
        lost += edit_at(++n);
    while (is_edited);
    assert_true(n > 80);
    assert_int_equal(lost, 1);
}

/* ---- a journal that has lost its end ---- */

enum { KEPT_MAX = 64, PATH_ROOM = 256 };

struct kept {
    char path[PATH_ROOM];
    mode_t mode;
    struct buf bytes;
};

static struct kept kept[KEPT_MAX];
static size_t n_kept;

static int keep_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    struct kept *k = &kept[n_kept++];
    assert_true(n_kept < KEPT_MAX && strlen(path) < sizeof k->path);
    *k = (struct kept){ .mode = st->st_mode, .bytes = BUF_INIT(1 << 16) };
    (void)snprintf(k->path, sizeof k->path, "%s", path);
    if (type == FTW_F)
        assert_int_equal(os_read_file(path, &k->bytes, NULL), OK);
    return 0;
}

static void keep_all(void)
{
    assert_int_equal(nftw(world.root, keep_one, 8, FTW_PHYS), 0);
}

static void put_all(void)
{
    world_clean(&world);
    for (size_t i = 0; i < n_kept; i++) {
        const struct kept *k = &kept[i];
        if (S_ISDIR(k->mode))
            assert_int_equal(os_mkdir(k->path, k->mode & 07777, NULL), OK);
        else
            assert_int_equal(
                os_write_file(k->path, buf_bytes(&k->bytes), k->mode & 07777, OS_WRITE_REPLACE, NULL), OK);
    }
}

static void forget_all(void)
{
    while (n_kept > 0)
        buf_fini(&kept[--n_kept].bytes);
}

/* Cut at each byte: all old files or all new ones, no other error than a clear one. */
static void cut_everywhere(void)
{
    char journal[OS_PATH_MAX];
    struct stat st;

    assert_int_equal(os_path(world.state, "private/journal", journal, NULL), OK);
    keep_all();
    assert_int_equal(stat(journal, &st), 0);
    for (off_t n = 0; n <= st.st_size; n++) {
        struct change_report report;
        struct err e = { 0 };
        put_all();
        assert_int_equal(truncate(journal, n), 0);
        assert_int_equal(world_open(&world, &report, &e), OK);
        char now = world_state(&world);
        assert_true(now == 'o' || now == 'n');
        assert_int_equal(world_look(&world).open, 0);
        /* It goes on from there. */
        if (now == 'o')
            assert_int_equal(act(ACT_APPLY), OK);
        world_expect_new(&world);
    }
    forget_all();
}

static void a_journal_cut_at_every_byte(void **state)
{
    (void)state;
    make_applied();
    cut_everywhere();
    world_clean(&world);
    world_make(&world);
    world.during = die;
    assert_true(is_killed(ACT_APPLY, 0));
    world.during = NULL;
    cut_everywhere();
    world_clean(&world);
    make_applied();
    assert_int_equal(act(ACT_UNDO), OK);
    cut_everywhere();
    world_clean(&world);
    /* Killed between one file and the next. */
    char now = 'o';
    for (long n = 1; now != 'm'; n++) {
        world_make(&world);
        assert_true(is_killed(ACT_APPLY, n));
        now = world_state(&world);
        if (now == 'm')
            cut_everywhere();
        world_clean(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_it_applies),
        cmocka_unit_test(killed_while_it_undoes),
        cmocka_unit_test(killed_while_it_puts_back),
        cmocka_unit_test(killed_while_it_recovers),
        cmocka_unit_test(each_call_fails),
        cmocka_unit_test(the_disk_is_full_from_there_on),
        cmocka_unit_test(edited_in_front_of_each_call),
        cmocka_unit_test(a_journal_cut_at_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
