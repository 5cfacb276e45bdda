/* Changes that are applied, that fail, and that are taken back. */
#include "../tree.h"
#include "base/buf.h"
#include "world.h"

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static struct world world;

static void applied_and_undone(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(world_apply(&world, &report, &e), OK);
    assert_int_equal(report.end, CHANGE_DONE);
    assert_string_equal(world.calls, "acrp");
    world_expect_new(&world);
    world_expect_tidy(&world);
    world_expect(world_path(&world, "state/private/changes/1/0.before"), WORLD_OLD_MAIN, 0600);
    struct stat st;
    assert_int_equal(stat(world_path(&world, "state/private"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(world.state, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    struct change_status status = world_look(&world);
    assert_int_equal(status.applied, 1);
    assert_int_equal(status.open, 0);
    assert_false(status.running);
    assert_int_equal(world_undo(&world, false, &report, &e), OK);
    assert_int_equal(report.end, CHANGE_DONE);
    assert_string_equal(world.calls, "crp");
    world_expect_old(&world);
    world_expect_tidy(&world);
    assert_int_equal(world_look(&world).applied, 0);
    assert_int_equal(world_undo(&world, false, &report, &e), E_NO_FILE);
    assert_non_null(strstr(e.message, "there is no change to undo"));
}

/* The hook of that letter fails so many times. */
static void apply_and_fail(char letter, unsigned times, struct change_report *report, struct err *e)
{
    world.fail = letter;
    world.times = times;
    assert_int_equal(world_apply(&world, report, e), E_CONFIG);
}

static void each_hook_fails(void **state)
{
    static const char letters[] = "acrp";

    (void)state;
    for (const char *letter = letters; *letter; letter++) {
        struct change_report report;
        struct err e = { 0 };
        apply_and_fail(*letter, 1, &report, &e);
        assert_int_equal(report.end, CHANGE_BACK);
        assert_non_null(strstr(e.message, "does not like it"));
        assert_non_null(strstr(e.detail, "All files are as before."));
        assert_int_equal(world.calls[strlen(world.calls) - 1], 'r');
        world_expect_old(&world);
        world_expect_tidy(&world);
        assert_int_equal(world_look(&world).open, 0);
        world.fail = 0;
        assert_int_equal(world_undo(&world, false, &report, &e), E_NO_FILE);
    }
}

static void each_hook_fails_in_an_undo(void **state)
{
    static const char letters[] = "crp";

    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(world_apply(&world, &report, &e), OK);
    for (const char *letter = letters; *letter; letter++) {
        world.fail = *letter;
        world.times = 1;
        assert_int_equal(world_undo(&world, false, &report, &e), E_CONFIG);
        assert_int_equal(report.end, CHANGE_BACK);
        world_expect_new(&world);
        assert_int_equal(world_look(&world).applied, 1);
    }
    world.fail = 0;
    assert_int_equal(world_undo(&world, false, &report, &e), OK);
    world_expect_old(&world);
}

static void another_reload_on_the_way_back(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    world.has_back = true;
    apply_and_fail('r', 99, &report, &e);
    assert_int_equal(report.end, CHANGE_BACK);
    assert_string_equal(world.calls, "acrb");
    assert_int_equal(world_look(&world).open, 0);
    world_expect_old(&world);
}

/* The files are back, the server has not heard of it: the next run tells it. */
static void the_server_stays_away(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    apply_and_fail('r', 99, &report, &e);
    assert_int_equal(report.end, CHANGE_BACK);
    assert_int_equal(report.failed, CHANGE_STEP_RELOAD);
    assert_non_null(
        strstr(e.detail, "All files are as before, but the server has not read them again: the hook r"));
    world_expect_old(&world);
    assert_int_equal(world_look(&world).open, 1);
    assert_int_equal(world_open(&world, &report, &e), E_CONFIG);
    world.fail = 0;
    assert_int_equal(world_open(&world, &report, &e), OK);
    assert_int_equal(report.end, CHANGE_BACK);
    assert_string_equal(world.calls, "r");
    world_expect_tidy(&world);
    assert_int_equal(world_look(&world).open, 0);
}

static void interrupt(struct world *w, char letter)
{
    if (letter == 'c')
        assert_int_equal(raise(w->times ? SIGTERM : SIGINT), 0);
}

static void ctrl_c(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    sigset_t before, after;
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &before), 0);
    world.during = interrupt;
    assert_int_equal(world_apply(&world, &report, &e), E_CANCELED);
    assert_string_equal(e.message, "interrupted by signal SIGINT");
    assert_int_equal(report.end, CHANGE_BACK);
    assert_string_equal(world.calls, "acr"); /* the reload is the one of the way back */
    world_expect_old(&world);
    world.times = 1;
    assert_int_equal(world_apply(&world, &report, &e), E_CANCELED);
    assert_string_equal(e.message, "interrupted by signal SIGTERM");
    world_expect_old(&world);
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &after), 0);
    for (int i = 1; i < SIGRTMAX; i++) /* the kernel fills in a part of the set only */
        assert_int_equal(sigismember(&before, i), sigismember(&after, i));
    world.times = 0;
    assert_ptr_not_equal(signal(SIGINT, SIG_IGN), SIG_ERR);
    assert_int_equal(world_apply(&world, &report, &e), OK);
    assert_ptr_not_equal(signal(SIGINT, SIG_DFL), SIG_ERR);
}

/* SIGXFSZ would kill. */
static void files_may_not_grow(void **state)
{
    (void)state;
    struct change_report report;
    struct rlimit old, small;
    struct err e = { 0 };
    char *large = calloc(1, 1 << 16);
    assert_non_null(large);
    world.plan[1].after = bytes_of(large, 1 << 16);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){ 1 << 15, old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum code code = world_apply(&world, &report, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(code, E_IO);
    assert_non_null(strstr(e.message, "File too large"));
    world_expect_old(&world);
    world_expect_tidy(&world);
    free(large);
}

static void edited_before_it_begins(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    world_put(world.path[1], "somebody's\n", 0600);
    assert_int_equal(world_apply(&world, &report, &e), E_BAD_STATE);
    assert_int_equal(report.end, CHANGE_UNTOUCHED);
    assert_non_null(strstr(e.message, "hba.conf\" has been changed in the meantime"));
    world_expect(world.path[0], WORLD_OLD_MAIN, 0640);
    world_expect(world.path[1], "somebody's\n", 0600);
    world_put(world.path[1], WORLD_OLD_HBA, 0600);
    world_put(world.path[2], "somebody's\n", 0600);
    assert_int_equal(world_apply(&world, &report, &e), E_BAD_STATE);
    assert_non_null(strstr(e.message, "new.conf\" has been changed in the meantime"));
    assert_int_equal(unlink(world.path[2]), 0);
    assert_int_equal(unlink(world.path[0]), 0);
    assert_int_equal(world_apply(&world, &report, &e), E_BAD_STATE);
    world_expect(world.path[1], WORLD_OLD_HBA, 0600);
}

static void edit_hba(struct world *w, char letter)
{
    if (letter == 'c')
        world_put(w->path[1], "somebody's\n", 0600);
}

/* An edit that comes while the change is proved is not overwritten, unless it is asked for. */
static void edited_while_it_is_proved(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    world.during = edit_hba;
    apply_and_fail('p', 1, &report, &e);
    assert_int_equal(report.end, CHANGE_LOST);
    assert_non_null(strstr(e.detail, "not everything could be restored"));
    assert_non_null(strstr(e.detail, "hba.conf"));
    assert_non_null(strstr(e.detail, "state/private/changes/1/1.before"));
    world_expect(world.path[0], WORLD_NEW_MAIN, 0640);
    world_expect(world.path[1], "somebody's\n", 0600);
    world.fail = 0;
    world.during = NULL;
    assert_int_equal(world_open(&world, &report, &e), E_BAD_STATE);
    assert_non_null(strstr(e.hint, "--force"));
    assert_non_null(strstr(e.hint, "rm -r \""));
    assert_non_null(strstr(e.detail, "it had reached the step \"prove\""));
    struct change_params params = world_params(&world);
    AUTO(change) struct change *change = NULL;
    params.force = true;
    assert_int_equal(change_open(&params, &change, &report, &e), OK);
    assert_int_equal(report.end, CHANGE_BACK);
    world_expect_old(&world);
    world_expect(world_path(&world, "state/private/changes/1/1.found"), "somebody's\n", 0600);
}

/* What the hint says: the files stay, and there is nothing left to put back. */
static void given_up(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    world.during = edit_hba;
    apply_and_fail('p', 1, &report, &e);
    world.during = NULL;
    assert_true(tree_remove(world_path(&world, "state/private/changes/1")));
    assert_int_equal(world_open(&world, &report, &e), OK);
    assert_int_equal(world_look(&world).open, 0);
    world_expect(world.path[0], WORLD_NEW_MAIN, 0640);
    world_expect(world.path[1], "somebody's\n", 0600);
}

static void the_new_directory_is_gone(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(world_apply(&world, &report, &e), OK);
    assert_int_equal(unlink(world.path[2]), 0);
    assert_int_equal(rmdir(world_path(&world, "conf.d")), 0);
    assert_int_equal(world_undo(&world, false, &report, &e), OK);
    world_expect(world.path[0], WORLD_OLD_MAIN, 0640);
    world_expect(world.path[1], WORLD_OLD_HBA, 0600);
}

static void sentences(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = BUF_INIT(1 << 10);
    struct change_report report = { CHANGE_BACK, 3, CHANGE_STEP_PROVE };
    change_say_report(&report, &text);
    assert_str(buf_str(&text),
               "An earlier run was interrupted at the step \"prove\". All files are as they were before "
               "it.");
    struct change_status status = { .open = 3, .step = CHANGE_STEP_REPLACE };
    buf_reset(&text);
    change_say_status(&status, &text);
    assert_non_null(strstr(buf_c(&text), "A run was interrupted at the step \"replace\". The next run"));
    report.number = 0;
    status.open = 0;
    buf_reset(&text);
    change_say_report(&report, &text);
    change_say_status(&status, &text);
    assert_int_equal(text.n, 0);
}

static void edited_since(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(world_apply(&world, &report, &e), OK);
    world_put(world.path[0], WORLD_NEW_MAIN "port = 5433\n", 0644);
    assert_int_equal(world_undo(&world, false, &report, &e), E_BAD_STATE);
    assert_int_equal(report.end, CHANGE_UNTOUCHED);
    assert_non_null(strstr(e.message, "main.conf\" has been changed since it was hardened"));
    assert_non_null(strstr(e.detail, "state/private/changes/1/0.after"));
    world_expect(world.path[1], WORLD_NEW_HBA, 0600);
    assert_int_equal(world_undo(&world, true, &report, &e), OK);
    world_expect_old(&world);
    world_expect(world_path(&world, "state/private/changes/2/0.before"), WORLD_NEW_MAIN "port = 5433\n",
                 0600);
}

/* Who has put a file back by hand, or removed a new one, is not told that it was edited. */
static void put_back_by_hand(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(world_apply(&world, &report, &e), OK);
    world_put(world.path[0], WORLD_OLD_MAIN, 0600);
    assert_int_equal(unlink(world.path[2]), 0);
    assert_int_equal(world_undo(&world, false, &report, &e), OK);
    world_expect_old(&world);
}

static void changes_are_taken_back_in_turn(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(world_apply(&world, &report, &e), OK);
    struct change_file more = { .path = world.path[0],
                                .existed = true,
                                .stays = true,
                                .before = str_bytes(STR(WORLD_NEW_MAIN)),
                                .after = str_bytes(STR("third\n")) };
    struct change_params params = world_params(&world);
    struct change *change;
    assert_int_equal(change_open(&params, &change, &report, &e), OK);
    assert_int_equal(change_apply(change, &more, 1, &report, &e), OK);
    world_expect(world.path[0], "third\n", 0640);
    assert_int_equal(change_undo(change, &report, &e), OK);
    world_expect_new(&world);
    assert_int_equal(change_undo(change, &report, &e), OK);
    world_expect_old(&world);
    assert_int_equal(change_undo(change, &report, &e), E_NO_FILE);
    change_close(change);
}

static void write_by_also(struct world *w, char letter)
{
    if (letter == 'a')
        world_put(w->path[0], "by the server\n", 0640);
}

static void what_the_hook_writes_is_put_back_too(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    world.plan[0].by_also = true;
    world.during = write_by_also;
    apply_and_fail('p', 1, &report, &e);
    assert_int_equal(report.end, CHANGE_BACK);
    world_expect_old(&world);
    apply_and_fail('a', 1, &report, &e);
    world_expect_old(&world);
    world.fail = 0;
    assert_int_equal(world_apply(&world, &report, &e), OK);
    world_expect(world.path[0], "by the server\n", 0640);
    assert_int_equal(world_undo(&world, false, &report, &e), OK);
    world_expect_old(&world);
    world_expect_tidy(&world);
}

static void a_file_may_be_removed(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    world.plan[1].stays = false;
    world.plan[1].after = bytes_of("", 0);
    assert_int_equal(world_apply(&world, &report, &e), OK);
    world_expect(world.path[1], "", 0);
    assert_int_equal(world_undo(&world, false, &report, &e), OK);
    world_expect_old(&world);
}

static void open_a_second(struct world *w, char letter)
{
    struct change_params params = world_params(w);
    struct change *second;
    struct change_report report;
    struct err e = { 0 };

    if (letter != 'c')
        return;
    assert_int_equal(change_open(&params, &second, &report, &e), E_EXISTS);
    assert_non_null(strstr(e.message, "another pgseal harden is running"));
    struct change_status status = world_look(w);
    assert_true(status.running);
    assert_int_equal(status.open, 1);
    assert_int_equal(status.step, CHANGE_STEP_CHECK);
}

static void one_at_a_time(void **state)
{
    (void)state;
    struct change_report report;
    world.during = open_a_second;
    assert_int_equal(world_apply(&world, &report, NULL), OK);
    assert_string_equal(world.calls, "acrp");
}

/* ---- paths ---- */

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(from, to), 0);
}

static void links_are_followed_once(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    move(world.path[0], world_path(&world, "real.conf"));
    assert_int_equal(symlink("./state/../real.conf", world.path[0]), 0);
    assert_int_equal(mkdir(world.state, 0755), 0);
    move(world_path(&world, "conf.d"), world_path(&world, "real.d"));
    assert_int_equal(symlink("real.d", world_path(&world, "conf.d")), 0);
    assert_int_equal(world_apply(&world, &report, &e), OK);
    struct stat st;
    assert_int_equal(lstat(world.path[0], &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    world_expect(world_path(&world, "real.conf"), WORLD_NEW_MAIN, 0640);
    world_expect(world_path(&world, "real.d/new.conf"), WORLD_NEW_MORE, 0644);
    /* Moved elsewhere since. */
    assert_int_equal(unlink(world.path[0]), 0);
    world_put(world_path(&world, "other.conf"), WORLD_NEW_MAIN, 0640);
    assert_int_equal(symlink("other.conf", world.path[0]), 0);
    assert_int_equal(world_undo(&world, false, &report, &e), E_BAD_STATE);
    assert_non_null(strstr(e.message, "has become a symbolic link to another file"));
    assert_non_null(strstr(e.detail, "other.conf"));
    world_expect(world.path[1], WORLD_NEW_HBA, 0600);
}

static void a_link_is_swapped_meanwhile(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    move(world.path[0], world_path(&world, "real.conf"));
    world_put(world_path(&world, "other.conf"), "other\n", 0644);
    assert_int_equal(symlink("other.conf", world.path[0]), 0);
    assert_int_equal(world_apply(&world, &report, &e), E_BAD_STATE);
    assert_non_null(strstr(e.message, "other.conf\" has been changed in the meantime"));
    assert_int_equal(unlink(world.path[0]), 0);
    assert_int_equal(symlink("main.conf", world.path[0]), 0);
    assert_int_equal(world_apply(&world, &report, &e), E_IO);
    assert_non_null(strstr(e.message, "Too many levels of symbolic links"));
    world_expect(world.path[1], WORLD_OLD_HBA, 0600);
}

static void one_file_under_two_names(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(unlink(world.path[1]), 0);
    assert_int_equal(symlink("main.conf", world.path[1]), 0);
    world.plan[1].before = world.plan[0].before;
    assert_int_equal(world_apply(&world, &report, &e), E_PARAM);
    assert_non_null(strstr(e.message, "are the same file"));
}

static void others_may_move_something(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    const char *conf_d = world_path(&world, "conf.d");
    assert_int_equal(chmod(conf_d, 0777), 0);
    assert_int_equal(world_apply(&world, &report, &e), E_ACCESS);
    assert_non_null(strstr(e.message, "conf.d\" can be written by other accounts"));
    world_expect_old(&world);
    assert_int_equal(chmod(conf_d, 01777), 0); /* as /tmp */
    assert_int_equal(world_apply(&world, &report, &e), OK);
    assert_int_equal(world_undo(&world, false, &report, &e), OK);
    if (geteuid() != 0)
        return;
    assert_int_equal(chmod(conf_d, 0755), 0);
    assert_int_equal(chown(conf_d, 12345, 12345), 0);
    assert_int_equal(world_apply(&world, &report, &e), E_ACCESS);
    assert_non_null(strstr(e.message, "conf.d\" belongs to another account"));
    assert_int_equal(chown(conf_d, 0, 0), 0);
    move(world.path[0], world_path(&world, "real.conf"));
    assert_int_equal(symlink("real.conf", world.path[0]), 0);
    assert_int_equal(lchown(world.path[0], 12345, 12345), 0);
    assert_int_equal(world_apply(&world, &report, &e), E_ACCESS);
    assert_non_null(strstr(e.message, "main.conf\" is a link of another account"));
}

static void no_file_but_a_regular_one(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(unlink(world.path[0]), 0);
    assert_int_equal(mkfifo(world.path[0], 0600), 0);
    assert_int_equal(world_apply(&world, &report, &e), E_ACCESS);
    assert_non_null(strstr(e.message, "is not a regular file"));
    assert_int_equal(unlink(world.path[0]), 0);
    assert_int_equal(mkdir(world.path[0], 0755), 0);
    assert_int_equal(world_apply(&world, &report, &e), E_IO);
    assert_non_null(strstr(e.message, "is a directory"));
    world.plan[0].path = "main.conf";
    assert_int_equal(world_apply(&world, &report, &e), E_PARAM);
}

static void the_state_directory_is_closed(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(world_open(&world, &report, &e), OK);
    assert_int_equal(chmod(world_path(&world, "state/private"), 0750), 0);
    assert_int_equal(world_open(&world, &report, &e), E_ACCESS);
    assert_non_null(strstr(e.message, "accessible to nobody else"));
    assert_int_equal(chmod(world_path(&world, "state/private"), 0700), 0);
    assert_int_equal(chmod(world.state, 0777), 0);
    assert_int_equal(world_open(&world, &report, &e), E_ACCESS);
    assert_int_equal(rmdir(world_path(&world, "state/private/changes")), 0);
    struct change_params params = world_params(&world);
    struct change *change;
    params.uid++;
    assert_int_equal(change_open(&params, &change, &report, &e), E_ACCESS);
    assert_non_null(strstr(e.message, "the server's files belong to"));
    params = world_params(&world);
    params.state = "/no/such/place/state";
    assert_int_equal(change_open(&params, &change, &report, &e), E_NO_FILE);
}

/* With another state directory, so another lock. */
static void another_run_is_under_way(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    const char *left = world_path(&world, ".hba.conf.pgseal-old");
    world_put(left, "another's\n", 0600);
    assert_int_equal(world_apply(&world, &report, &e), E_BAD_STATE);
    assert_int_equal(report.end, CHANGE_UNTOUCHED);
    assert_non_null(strstr(e.message, "hba.conf\" is under way, or was interrupted"));
    assert_non_null(strstr(e.detail, ".hba.conf.pgseal-old"));
    world_expect_old(&world);
    world_expect(left, "another's\n", 0600);
    assert_false(os_exists(world_path(&world, ".main.conf.pgseal-new")));
    assert_int_equal(unlink(left), 0);
    assert_int_equal(world_apply(&world, &report, &e), OK);
}

static void the_record_is_damaged(void **state)
{
    (void)state;
    struct change_report report;
    struct err e = { 0 };
    assert_int_equal(world_apply(&world, &report, &e), OK);
    world_put(world_path(&world, "state/private/changes/1/manifest"),
              "pgseal change 1\napply\nfile - -\nend\n", 0600);
    assert_int_equal(world_undo(&world, false, &report, &e), E_DAMAGED);
    assert_int_equal(e.line, 3);
    assert_int_equal(unlink(world_path(&world, "state/private/changes/1/manifest")), 0);
    assert_int_equal(world_undo(&world, false, &report, &e), E_DAMAGED);
    world_expect_new(&world);
}

/* ---- accounts, access lists, disks ---- */

enum { OTHER = 54321, OTHER_GROUP = 54322 };

static void in_child_as_other(void (*body)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setresgid(OTHER_GROUP, OTHER_GROUP, OTHER_GROUP) < 0 || setresuid(OTHER, OTHER, OTHER) < 0)
            _exit(9);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* The rest of the test as an ordinary account, to which everything belongs. */
static int give_to_other(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return lchown(path, OTHER, OTHER_GROUP);
}

static void as_other(void (*body)(void))
{
    assert_int_equal(nftw(world.root, give_to_other, TREE_OPEN_MAX, FTW_PHYS), 0);
    in_child_as_other(body);
}

/* In a child a failed assertion has nowhere to jump to. */
#define INSIST(cond) ((cond) ? (void)0 : (fprintf(stderr, "line %d: %s\n", __LINE__, #cond), _exit(1)))

static void apply_where_nothing_can_be_written(void)
{
    struct change_report report;
    struct err e = { 0 };

    INSIST(world_open(&world, &report, &e) == OK);
    INSIST(chmod(world_path(&world, "conf.d"), 0555) == 0);
    INSIST(world_apply(&world, &report, &e) == E_ACCESS);
    INSIST(strstr(e.message, "conf.d\": Permission denied") && strstr(e.hint, "chown"));
    INSIST(report.end == CHANGE_UNTOUCHED && world_state(&world) == 'o');
    INSIST(chmod(world_path(&world, "conf.d"), 0755) == 0);
    INSIST(chmod(world_path(&world, "state/private/changes"), 0500) == 0);
    INSIST(world_apply(&world, &report, &e) == E_ACCESS);
    INSIST(report.end == CHANGE_UNTOUCHED && report.failed == CHANGE_STEP_BACKUP &&
           world_state(&world) == 'o');
}

static void look_at_what_is_anothers(void)
{
    struct change_params params = world_params(&world);
    struct change_status status;
    struct err e = { 0 };

    INSIST(setresuid(OTHER + 1, OTHER + 1, OTHER + 1) < 0);
    params.uid = 0;
    INSIST(change_look(&params, &status, &e) == E_ACCESS);
}

static void another_account_is_told(void **state)
{
    (void)state;
    struct change_report report;
    if (geteuid() != 0)
        skip();
    assert_int_equal(world_apply(&world, &report, NULL), OK);
    assert_int_equal(chown(world_path(&world, ""), OTHER, OTHER_GROUP), 0);
    in_child_as_other(look_at_what_is_anothers);
}

static void read_only(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    as_other(apply_where_nothing_can_be_written);
}

static void apply_to_what_is_roots(void)
{
    struct change_report report;
    struct err e = { 0 };

    INSIST(world_apply(&world, &report, &e) == E_ACCESS);
    INSIST(strstr(e.message, "\" belongs to root") && strstr(e.hint, "chown"));
    INSIST(report.end == CHANGE_UNTOUCHED && world_state(&world) == 'o');
}

static void roots_file(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    char real[OS_PATH_MAX] = "/tmp/pgseal-roots-XXXXXX";
    int fd = mkstemp(real);
    assert_true(fd >= 0);
    (void)close(fd);
    world_put(real, WORLD_OLD_MAIN, 0644);
    assert_int_equal(unlink(world.path[0]), 0);
    assert_int_equal(symlink(real, world.path[0]), 0);
    as_other(apply_to_what_is_roots);
    assert_int_equal(unlink(real), 0);
}

static void owners_stay(void **state)
{
    (void)state;
    struct change_report report;
    struct stat st;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(world.path[0], 0, OTHER_GROUP), 0);
    assert_int_equal(world_apply(&world, &report, NULL), OK);
    assert_int_equal(stat(world.path[0], &st), 0);
    assert_int_equal(st.st_gid, OTHER_GROUP);
    assert_int_equal(unlink(world.path[0]), 0);
    world_put(world.path[0], WORLD_NEW_MAIN, 0600); /* by hand, so owner and mode are others */
    assert_int_equal(world_undo(&world, false, &report, NULL), OK);
    assert_int_equal(stat(world.path[0], &st), 0);
    assert_int_equal(st.st_gid, OTHER_GROUP);
    world_expect_old(&world);
}

/* user::rw- user:54321:r-- group::r-- mask::r-- other::---, as the kernel has it. */
static const uint8_t acl[] = { 2, 0,    0,    0,    1,    0,    6,  0, 0xff, 0xff, 0xff, 0xff, 2,    0,   4,
                               0, 0x31, 0xd4, 0,    0,    4,    0,  4, 0,    0xff, 0xff, 0xff, 0xff, 16,  0,
                               4, 0,    0xff, 0xff, 0xff, 0xff, 32, 0, 0,    0,    0xff, 0xff, 0xff, 0xff };

static void access_lists_stay(void **state)
{
    (void)state;
    uint8_t found[256];
    struct change_report report;
    if (setxattr(world.path[0], "system.posix_acl_access", acl, sizeof acl, 0) != 0)
        skip();
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(i ? world_undo(&world, false, &report, NULL) : world_apply(&world, &report, NULL),
                         OK);
        assert_int_equal(getxattr(world.path[0], "system.posix_acl_access", found, sizeof found), sizeof acl);
        assert_memory_equal(found, acl, sizeof acl);
        assert_int_equal(getxattr(world.path[1], "system.posix_acl_access", found, sizeof found), -1);
    }
    world_expect_old(&world);
}

static void fill_disk(size_t leave)
{
    static char chunk[4096];
    const char *path = world_path(&world, "ballast");
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    INSIST(fd >= 0);
    while (write(fd, chunk, sizeof chunk) == (ssize_t)sizeof chunk)
        continue;
    struct stat st;
    INSIST(fstat(fd, &st) == 0 && ftruncate(fd, st.st_size - (off_t)(leave * sizeof chunk)) == 0);
    (void)close(fd);
}

/* As much room as `pages`; 1: it was enough. */
static int apply_on_a_small_disk(size_t pages)
{
    struct change_report report;
    struct err e = { 0 };

    INSIST(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    INSIST(mount("none", world.root, "tmpfs", 0, "size=512k,mode=0755") == 0);
    world_fill(&world);
    INSIST(world_open(&world, &report, &e) == OK);
    fill_disk(pages);
    enum code code = world_apply(&world, &report, &e);
    if (code == OK) {
        INSIST(world_state(&world) == 'n');
        return 1;
    }
    INSIST(code == E_DISK_FULL && world_state(&world) == 'o');
    INSIST(report.end == CHANGE_UNTOUCHED || report.end == CHANGE_BACK);
    INSIST(unlink(world_path(&world, "ballast")) == 0);
    INSIST(world_apply(&world, &report, &e) == OK && world_state(&world) == 'n');
    INSIST(world_undo(&world, false, &report, &e) == OK && world_state(&world) == 'o');
    world_expect_tidy(&world);
    return 0;
}

static void full_disk(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    int status = 0;
    size_t pages = 0;
    for (; status == 0; pages++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            _exit(apply_on_a_small_disk(pages) == 1 ? 42 : 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    assert_int_equal(WEXITSTATUS(status), 42);
    assert_true(pages > 5);
}

/* A container's file that is mounted alone. */
static int apply_to_a_mounted_file(void)
{
    struct change_report report;
    struct err e = { 0 };

    INSIST(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    INSIST(mount(world.path[0], world.path[0], NULL, MS_BIND, NULL) == 0);
    INSIST(world_apply(&world, &report, &e) == E_BAD_STATE);
    INSIST(strstr(e.message, "main.conf\" is a mount point"));
    INSIST(report.end == CHANGE_UNTOUCHED && world_state(&world) == 'o');
    return 0;
}

static void mounted_file(void **state)
{
    (void)state;
    int status;
    if (geteuid() != 0)
        skip();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(apply_to_a_mounted_file());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int set_up(void **state)
{
    (void)state;
    world_make(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_clean(&world);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(applied_and_undone),
        TEST(each_hook_fails),
        TEST(each_hook_fails_in_an_undo),
        TEST(another_reload_on_the_way_back),
        TEST(the_server_stays_away),
        TEST(ctrl_c),
        TEST(files_may_not_grow),
        TEST(given_up),
        TEST(the_new_directory_is_gone),
        TEST(sentences),
        TEST(edited_before_it_begins),
        TEST(edited_while_it_is_proved),
        TEST(edited_since),
        TEST(put_back_by_hand),
        TEST(changes_are_taken_back_in_turn),
        TEST(what_the_hook_writes_is_put_back_too),
        TEST(a_file_may_be_removed),
        TEST(one_at_a_time),
        TEST(links_are_followed_once),
        TEST(a_link_is_swapped_meanwhile),
        TEST(one_file_under_two_names),
        TEST(others_may_move_something),
        TEST(no_file_but_a_regular_one),
        TEST(the_state_directory_is_closed),
        TEST(another_run_is_under_way),
        TEST(the_record_is_damaged),
        TEST(another_account_is_told),
        TEST(read_only),
        TEST(roots_file),
        TEST(owners_stay),
        TEST(access_lists_stay),
        TEST(full_disk),
        TEST(mounted_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
