/* Changes of a gate's files, made on the disk: which are told, as what, and when. */
#include "../pki/made.h"
#include "../tree.h"
#include "base/secret.h"
#include "gate/load/snapshot.h"
#include "gate/steward/watch.h"
#include "net/loop.h"
#include "os/files.h"
#include "pki/cert.h"
#include "pki/key.h"
#include "tls/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SETTLE_MS = 1000,   /* of silence, as watch.h promises */
    SILENCE_MS = 1500,  /* after which a change would have been told */
    PATIENCE_MS = 20000 /* of a busy machine */
};

/* A directory with the files of one gate, and what was told of them. */
struct place {
    char dir[64];
    struct loop *loop;
    struct timer *timer;
    struct watch *watch;
    struct snapshot *snapshot;
    struct tls_library *library;
    struct buf cert; /* PEM, as server.crt begins */
    unsigned told;
    enum watch_change change;
    int64_t told_ms;
};

static void on_change(void *arg, enum watch_change change)
{
    struct place *p = arg;

    p->told++;
    p->change = change;
    p->told_ms = loop_now_ms(p->loop);
    watch_mark(p->watch); /* as a reload does */
    loop_stop(p->loop);
}

static void on_timer(void *arg)
{
    loop_stop(arg);
}

/* ---- files ---- */

static const char *path_in(const struct place *p, const char *name)
{
    static char room[2][OS_PATH_MAX];
    static unsigned turn;
    char *path = room[turn++ % 2];

    (void)snprintf(path, OS_PATH_MAX, "%s/%s", p->dir, name);
    return path;
}

/* In place: the file stays the same one. */
static void write_file(const struct place *p, const char *name, const char *content)
{
    FILE *file = fopen(path_in(p, name), "w");

    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void replace_file(const struct place *p, const char *name, const char *content)
{
    write_file(p, "new", content);
    assert_int_equal(rename(path_in(p, "new"), path_in(p, name)), 0);
}

static void point_link(const struct place *p, const char *link, const char *target)
{
    assert_int_equal(symlink(target, path_in(p, "new")), 0);
    assert_int_equal(rename(path_in(p, "new"), path_in(p, link)), 0);
}

/* ---- a gate's place ---- */

/* The files are read as a gate reads them, so what is first in them must be right. */
static void load(struct place *p, const char *settings)
{
    struct env env = made_env();
    struct secret passphrase = { 0 };
    const struct snapshot_params params = { .dir = p->dir,
                                            .libraries = &p->library,
                                            .n_workers = 1,
                                            .passphrase = &passphrase,
                                            .env = &env,
                                            .generation = 1 };
    struct snapshot *snapshot = NULL;
    struct arena arena;
    struct diags diags;

    write_file(p, "pgseal.conf", settings);
    arena_init(&arena, 1 << 20, 4096);
    diags_init(&diags, &arena);
    enum code code = snapshot_load(&params, &snapshot, &diags);
    arena_fini(&arena);
    assert_int_equal(code, OK);
    snapshot_unref(p->snapshot);
    p->snapshot = snapshot;
}

static void follow(struct place *p, const char *settings)
{
    load(p, settings);
    watch_follow(p->watch, p->snapshot);
    watch_mark(p->watch);
}

static void make_files(struct place *p)
{
    struct made made = made_ca("watched", KEY_P256);
    AUTO(buf) struct buf key = BUF_INIT(OS_FILE_LIMIT);

    p->cert = BUF_INIT(OS_FILE_LIMIT);
    assert_int_equal(cert_to_pem(made.cert, &p->cert), OK);
    assert_int_equal(key_to_pem(made.key, NULL, &key, NULL), OK);
    write_file(p, "server.crt", buf_c(&p->cert));
    write_file(p, "server.key", buf_c(&key));
    assert_int_equal(chmod(path_in(p, "server.key"), 0600), 0);
    write_file(p, "pg_hba.conf", "local all all peer\n");
    write_file(p, "pg_ident.conf", "");
    made_free(&made);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    assert_non_null(p);
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/pgseal-watch-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->loop = loop_new();
    assert_non_null(p->loop);
    p->timer = timer_new(p->loop, on_timer, p->loop);
    p->watch = watch_new(p->loop, on_change, p);
    assert_non_null(p->timer);
    assert_non_null(p->watch);
    p->library = tls_library_new();
    assert_non_null(p->library);
    make_files(p);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;

    watch_free(p->watch);
    timer_close(p->timer);
    loop_free(p->loop);
    snapshot_unref(p->snapshot);
    tls_library_free(p->library);
    buf_fini(&p->cert);
    assert_true(tree_remove(p->dir));
    free(p);
    return 0;
}

#define TLS "ssl = on\n"

static void run_for(struct place *p, int64_t ms)
{
    p->told = 0;
    timer_set(p->timer, ms);
    loop_run(p->loop);
    timer_stop(p->timer);
}

static void assert_told(struct place *p, enum watch_change change)
{
    run_for(p, PATIENCE_MS);
    assert_int_equal(p->told, 1);
    assert_int_equal(p->change, change);
}

static void assert_silent(struct place *p)
{
    run_for(p, SILENCE_MS);
    assert_int_equal(p->told, 0);
}

/* ---- what is told ---- */

static void written_replaced_or_made_readable(void **state)
{
    struct place *p = *state;

    follow(p, TLS);
    write_file(p, "server.crt", "one");
    assert_told(p, WATCH_CERTIFICATES);
    replace_file(p, "server.crt", "two");
    assert_told(p, WATCH_CERTIFICATES);
    assert_int_equal(chmod(path_in(p, "server.key"), 0640), 0);
    assert_told(p, WATCH_CERTIFICATES);
    assert_int_equal(unlink(path_in(p, "server.crt")), 0);
    assert_told(p, WATCH_CERTIFICATES);
    write_file(p, "server.crt", "three");
    assert_told(p, WATCH_CERTIFICATES);
}

/* server.crt → ..data/server.crt, ..data → one: as Kubernetes mounts a Secret. */
static void a_link_is_swapped(void **state)
{
    struct place *p = *state;

    assert_int_equal(mkdir(path_in(p, "one"), 0700), 0);
    assert_int_equal(mkdir(path_in(p, "two"), 0700), 0);
    write_file(p, "one/server.crt", buf_c(&p->cert));
    write_file(p, "two/server.crt", "two");
    point_link(p, "..data", "one");
    point_link(p, "server.crt", "..data/server.crt");
    follow(p, TLS);
    point_link(p, "..data", "two");
    assert_told(p, WATCH_CERTIFICATES);
}

static void a_revocation_list_comes_into_its_directory(void **state)
{
    struct place *p = *state;

    assert_int_equal(mkdir(path_in(p, "crls"), 0700), 0);
    follow(p, TLS "ssl_crl_dir = 'crls'\n");
    write_file(p, "crls/0a.r0", "list");
    assert_told(p, WATCH_CERTIFICATES);
}

static void rules_that_are_replaced(void **state)
{
    struct place *p = *state;

    follow(p, TLS "reload_on_change = all\n");
    replace_file(p, "pg_hba.conf", "local all all reject\n");
    assert_told(p, WATCH_EVERYTHING);
    replace_file(p, "pgseal.conf", TLS);
    write_file(p, "server.crt", "with them");
    assert_told(p, WATCH_EVERYTHING);
}

/* Nobody saw it happen: the watch began afterwards. */
static void what_changed_before_it_was_watched(void **state)
{
    struct place *p = *state;

    follow(p, TLS);
    write_file(p, "server.crt", "meanwhile");
    watch_follow(p->watch, p->snapshot);
    assert_told(p, WATCH_CERTIFICATES);
}

/* ---- what is not ---- */

/* An editor's save, the same bytes again, a neighbour's file: each in a directory that is watched. */
static void nothing_that_matters(void **state)
{
    struct place *p = *state;

    follow(p, TLS "reload_on_change = all\n");
    write_file(p, "server.crt", buf_c(&p->cert));
    replace_file(p, "server.crt", buf_c(&p->cert));
    write_file(p, "pg_hba.conf", "local all all reject\n");
    write_file(p, "pgseal.log", "a line\n");
    assert_silent(p);
}

static void rules_count_only_where_asked_for(void **state)
{
    struct place *p = *state;

    follow(p, TLS);
    replace_file(p, "pg_hba.conf", "local all all reject\n");
    replace_file(p, "pgseal.conf", "port = 1\n");
    assert_silent(p);
}

static void nothing_at_all(void **state)
{
    struct place *p = *state;

    follow(p, TLS "reload_on_change = off\n");
    write_file(p, "server.crt", "one");
    assert_silent(p);
}

static void without_tls_its_files_do_not_matter(void **state)
{
    struct place *p = *state;

    follow(p, "ssl = off\n");
    write_file(p, "server.crt", "one");
    assert_silent(p);
}

/* ---- when ---- */

static void once_and_after_a_second_of_silence(void **state)
{
    struct place *p = *state;

    follow(p, TLS);
    write_file(p, "server.crt", "one");
    run_for(p, SETTLE_MS / 2);
    assert_int_equal(p->told, 0);
    write_file(p, "server.key", "two");
    int64_t last_ms = loop_now_ms(p->loop);
    assert_told(p, WATCH_CERTIFICATES);
    assert_true(p->told_ms - last_ms >= SETTLE_MS);
    assert_silent(p);
}

/* What is put back before it has settled has not changed. */
static void a_change_that_is_undone(void **state)
{
    struct place *p = *state;

    follow(p, TLS);
    write_file(p, "server.crt", "two");
    run_for(p, SETTLE_MS / 2);
    write_file(p, "server.crt", buf_c(&p->cert));
    run_for(p, SETTLE_MS + SILENCE_MS);
    assert_int_equal(p->told, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_replaced_or_made_readable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_is_swapped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_revocation_list_comes_into_its_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rules_that_are_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_changed_before_it_was_watched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_that_matters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rules_count_only_where_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_tls_its_files_do_not_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(once_and_after_a_second_of_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_is_undone, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
