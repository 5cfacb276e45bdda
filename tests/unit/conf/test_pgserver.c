/* A PostgreSQL server's files: which half leads to the other, and which line counts. */
#include "../unit.h"

#include "base/arena.h"
#include "conf/pgserver.h"
#include "lex/conf_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[64];
static struct arena arena;

static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(top, sizeof top, "/tmp/pgserver.XXXXXX");
    assert_non_null(mkdtemp(top));
    assert_int_equal(chdir(top), 0);
    assert_int_equal(mkdir("data", 0700), 0);
    assert_int_equal(mkdir("etc", 0700), 0);
    arena_init(&arena, 1 << 22, 4096);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const made[] = { "data/PG_VERSION",           "data/postgresql.conf",
                                        "data/postgresql.auto.conf", "data/postmaster.opts",
                                        "data/postmaster.pid",       "etc/postgresql.conf" };

    (void)state;
    arena_fini(&arena);
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        (void)unlink(made[i]);
    (void)rmdir("data");
    (void)rmdir("etc");
    assert_int_equal(chdir("/"), 0);
    return rmdir(top);
}

static void expect(const struct pgserver *pg, const char *name, const char *value)
{
    struct str found = pgserver_value(pg, name);

    assert_non_null(found.p);
    assert_int_equal(found.n, strlen(value));
    assert_memory_equal(found.p, value, found.n);
}

static void test_order(void **state)
{
    const struct conf_fs disk = conf_fs_disk();
    char path[OS_PATH_MAX], cert[OS_PATH_MAX];
    struct pgserver pg;
    struct err e;

    (void)state;
    put("data/PG_VERSION", "17\n");
    put("data/postgresql.conf", "port = 1\nSSL = on\nwork_mem = 1MB\nport = 2\n");
    put("data/postgresql.auto.conf", "work_mem = '2MB'\nport = 3\nssl_cert_file = 'my.crt'\n");
    put("data/postmaster.opts", "/usr/lib/postgresql/17/bin/postgres \"-D\" \"data\" \"-p\" \"4\"\n");
    assert_int_equal(os_path(top, "data", path, &e), OK);
    assert_int_equal(pgserver_read(&disk, path, &arena, &pg), OK);
    assert_int_equal(pg.version, 17);
    assert_string_equal(pg.data_dir, path);
    assert_string_equal(pg.config_dir, path);
    assert_int_equal(pg.opts_error.code, OK);
    expect(&pg, "port", "4");
    expect(&pg, "work_mem", "2MB");
    expect(&pg, "ssl", "on");
    assert_null(pgserver_value(&pg, "hba_file").p);
    assert_int_equal(pgserver_path(&pg, "ssl_cert_file", "server.crt", cert, &e), OK);
    assert_string_equal(cert + strlen(path), "/my.crt");
    assert_int_equal(pgserver_path(&pg, "ssl_ca_file", "", cert, &e), OK);
    assert_string_equal(cert, "");
}

/* Debian's two halves, from either side; and a file in the working directory, whose name has no slash. */
static void test_halves(void **state)
{
    const struct conf_fs disk = conf_fs_disk();
    struct pgserver pg;
    char text[256];

    (void)state;
    put("data/PG_VERSION", "9.6\n");
    (void)snprintf(text, sizeof text, "data_directory = '%s/data'\nport = 5\n", top);
    put("etc/postgresql.conf", text);
    (void)snprintf(text, sizeof text, "postgres \"-c\" \"config_file=%s/etc/postgresql.conf\"\n", top);
    put("data/postmaster.opts", text);
    assert_int_equal(pgserver_read(&disk, "data", &arena, &pg), OK);
    assert_int_equal(pg.version, 9);
    expect(&pg, "port", "5");
    assert_int_equal(pgserver_read(&disk, "etc", &arena, &pg), OK);
    assert_string_equal(pg.data_dir + strlen(top), "/data");
    expect(&pg, "port", "5");
    assert_int_equal(chdir("etc"), 0);
    assert_int_equal(pgserver_read(&disk, "postgresql.conf", &arena, &pg), OK);
    assert_string_equal(pg.config_dir, ".");
    assert_string_equal(pg.data_dir + strlen(top), "/data");
    assert_int_equal(chdir(top), 0);
}

static void test_missing(void **state)
{
    const struct conf_fs disk = conf_fs_disk();
    struct pgserver pg;

    (void)state;
    put("data/PG_VERSION", "none\n");
    put("data/postmaster.opts", "postgres \"-p\n");
    assert_int_equal(pgserver_read(&disk, "data", &arena, &pg), OK);
    assert_null(pg.config.path);
    assert_int_equal(pg.version, 0);
    assert_string_equal(pg.opts_error.message, "the last argument has no closing quote");
    put("etc/postgresql.conf", "data_directory = '/nowhere/at/all'\nport = \n");
    assert_int_equal(pgserver_read(&disk, "etc", &arena, &pg), OK);
    assert_null(pg.data_dir);
    assert_string_equal(pg.named_dir, "/nowhere/at/all");
    assert_int_equal(pg.config.code, E_CONFIG);
}

static void test_process(void **state)
{
    struct pgserver_process process;

    (void)state;
    assert_false(pgserver_process("data", &process));
    put("data/postmaster.pid", "12\n/data\n1700000000\n5433\n/tmp\nlocalhost\n  5432001         0\nready\n");
    assert_true(pgserver_process("data", &process));
    assert_int_equal(process.pid, 12);
    assert_int_equal(process.port, 5433);
    assert_string_equal(process.address, "localhost");
    put("data/postmaster.pid", "12\n/data\n"); /* it is only starting */
    assert_true(pgserver_process("data", &process));
    assert_int_equal(process.port, 0);
    assert_string_equal(process.address, "");
    put("data/postmaster.pid", "1\n");
    assert_false(pgserver_process("data", &process));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_halves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_process, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
