/* Checks whose facts no machine of a test has: FIPS mode, old libraries, dates. */
#include "../unit.h"

#include "audit/audit.h"
#include "audit/server_settings.h"
#include "audit/subject_live.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "lex/hba_lex.h"
#include "policy/match.h"
#include "policy/policy.h"

static struct arena arena;

/* The report on a server with these settings, written as NAME, VALUE, … */
struct judged {
    bool gate; /* it is one, no server */
    struct audit_subject subject;
    struct settings *settings;
    struct audit_report report;
};

static void judge(struct judged *j, const char *const *settings)
{
    struct subject_setting *raw;
    size_t n = 0;

    arena_reset(&arena);
    while (settings[2 * n])
        n++;
    raw = arena_array(&arena, n, sizeof *raw);
    assert_non_null(raw);
    for (size_t i = 0; i < n; i++)
        raw[i] = (struct subject_setting){ .name = str_c(settings[2 * i]),
                                           .value = str_c(settings[2 * i + 1]),
                                           .in_force = true };
    j->subject.kind = j->gate ? SUBJECT_GATE : SUBJECT_SERVER;
    j->subject.dir = STR("/nonexistent");
    j->subject.now_unix_s = j->subject.now_unix_s ? j->subject.now_unix_s : 1796000000; /* 2026-11-30 */
    assert_int_equal(server_settings_make(raw, n, &j->subject, &arena, &j->settings), OK);
    assert_int_equal(audit_run(&j->subject, PROFILE_DEFAULT, &arena, &j->report), OK);
}

static bool fires(const struct judged *j, enum check check)
{
    for (size_t i = 0; i < j->report.findings.n; i++)
        if (j->report.findings.items[i].check == check)
            return true;
    return false;
}

static void expect_fips(enum subject_fips fips, const char *groups, const char *oldest, bool groups_fail,
                        bool ems)
{
    const char *const settings[] = { "ssl",  "on", "ssl_min_protocol_version", oldest, "ssl_groups",
                                     groups, NULL };
    struct judged j = { .subject = { .version = 18, .fips = fips } };

    judge(&j, settings);
    assert_int_equal(fires(&j, CHECK_GROUPS_FAIL_IN_FIPS), groups_fail);
    assert_int_equal(fires(&j, CHECK_FIPS_EMS), ems);
    assert_int_equal(fires(&j, CHECK_FIPS_OFF), fips == FIPS_OFF);
    settings_unref(j.settings);
}

/* What a gate's own OpenSSL cannot have is no finding; a server's may be another one. */
static void post_quantum(void **state)
{
    static const struct {
        bool gate;
        const char *openssl;
        bool found;
    } cases[] = {
        { true, "3.0", false }, { true, "3.4", false }, { true, "3.5", true }, { false, "3.0", true }
    };
    const char *const settings[] = { "ssl", "on", "ssl_groups", "X25519:prime256v1", NULL };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct judged j = { .gate = cases[i].gate,
                            .subject = { .version = 18, .openssl = str_c(cases[i].openssl) } };
        judge(&j, settings);
        assert_int_equal(fires(&j, CHECK_GROUPS_NO_PQ), cases[i].found);
        settings_unref(j.settings);
    }
}

static void fips_mode(void **state)
{
    (void)state;
    expect_fips(FIPS_ON, "X25519:prime256v1", "TLSv1.2", true, true);
    expect_fips(FIPS_ON, "*prime256v1:?X25519", "TLSv1.3", false, false); /* may be left out */
    expect_fips(FIPS_ON, "prime256v1:secp384r1", "TLSv1.3", false, false);
    expect_fips(FIPS_ON, "X25519MLKEM768:prime256v1", "TLSv1.3", false, false);
    expect_fips(FIPS_OFF, "X25519:prime256v1", "TLSv1.2", false, false);
    expect_fips(FIPS_UNSEEN, "X25519:prime256v1", "TLSv1.2", false, false);
}

static void expect_release(unsigned version, unsigned minor, const char *openssl, bool outdated, bool old)
{
    static const char *const settings[] = { "ssl", "off", NULL };
    struct judged j = { .subject = { .version = version,
                                     .minor = minor,
                                     .minor_seen = true,
                                     .openssl = str_c(openssl),
                                     .openssl_of = STR("x") } };

    judge(&j, settings);
    assert_int_equal(fires(&j, CHECK_VERSION_OUTDATED), outdated);
    assert_int_equal(fires(&j, CHECK_OPENSSL_UNSUPPORTED), old);
    settings_unref(j.settings);
}

static void releases(void **state)
{
    (void)state;
    expect_release(18, 0, "3.0", true, true);
    expect_release(18, 99, "3.5", false, false);
    expect_release(17, 2, "1.1", true, true);
    expect_release(13, 0, "", false, false); /* unsupported altogether, which says more */
    expect_release(99, 0, "9.9", false, false);
}

static void expect_port(enum live_answer plaintext, bool from_here, bool fires_too)
{
    static const char *const settings[] = { "ssl", "on", NULL };
    struct subject_live live = { .port = { .answered = true,
                                           .endpoint = STR("db:5432"),
                                           .tls = LIVE_YES,
                                           .plaintext = plaintext,
                                           .from_here = from_here } };
    struct judged j = { .subject = { .version = 18, .live = &live } };

    judge(&j, settings);
    assert_int_equal(fires(&j, CHECK_PORT_TAKES_PLAINTEXT), fires_too);
    settings_unref(j.settings);
}

static void ports(void **state)
{
    (void)state;
    expect_port(LIVE_YES, false, true);
    expect_port(LIVE_YES, true, false); /* rules for this machine say nothing about others */
    expect_port(LIVE_NO, false, false);
    expect_port(LIVE_UNKNOWN, false, false);
}

/* ---- samenet ---- */

static int read_rules(void *ctx, const char *path, struct buf *out)
{
    (void)path;
    return buf_append_c(out, ctx) ? 0 : 12;
}

static bool list_one(void *ctx, bool (*each)(void *arg, const struct iface *iface), void *arg)
{
    const struct iface loopback = { AF_INET, { 127, 0, 0, 1 }, { 255 } };

    return each(arg, &loopback) && each(arg, ctx);
}

static void expect_samenet(const struct iface *iface, bool live, bool fires_too)
{
    static const char *const settings[] = { "ssl", "on", NULL };
    static const char rules[] = "hostssl app ann samenet scram-sha-256\n";
    const struct hba_lex_fs fs = { read_rules, NULL, NULL, (void *)(uintptr_t)rules };
    const struct iface_source source = { list_one, (void *)(uintptr_t)iface };
    const struct policy_params params = { .hba_file = STR("/x/pg_hba.conf"), .fs = &fs, .ssl_on = true };
    struct subject_live nothing = { .n_sessions = 0 };
    AUTO(policy) struct policy *policy = NULL;
    struct judged j = { .subject = { .version = 18, .ifaces = &source, .live = live ? &nothing : NULL } };
    struct diags diags;

    arena_reset(&arena);
    diags_init(&diags, &arena);
    assert_int_equal(policy_load(&params, &policy, &diags), OK);
    j.subject.policy = policy;
    judge(&j, settings);
    assert_int_equal(fires(&j, CHECK_ANY_ADDRESS), fires_too);
    settings_unref(j.settings);
}

static void samenet(void **state)
{
    const struct iface wide = { AF_INET, { 10, 1, 2, 3 }, { 255, 255 } },
                       narrow = { AF_INET, { 10, 1, 2, 3 }, { 255, 255, 255 } },
                       wide6 = { AF_INET6, { 0xfd }, { 255, 255, 255 } };

    (void)state;
    expect_samenet(&wide, false, true);
    expect_samenet(&narrow, false, false);
    expect_samenet(&wide6, false, true);
    expect_samenet(&wide, true, false); /* these are not that server's interfaces */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(post_quantum), cmocka_unit_test(fips_mode), cmocka_unit_test(releases),
        cmocka_unit_test(ports),        cmocka_unit_test(samenet),
    };

    arena_init(&arena, 64 << 20, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
