/* Rollovers of a CA: the journal, the files of roots, and who is ready. */
#include "../unit.h"

#include "../pki/made.h"
#include "pki/ca_next.h"
#include "pki/trust.h"
#include "renew/rollover_past.h"
#include "renew/rollover_ready.h"
#include "renew/rollover_text.h"

static struct arena arena;

/* ---- the journal ---- */

static struct rollover_past past_of(struct str text)
{
    struct rollover_past past;
    struct err e;

    arena_reset(&arena);
    assert_int_equal(rollover_past_read(text, &arena, &past, &e), OK);
    return past;
}

#define WHOLE                                                                                                \
    "2026-11-29T23:30:00Z start own /etc/pg seal/ca\n2026-11-29T23:30:00Z step roots\n"                      \
    "2026-11-29T23:30:01Z started\n2026-11-30T00:00:00Z servers\n2026-11-30T00:00:00Z step issue\n"          \
    "2026-11-30T00:00:01Z failed issue: no key\n2026-11-30T00:01:00Z step issue\n"                           \
    "2026-11-30T00:01:01Z served\n2026-11-30T01:00:00Z finish\n2026-11-30T01:00:00Z finished\n"

/* Killed wherever it may be: the phase is the last one whose line is whole. */
static void the_journal_cut_at_every_byte(void **state)
{
    static const struct {
        const char *after;
        enum rollover_phase phase;
        enum rollover_step step;
        bool issued;
    } seen[] = {
        { "", ROLLOVER_IDLE, ROLLOVER_STEP_NONE, false },
        { "seal/ca\n", ROLLOVER_STARTING, ROLLOVER_STEP_NONE, false },
        { "step roots\n", ROLLOVER_STARTING, ROLLOVER_STEP_ROOTS, false },
        { "started\n", ROLLOVER_STARTED, ROLLOVER_STEP_NONE, false },
        { "servers\n", ROLLOVER_ISSUING, ROLLOVER_STEP_NONE, true },
        { "step issue\n", ROLLOVER_ISSUING, ROLLOVER_STEP_ISSUE, true },
        { "served\n", ROLLOVER_ISSUED, ROLLOVER_STEP_NONE, true },
        { "finish\n", ROLLOVER_FINISHING, ROLLOVER_STEP_NONE, true },
        { "finished\n", ROLLOVER_FINISHED, ROLLOVER_STEP_NONE, true },
    };
    struct str whole = STR(WHOLE);
    size_t at = 0;

    (void)state;
    for (size_t n = 0; n <= whole.n; n++) {
        struct str cut = str_first(whole, n);
        while (at + 1 < COUNT_OF(seen) && str_ends(cut, str_c(seen[at + 1].after)))
            at++;
        struct rollover_past past = past_of(cut);
        assert_int_equal(past.phase, seen[at].phase);
        assert_int_equal(past.step, seen[at].step);
        assert_int_equal(past.issued, seen[at].issued);
        assert_int_equal(past.start_unix_s != 0, at > 0);
        if (at > 0)
            assert_str(past.ca_dir, "/etc/pg seal/ca");
        assert_int_equal(past.both_us != 0, past.phase >= ROLLOVER_STARTED);
    }
    assert_int_equal(at, COUNT_OF(seen) - 1);
}

/* Evidence is told from that of an earlier rollover to the microsecond. */
static void times_have_fractions(void **state)
{
    static const struct {
        const char *time;
        int64_t us;
    } read[] = { { "1970-01-01T00:00:02Z", 2000000 },   { "1970-01-01T00:00:02.123456Z", 2123456 },
                 { "1970-01-01T00:00:02.5Z", 2500000 }, { "1970-01-01T00:00:02.000001Z", 2000001 },
                 { "1970-01-01T00:00:02.Z", 0 },        { "1970-01-01T00:00:02.1234567Z", 0 },
                 { "1970-01-01T00:00:02.+12345Z", 0 },  { "1970-01-01T00:00:02.12 Z", 0 },
                 { "1970-01-01T00:00:02.123456", 0 },   { "1970-01-01T00:00:02,5Z", 0 } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(read); i++) {
        AUTO(buf) struct buf text = BUF_INIT(1024);
        buf_printf(&text, "%s start own /ca\n%s started\n", read[i].time, read[i].time);
        assert_int_equal(past_of(buf_str(&text)).both_us, read[i].us);
    }
}

static void a_failure_counts_until_the_next_step(void **state)
{
    (void)state;
    assert_str(past_of(STR("2026-11-29T23:30:00Z start bundle\n2026-11-29T23:30:00Z step reload\n"
                           "2026-11-29T23:30:00Z failed reload: no\n"))
                   .failed,
               "reload: no");
    assert_int_equal(past_of(STR(WHOLE)).failed.n, 0);
    assert_false(past_of(STR("2026-11-29T23:30:00Z start bundle\n")).own);
    assert_int_equal(past_of(STR("nonsense\n2026-11-29T23:30:00Z\n2026-11-29T23:30:00Z leap\n")).phase,
                     ROLLOVER_IDLE);
    /* A new start forgets the last rollover. */
    assert_false(past_of(STR(WHOLE "2026-12-01T00:00:00Z start own /ca\n")).issued);
}

/* ---- files ---- */

static struct cert_list list_of(struct made *made)
{
    return (struct cert_list){ &made->cert, 1 };
}

static void roots_come_and_go(void **state)
{
    struct made a = made_ca("A", KEY_P256), b = made_ca("B", KEY_P256), c = made_ca("C", KEY_P256);
    const struct cert_list old = list_of(&a), next = list_of(&b), other = list_of(&c);
    AUTO(buf) struct buf text = BUF_INIT(1 << 20), more = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
    AUTO(buf) struct buf less = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20);
    struct err e;

    (void)state;
    buf_append_c(&text, "# ours\n");
    assert_int_equal(cert_to_pem(a.cert, &text), OK);
    buf_append_c(&text, "# the company's\n");
    assert_int_equal(cert_to_pem(c.cert, &text), OK);
    struct rollover_holds holds = rollover_text_roots(buf_str(&text), &old, &next);
    assert_true(holds.old && !holds.next && holds.missing && holds.others);
    assert_int_equal(rollover_text_add_roots(buf_str(&text), &next, &more, &e), OK);
    holds = rollover_text_roots(buf_str(&more), &old, &next);
    assert_true(holds.old && holds.next && !holds.missing && holds.others);
    assert_int_equal(rollover_text_add_roots(buf_str(&more), &next, &again, &e), OK);
    assert_true(str_equal(buf_str(&more), buf_str(&again)));
    assert_int_equal(rollover_text_drop_roots(buf_str(&more), &old, &less, &e), OK);
    holds = rollover_text_roots(buf_str(&less), &old, &next);
    assert_true(!holds.old && holds.next && holds.others);
    assert_true(str_starts(buf_str(&less), STR("# ours\n# the company's\n-----BEGIN")));
    assert_int_equal(rollover_text_drop_roots(buf_str(&more), &next, &back, &e), OK);
    assert_true(str_equal(buf_str(&text), buf_str(&back)));
    assert_true(rollover_text_roots(buf_str(&less), &other, &next).old);
    made_free(&a), made_free(&b), made_free(&c);
}

static void put_list_of(const struct made *ca, struct buf *out)
{
    struct env env = made_env();
    X509_CRL *crl = NULL;
    struct err e;

    assert_int_equal(issue_crl(&(struct issue_crl){ .number = 1, .days = 30 },
                               &(struct issuer){ ca->cert, ca->key, &env }, &crl, &e),
                     OK);
    assert_int_equal(crl_to_pem(crl, out), OK);
    X509_CRL_free(crl);
}

static void lists_come_and_go(void **state)
{
    struct made a = made_ca("A", KEY_P256), b = made_ca("B", KEY_P256);
    const struct cert_list old = list_of(&a), next = list_of(&b), none = { .n = 0 };
    AUTO(buf) struct buf text = BUF_INIT(1 << 20), fresh = BUF_INIT(1 << 20), both = BUF_INIT(1 << 20);
    AUTO(buf) struct buf again = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20);
    struct err e;

    (void)state;
    put_list_of(&a, &text);
    put_list_of(&b, &fresh);
    assert_int_equal(rollover_text_put_lists(buf_str(&text), &next, buf_str(&fresh), &both, &e), OK);
    struct rollover_holds holds = rollover_text_lists(buf_str(&both), &old, &next);
    assert_true(holds.old && holds.next && !holds.missing && !holds.others);
    assert_int_equal(rollover_text_put_lists(buf_str(&both), &next, buf_str(&fresh), &again, &e), OK);
    assert_true(str_equal(buf_str(&both), buf_str(&again)));
    assert_int_equal(rollover_text_put_lists(buf_str(&both), &next, STR(""), &back, &e), OK);
    assert_true(str_equal(buf_str(&text), buf_str(&back)));
    buf_reset(&back);
    assert_int_equal(
        rollover_text_put_lists(STR("-----BEGIN X509 CRL-----\nbroken"), &old, STR(""), &back, &e), OK);
    assert_str(buf_str(&back), "-----BEGIN X509 CRL-----\nbroken");
    holds = rollover_text_lists(buf_str(&text), &none, &next);
    assert_true(holds.missing && holds.others && !holds.old);
    made_free(&a), made_free(&b);
}

/* ---- the next CA ---- */

static struct ca_params next_of(const char *name, const struct cert_list *taken)
{
    struct made made = made_ca(name, KEY_P384);
    struct ca_params params;
    struct err e;

    assert_int_equal(ca_params_next(made.cert, taken, &arena, &params, &e), OK);
    made_free(&made);
    return params;
}

static void the_next_ca_has_a_name_of_its_own(void **state)
{
    struct made taken = made_ca("Acme CA G3", KEY_P256);
    const struct cert_list list = list_of(&taken);

    (void)state;
    arena_reset(&arena);
    assert_str(next_of("Acme CA", NULL).common_name, "Acme CA G2");
    assert_str(next_of("Acme CA G2", NULL).common_name, "Acme CA G3");
    assert_str(next_of("Acme CA G2", &list).common_name, "Acme CA G4");
    assert_str(next_of("AcmeG2", NULL).common_name, "AcmeG2 G2");
    assert_str(next_of("0123456789012345678901234567890123456789012345678901234567890123", NULL).common_name,
               "01234567890123456789012345678901234567890123456789012345 G2");
    struct ca_params params = next_of("Acme CA", NULL);
    assert_int_equal(params.days, 3650);
    assert_int_equal(params.key, KEY_P384);
    assert_int_equal(params.path_length, -1);
    made_free(&taken);
}

static void name_constraints_stay(void **state)
{
    struct env env = made_env();
    AUTO(key) EVP_PKEY *key = NULL;
    AUTO(cert) X509 *cert = NULL;
    struct ca_constraint limits[2];
    struct ca_params params = { .common_name = STR("A"),
                                .organization = STR("Acme, Inc"),
                                .days = 10,
                                .constraints = limits,
                                .n_constraints = 2 },
                     next;
    struct err e;

    (void)state;
    arena_reset(&arena);
    assert_int_equal(ca_constraint_parse(STR("dns:db.example"), &arena, &limits[0], &e), OK);
    assert_int_equal(ca_constraint_parse(STR("!ip:10.0.0.0/8"), &arena, &limits[1], &e), OK);
    assert_int_equal(key_generate(KEY_P256, &key, NULL), OK);
    assert_int_equal(issue_ca(&params, &(struct issuer){ .key = key, .env = &env }, &cert, &e), OK);
    assert_int_equal(ca_params_next(cert, NULL, &arena, &next, &e), OK);
    assert_str(next.organization, "Acme, Inc");
    assert_int_equal(next.path_length, 0);
    assert_int_equal(next.n_constraints, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(next.constraints[i].type, limits[i].type);
        assert_int_equal(next.constraints[i].excluded, limits[i].excluded);
        assert_true(bytes_equal(next.constraints[i].value, limits[i].value));
    }
}

/* ---- who is ready ---- */

static const struct str old_name = { "/CN=A", 5 }, next_name = { "/CN=B", 5 };

/* What a test says nothing of: seen in time, at one address, and known to verify. */
static void fill(struct rollover_client *client)
{
    if (!client->address.p)
        client->address = STR("10.0.0.1");
    if (!client->verifies.p)
        client->verifies = STR("yes");
    if (client->seen_unix_s == 0)
        client->seen_unix_s = 2000;
    client->admitted = !str_is(client->user, "stranger");
}

static struct rollover_verdicts judge(struct rollover_client *clients, size_t n, bool client_side)
{
    static const struct str accept = { "batch", 5 };
    const struct rollover_evidence evidence = { .clients = clients,
                                                .n = n,
                                                .old_names = &old_name,
                                                .n_old = 1,
                                                .next_names = &next_name,
                                                .n_next = 1,
                                                .own = true,
                                                .server_side = true,
                                                .client_side = client_side,
                                                .since_unix_s = 1000,
                                                .both_us = 40,
                                                .accept = &accept,
                                                .n_accept = 1 };
    struct rollover_verdicts out;
    struct err e;

    for (size_t i = 0; i < n; i++)
        fill(&clients[i]);
    arena_reset(&arena);
    assert_int_equal(rollover_judge(&evidence, &arena, &out, &e), OK);
    return out;
}

#define CLIENT(name, ...)                                                                                    \
    {                                                                                                        \
        .user = STR(name), __VA_ARGS__                                                                       \
    }

static enum rollover_readiness state_of(const struct rollover_verdicts *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (str_is(all->items[i].client->user, name))
            return all->items[i].state;
    fail_msg("no %s", name);
    return ROLLOVER_READY_READY;
}

static void only_a_startup_message_after_the_last_failure_is_proof(void **state)
{
    struct rollover_client clients[] = {
        CLIENT("proved", .next_us = 50),
        CLIENT("mended", .next_us = 60, .failed_us = 50),
        CLIENT("broke", .next_us = 50, .failed_us = 60),
        CLIENT("same", .next_us = 50, .failed_us = 50),
        CLIENT("failed", .failed_us = 60),
        CLIENT("silent", .next_us = 0),
        CLIENT("chain", .next_us = 50, .verifies = STR("chain only")),
        CLIENT("blind", .next_us = 50, .verifies = STR("no")),
        CLIENT("unseen", .next_us = 50, .verifies = STR("unknown")),
        CLIENT("plain", .sslmode = STR("disable")),
        CLIENT("once plain", .sslmode = STR("disable"), .tls = true),
        CLIENT("local", .address = STR("")),
        CLIENT("long ago", .failed_us = 60, .seen_unix_s = 999),
        CLIENT("batch", .failed_us = 60),
        CLIENT("last time", .next_us = 39),
        CLIENT("stranger", .failed_us = 60),
    };
    struct rollover_verdicts all = judge(clients, COUNT_OF(clients), false);

    (void)state;
    assert_int_equal(state_of(&all, "proved"), ROLLOVER_READY_READY);
    assert_int_equal(state_of(&all, "mended"), ROLLOVER_READY_READY);
    assert_int_equal(state_of(&all, "broke"), ROLLOVER_READY_OLD);
    assert_int_equal(state_of(&all, "same"), ROLLOVER_READY_OLD);
    assert_int_equal(state_of(&all, "failed"), ROLLOVER_READY_OLD);
    assert_int_equal(state_of(&all, "silent"), ROLLOVER_READY_UNPROVED);
    assert_int_equal(state_of(&all, "chain"), ROLLOVER_READY_READY);
    assert_int_equal(state_of(&all, "blind"), ROLLOVER_READY_UNKNOWN);
    assert_int_equal(state_of(&all, "unseen"), ROLLOVER_READY_UNKNOWN);
    assert_int_equal(state_of(&all, "plain"), ROLLOVER_READY_READY);
    assert_int_equal(state_of(&all, "once plain"), ROLLOVER_READY_UNPROVED); /* somebody there has TLS */
    assert_int_equal(state_of(&all, "local"), ROLLOVER_READY_READY);
    assert_int_equal(state_of(&all, "last time"), ROLLOVER_READY_UNPROVED);
    /* broke, same, failed, silent, blind, unseen, once plain, last time: "long ago" does not count, "batch" is accepted. */
    assert_int_equal(all.waiting, 8);
    assert_int_equal(all.breaking, 7);
    assert_int_equal(all.n, 15);
    assert_int_equal(all.items[0].state, ROLLOVER_READY_OLD);
}

/* Of a CA with the name of the one that it replaces nothing is proved. */
static void names_that_are_alike(void **state)
{
    struct rollover_client client = CLIENT("certified", .next_us = 50, .cert_issuer = STR("/CN=A"));
    const struct rollover_evidence evidence = { .clients = &client,
                                                .n = 1,
                                                .old_names = &old_name,
                                                .n_old = 1,
                                                .next_names = &old_name,
                                                .n_next = 1,
                                                .own = true,
                                                .client_side = true };
    struct rollover_verdicts out;
    struct err e;

    (void)state;
    fill(&client);
    arena_reset(&arena);
    assert_int_equal(rollover_judge(&evidence, &arena, &out, &e), OK);
    assert_int_equal(out.items[0].state, ROLLOVER_READY_CERT);
    assert_int_equal(out.waiting, 1);
}

/* Who leaves before he says who he is holds everybody at his address up, until each has proved it. */
static void a_failure_without_a_name_is_the_addresss(void **state)
{
    struct rollover_client clients[] = {
        CLIENT("", .failed_us = 60),
        CLIENT("before", .next_us = 50),
        CLIENT("after", .next_us = 70),
        CLIENT("elsewhere", .next_us = 50, .address = STR("10.0.0.2")),
    };
    struct rollover_verdicts all = judge(clients, COUNT_OF(clients), false);

    (void)state;
    assert_int_equal(all.n, 3);
    assert_int_equal(state_of(&all, "before"), ROLLOVER_READY_OLD);
    assert_int_equal(state_of(&all, "after"), ROLLOVER_READY_READY);
    assert_int_equal(state_of(&all, "elsewhere"), ROLLOVER_READY_READY);
    all = judge(clients, 1, false);
    assert_int_equal(all.n, 1);
    assert_int_equal(all.waiting, 1);
}

static void a_certificate_counts_from_what_it_shows(void **state)
{
    struct rollover_client clients[] = {
        CLIENT("old", .next_us = 50, .cert_issuer = STR("/CN=A")),
        CLIENT("new", .next_us = 50, .cert_issuer = STR("/CN=B")),
        CLIENT("other", .next_us = 50, .cert_issuer = STR("/CN=C")),
    };
    struct rollover_verdicts all = judge(clients, COUNT_OF(clients), true);

    (void)state;
    assert_int_equal(state_of(&all, "old"), ROLLOVER_READY_CERT);
    assert_int_equal(state_of(&all, "new"), ROLLOVER_READY_READY);
    assert_int_equal(state_of(&all, "other"), ROLLOVER_READY_READY);
    assert_int_equal(all.waiting, 1);
    assert_int_equal(judge(clients, COUNT_OF(clients), false).waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_journal_cut_at_every_byte),
        cmocka_unit_test(times_have_fractions),
        cmocka_unit_test(a_failure_counts_until_the_next_step),
        cmocka_unit_test(roots_come_and_go),
        cmocka_unit_test(lists_come_and_go),
        cmocka_unit_test(the_next_ca_has_a_name_of_its_own),
        cmocka_unit_test(name_constraints_stay),
        cmocka_unit_test(only_a_startup_message_after_the_last_failure_is_proof),
        cmocka_unit_test(names_that_are_alike),
        cmocka_unit_test(a_failure_without_a_name_is_the_addresss),
        cmocka_unit_test(a_certificate_counts_from_what_it_shows),
    };

    arena_init(&arena, 16 << 20, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
