/* The command line that a server was last started with. */
#include "../unit.h"

#include "../mangle.h"
#include "base/arena.h"
#include "base/check.h"
#include "lex/postmaster_opts.h"

static struct arena arena;

static struct postmaster_opts parsed(const char *text)
{
    struct postmaster_opts opts;
    struct err e;

    arena_reset(&arena);
    assert_int_equal(postmaster_opts_parse(str_c(text), &arena, &opts, &e), OK);
    return opts;
}

static void assert_opt(const struct postmaster_opts *opts, size_t i, const char *name, const char *value)
{
    assert_true(i < opts->n);
    assert_str(opts->items[i].name, name);
    assert_str(opts->items[i].value, value);
}

static void reads_what_debian_writes(void **state)
{
    (void)state;
    struct postmaster_opts opts = parsed(
        "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/var/lib/postgresql/15/main\" \"-c\" "
        "\"config_file=/etc/postgresql/15/main/postgresql.conf\"\n");
    assert_str(opts.program, "/usr/lib/postgresql/15/bin/postgres");
    assert_str(opts.data_directory, "/var/lib/postgresql/15/main");
    assert_int_equal(opts.n, 1);
    assert_opt(&opts, 0, "config_file", "/etc/postgresql/15/main/postgresql.conf");
}

static void reads_letters_and_long_options(void **state)
{
    (void)state;
    struct postmaster_opts opts = parsed(
        "postgres \"-D/data\" \"-il\" \"-p\" \"5433\" \"-cssl-ca-file=a b.crt\" "
        "\"--log-connections=on\" \"-F\" \"-B\" \"64\" \"--ssl\" \"-h\" \"\"\n");
    assert_str(opts.program, "postgres");
    assert_str(opts.data_directory, "/data");
    assert_int_equal(opts.n, 7);
    assert_opt(&opts, 0, "listen_addresses", "*");
    assert_opt(&opts, 1, "ssl", "on");
    assert_opt(&opts, 2, "port", "5433");
    assert_opt(&opts, 3, "ssl_ca_file", "a b.crt");
    assert_opt(&opts, 4, "log_connections", "on");
    assert_opt(&opts, 5, "ssl", "true");
    assert_opt(&opts, 6, "listen_addresses", "");
}

static void says_what_is_half_written(void **state)
{
    struct postmaster_opts opts;
    struct err e;

    (void)state;
    arena_reset(&arena);
    assert_int_equal(postmaster_opts_parse(STR("postgres \"-D\" \"/data"), &arena, &opts, &e), E_CONFIG);
    assert_string_equal(e.message, "the last argument has no closing quote");
    assert_int_equal(postmaster_opts_parse(STR("postgres \"-p"), &arena, &opts, &e), E_CONFIG);
    assert_int_equal(postmaster_opts_parse(STR(""), &arena, &opts, &e), OK);
    assert_int_equal(opts.n, 0);
}

static void feed(void *arg, struct bytes input)
{
    struct postmaster_opts opts;
    struct err e;

    (void)arg;
    arena_reset(&arena);
    if (postmaster_opts_parse(str_from_bytes(input), &arena, &opts, &e) == OK)
        for (size_t i = 0; i < opts.n; i++)
            assert_true(opts.items[i].name.n + opts.items[i].value.n <= input.n + sizeof "listen_addresses");
}

static void survives_damage(void **state)
{
    (void)state;
    assert_true(mangle(str_bytes(STR("p \"-D\" \"/d\" \"-il\" \"-c\" \"a=b\" \"--x-y=z\"\n")), feed, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_debian_writes),
        cmocka_unit_test(reads_letters_and_long_options),
        cmocka_unit_test(says_what_is_half_written),
        cmocka_unit_test(survives_damage),
    };

    arena_init(&arena, 64 << 20, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
