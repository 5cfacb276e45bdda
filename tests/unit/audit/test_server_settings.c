/* A server's settings: which line counts, the defaults of each version, values that are refused. */
#include "../unit.h"

#include "audit/server_settings.h"
#include "base/arena.h"
#include "base/check.h"
#include "conf/settings.h"

static struct arena arena;

static struct settings *made(struct subject_setting *raw, size_t n, struct audit_subject *subject)
{
    struct settings *settings;

    arena_reset(&arena);
    assert_int_equal(server_settings_rank(raw, n, &arena), OK);
    assert_int_equal(server_settings_make(raw, n, subject, &arena, &settings), OK);
    return settings;
}

static void defaults_are_the_versions(void **state)
{
    struct audit_subject old = { .version = 12, .dir = STR("/data") },
                         new = { .version = 18, .dir = STR("/data") };

    (void)state;
    struct settings *settings = made(NULL, 0, &old);
    assert_false(settings->ssl);
    assert_int_equal(settings->ssl_min_protocol_version, CONF_TLS_1_0);
    assert_int_equal(settings->password_encryption, CONF_PASSWORD_MD5);
    assert_str(settings->ssl_groups, "prime256v1");
    assert_string_equal(settings->ssl_cert_file.path, "/data/server.crt");
    assert_null(settings->hba_file.path);
    settings_unref(settings);
    settings = made(NULL, 0, &new);
    assert_int_equal(settings->ssl_min_protocol_version, CONF_TLS_1_2);
    assert_int_equal(settings->password_encryption, CONF_PASSWORD_SCRAM);
    assert_str(settings->ssl_groups, "X25519:prime256v1");
    settings_unref(settings);
}

static void the_last_of_the_strongest_counts(void **state)
{
    struct subject_setting raw[] = {
        { .name = STR("PORT"), .value = STR("5439"), .source = SUBJECT_FROM_COMMAND_LINE },
        { .name = STR("port"), .value = STR("5433"), .source = SUBJECT_FROM_FILE },
        { .name = STR("ssl"), .value = STR("off"), .source = SUBJECT_FROM_AUTO_FILE },
        { .name = STR("ssl"), .value = STR("on"), .source = SUBJECT_FROM_FILE, .line = 1 },
        { .name = STR("ssl"), .value = STR("on"), .source = SUBJECT_FROM_AUTO_FILE, .line = 2 },
        { .name = STR("work_mem"), .value = STR("it's '\\ odd"), .source = SUBJECT_FROM_FILE },
        { .name = STR("ssl_ca_file"), .value = STR("it's \\n"), .source = SUBJECT_FROM_FILE },
        { .name = STR("password_encryption"), .value = STR("on"), .source = SUBJECT_FROM_FILE },
    };
    struct audit_subject subject = { .version = 15, .dir = STR("/data") };

    (void)state;
    struct settings *settings = made(raw, COUNT_OF(raw), &subject);
    assert_int_equal(settings->port, 5439);
    assert_true(settings->ssl);
    assert_int_equal(subject_raw(&subject, "ssl")->line, 2);
    assert_string_equal(settings->ssl_ca_file.path, "/data/it's \\n");
    assert_int_equal(settings->password_encryption, CONF_PASSWORD_MD5);
    assert_int_equal(subject.n_broken_settings, 0);
    settings_unref(settings);
}

static void a_refused_value_is_told_and_does_not_count(void **state)
{
    struct subject_setting raw[] = {
        { .name = STR("ssl"),
          .value = STR("maybe"),
          .source = SUBJECT_FROM_FILE,
          .file = STR("f"),
          .line = 7 },
        { .name = STR("port"),
          .value = STR("99999"),
          .source = SUBJECT_FROM_FILE,
          .file = STR("f"),
          .line = 9 },
    };
    struct audit_subject subject = { .version = 15, .dir = STR("/data") };

    (void)state;
    struct settings *settings = made(raw, COUNT_OF(raw), &subject);
    assert_int_equal(settings->port, 5432);
    assert_int_equal(subject.n_broken_settings, 2);
    assert_int_equal(subject.broken_settings[0].line, 7);
    assert_str(subject.broken_settings[0].error, "parameter \"ssl\" requires a Boolean value");
    assert_int_equal(subject.broken_settings[1].line, 9);
    settings_unref(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_versions),
        cmocka_unit_test(the_last_of_the_strongest_counts),
        cmocka_unit_test(a_refused_value_is_told_and_does_not_count),
    };

    arena_init(&arena, 64 << 20, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
