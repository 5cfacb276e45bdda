/* What is told about certificates, CAs and revocation lists that OpenSSL would serve without a word. */
#include "../pki/made.h"
#include "base/err.h"
#include "conf/settings.h"
#include "gate/load/cert_check.h"
#include "os/files.h"
#include "pki/crl.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ARENA_MAX = 16 << 20, DAY_S = 86400, FAR_DAYS = 3650 };

/* A directory with the files of one gate, and what inspecting them said. */
struct place {
    char dir[64];
    char path[4][128];
    struct settings settings;
    struct made ca;
    struct arena arena;
    struct diags diags;
    struct inspection what;
};

enum { SERVER_FILE, CA_FILE, CRL_FILE, ROOT_FILE };

static void put(struct place *p, int file, X509 *const *certs, size_t n)
{
    AUTO(buf) struct buf pem = BUF_INIT(1 << 20);
    struct err e;

    for (size_t i = 0; i < n; i++)
        assert_int_equal(cert_to_pem(certs[i], &pem), OK);
    assert_int_equal(os_write_file(p->path[file], buf_bytes(&pem), 0600, OS_WRITE_REPLACE, &e), OK);
}

static void forget(struct place *p)
{
    arena_reset(&p->arena);
    diags_init(&p->diags, &p->arena);
}

static int set_up(void **state)
{
    static const char *const names[] = { "server.crt", "ca.crt", "ca.crl", "root.crt" };
    struct place *p = calloc(1, sizeof *p);

    assert_non_null(p);
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/pgseal-inspect-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    for (int i = 0; i < 4; i++)
        (void)snprintf(p->path[i], sizeof p->path[i], "%s/%s", p->dir, names[i]);
    p->ca = made_ca("inspected CA", KEY_P256);
    p->settings.dir = str_c(p->dir);
    p->settings.ssl_cert_file.path = p->path[SERVER_FILE];
    p->settings.ssl_ca_file.path = p->path[CA_FILE];
    p->what = (struct inspection){ .settings = &p->settings, .now_unix_s = MADE_NOW_S };
    arena_init(&p->arena, ARENA_MAX, 4096);
    forget(p);
    put(p, CA_FILE, &p->ca.cert, 1);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;

    for (int i = 0; i < 4; i++)
        (void)unlink(p->path[i]);
    (void)rmdir(p->dir);
    made_free(&p->ca);
    arena_fini(&p->arena);
    free(p);
    return 0;
}

static size_t count(const struct place *p)
{
    const struct diag *row;
    size_t n = 0;

    STAILQ_FOREACH (row, &p->diags.list, next)
        n++;
    return n;
}

/* One row, of this severity, with these words. */
static void told(struct place *p, enum severity severity, const char *words)
{
    const struct diag *row = STAILQ_FIRST(&p->diags.list);

    assert_int_equal(count(p), 1);
    assert_int_equal(row->severity, severity);
    if (!strstr(row->message.p, words))
        fail_msg("\"%s\" is not in \"%s\"", words, row->message.p);
    forget(p);
}

static void nothing_told(const struct place *p)
{
    if (count(p) > 0)
        fail_msg("told: %s", STAILQ_FIRST(&p->diags.list)->message.p);
}

/* ---- the server's certificate ---- */

static void a_servers_dates(void **state)
{
    struct place *p = *state;
    struct made leaf = made_leaf("db.example", CA_USE_SERVER, &p->ca);

    put(p, SERVER_FILE, &leaf.cert, 1);
    cert_check_server(&p->what, &p->diags);
    nothing_told(p);
    p->what.now_unix_s = MADE_NOW_S + 68 * DAY_S; /* less than a quarter of 90 days is left */
    cert_check_server(&p->what, &p->diags);
    told(p, SEV_WARNING, "expires in 22 days");
    p->what.now_unix_s = MADE_NOW_S + 91 * DAY_S;
    cert_check_server(&p->what, &p->diags);
    told(p, SEV_WARNING, "expired at");
    p->what.now_unix_s = MADE_NOW_S - DAY_S;
    cert_check_server(&p->what, &p->diags);
    told(p, SEV_WARNING, "is not valid before");
    made_free(&leaf);
}

static void strict_is_about_another_certificate(void **state)
{
    struct place *p = *state;
    struct made leaf = made_leaf("db.example", CA_USE_SERVER, &p->ca);
    struct made other = made_leaf("other.example", CA_USE_SERVER, &p->ca);
    const struct cert_list running = { &leaf.cert, 1 };

    put(p, SERVER_FILE, &leaf.cert, 1);
    p->settings.reload_policy = CONF_POLICY_STRICT;
    p->what.now_unix_s = MADE_NOW_S + 91 * DAY_S;
    p->what.running = &running;
    cert_check_server(&p->what, &p->diags);
    told(p, SEV_WARNING, "expired at"); /* what runs already refuses nothing */
    put(p, SERVER_FILE, &other.cert, 1);
    cert_check_server(&p->what, &p->diags);
    const struct diag *first = STAILQ_FIRST(&p->diags.list);
    assert_int_equal(count(p), 2);
    assert_int_equal(p->diags.errors, 2);
    assert_non_null(strstr(first->message.p, "expired at"));
    assert_non_null(strstr(STAILQ_NEXT(first, next)->message.p, "no longer has the name dns:db.example"));
    made_free(&leaf);
    made_free(&other);
}

static void a_chain_whose_end_nobody_has(void **state)
{
    struct place *p = *state;
    struct made far = made_ca("far away CA", KEY_P256);
    struct made leaf = made_leaf("db.example", CA_USE_SERVER, &far);

    put(p, SERVER_FILE, &leaf.cert, 1);
    cert_check_server(&p->what, &p->diags);
    told(p, SEV_WARNING, "is incomplete: the issuer \"/CN=far away CA\" is missing");
    put(p, SERVER_FILE, (X509 *[]){ leaf.cert, p->ca.cert, far.cert }, 3);
    cert_check_server(&p->what, &p->diags);
    told(p, SEV_WARNING, "does not belong"); /* and disturbs nobody */
    made_free(&leaf);
    made_free(&far);
}

/* A leaf below an intermediate below a root that this gate does not know. */
struct line {
    struct made root, middle_ca, leaf, next;
    X509 *middle;
};

static struct line line_new(void)
{
    struct line l = { .root = made_ca("far away CA", KEY_P256), .middle_ca = made_ca("middle CA", KEY_P256) };

    l.middle = made_cross(&l.middle_ca, &l.root);
    const struct made middle = { l.middle_ca.key, l.middle };
    l.leaf = made_leaf("db.example", CA_USE_SERVER, &middle);
    l.next = made_leaf("db.example", CA_USE_SERVER, &middle);
    return l;
}

static void line_free(struct line *l)
{
    made_free(&l->root);
    made_free(&l->middle_ca);
    made_free(&l->leaf);
    made_free(&l->next);
    cert_free(l->middle);
}

/* Serve these instead of what runs, under `strict`. */
static void reload(struct place *p, X509 *const *certs, size_t n)
{
    put(p, SERVER_FILE, certs, n);
    cert_check_server(&p->what, &p->diags);
}

static void strict_wants_the_chain_of_clients(void **state)
{
    struct place *p = *state;
    struct line l = line_new();
    struct made other = made_ca("far away CA", KEY_P256);
    const struct cert_list running = { (X509 *[]){ l.leaf.cert, l.middle }, 2 };

    p->settings.reload_policy = CONF_POLICY_STRICT;
    p->what.running = &running;
    /* The root is not known here: it is missing from the renewal as it was before. */
    reload(p, (X509 *[]){ l.next.cert, l.middle }, 2);
    told(p, SEV_WARNING, "is incomplete: the issuer \"/CN=far away CA\" is missing");
    reload(p, (X509 *[]){ l.next.cert, l.middle, l.root.cert }, 3);
    nothing_told(p);
    /* The same leaf, and less behind it. */
    reload(p, &l.leaf.cert, 1);
    told(p, SEV_ERROR, "is incomplete: the issuer \"/CN=middle CA\" is missing");
    /* Another root, which clients do not have. */
    reload(p, &other.cert, 1);
    assert_true(p->diags.errors >= 1);
    assert_non_null(strstr(STAILQ_FIRST(&p->diags.list)->message.p, "ends in another root"));
    forget(p);
    /* Known, it is no different; but now it is known that clients have it. */
    put(p, ROOT_FILE, &l.root.cert, 1);
    p->settings.ssl_chain_root_file.path = p->path[ROOT_FILE];
    reload(p, (X509 *[]){ l.next.cert, l.middle }, 2);
    nothing_told(p);
    reload(p, &l.next.cert, 1);
    told(p, SEV_ERROR, "is incomplete: the issuer \"/CN=middle CA\" is missing");
    assert_int_equal(os_write_file(p->path[ROOT_FILE], str_bytes(STR("x")), 0600, OS_WRITE_REPLACE, NULL),
                     OK);
    reload(p, (X509 *[]){ l.next.cert, l.middle }, 2);
    told(p, SEV_ERROR, "could not load chain root file");
    made_free(&other);
    line_free(&l);
}

/* An intermediate that has expired refuses where clients need it, and nowhere else. */
static void strict_and_expired_copies(void **state)
{
    struct place *p = *state;
    struct line l = line_new();
    X509 *expired = X509_dup(l.middle);
    const struct cert_list running = { (X509 *[]){ l.leaf.cert, l.middle }, 2 };

    assert_true(expired && ASN1_TIME_set(X509_getm_notAfter(expired), MADE_NOW_S - DAY_S) &&
                X509_sign(expired, l.root.key, EVP_sha256()) > 0);
    put(p, ROOT_FILE, &l.root.cert, 1);
    p->settings.ssl_chain_root_file.path = p->path[ROOT_FILE];
    p->settings.reload_policy = CONF_POLICY_STRICT;
    p->what.running = &running;
    reload(p, (X509 *[]){ l.leaf.cert, expired }, 2);
    told(p, SEV_ERROR, "certificate 2 in file");
    reload(p, (X509 *[]){ l.next.cert, expired, l.middle }, 3);
    told(p, SEV_WARNING, "certificate 2 in file");
    cert_free(expired);
    line_free(&l);
}

/* ---- the CAs of client certificates ---- */

static void authorities(struct place *p, struct cert_list *out)
{
    cert_check_authorities(&p->what, out, &p->diags);
}

static void an_authoritys_dates(void **state)
{
    struct place *p = *state;
    static const struct {
        int64_t days;
        const char *words;
    } rows[] = {
        { -2, "the client CA \"/CN=inspected CA\" is not valid before" },
        { FAR_DAYS / 2, NULL },
        { FAR_DAYS - 700, NULL },
        { FAR_DAYS - 30, "even one that is valid longer" },
        { FAR_DAYS + 1, "expired at 2036-11-15 11:06:40 UTC: every certificate that it issued is refused" },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(cert_list) struct cert_list list = { 0 };
        p->what.now_unix_s = MADE_NOW_S + rows[i].days * DAY_S;
        authorities(p, &list);
        assert_int_equal(list.n, 1);
        if (rows[i].words)
            told(p, SEV_WARNING, rows[i].words);
        else
            nothing_told(p);
    }
}

static void an_authority_that_is_gone(void **state)
{
    struct place *p = *state;
    struct made other = made_ca("other CA", KEY_P256), namesake = made_ca("inspected CA", KEY_P256);
    AUTO(cert_list) struct cert_list before = { 0 };
    AUTO(cert_list) struct cert_list renamed = { 0 };
    AUTO(cert_list) struct cert_list both = { 0 };
    AUTO(cert_list) struct cert_list none = { 0 };

    authorities(p, &before);
    nothing_told(p);
    p->what.running_cas = &before;
    put(p, CA_FILE, (X509 *[]){ other.cert, p->ca.cert }, 2);
    authorities(p, &both);
    nothing_told(p); /* one more takes nobody's away */
    put(p, CA_FILE, &namesake.cert, 1);
    authorities(p, &renamed);
    told(p, SEV_WARNING, "the client CA \"/CN=inspected CA\" is no longer in ssl_ca_file"); /* another key */
    p->settings.ssl_ca_file.path = NULL;
    authorities(p, &none);
    assert_int_equal(none.n, 0);
    told(p, SEV_WARNING, "running sessions continue");
    made_free(&other);
    made_free(&namesake);
}

/* A renewed certificate of the same key verifies what the old one issued. */
static void an_authority_that_was_renewed(void **state)
{
    struct place *p = *state;
    AUTO(cert_list) struct cert_list before = { 0 };
    AUTO(cert_list) struct cert_list after = { 0 };
    X509 *renewed = X509_dup(p->ca.cert);

    authorities(p, &before);
    p->what.running_cas = &before;
    assert_non_null(renewed);
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(renewed), 20L * 365 * DAY_S));
    assert_true(X509_sign(renewed, p->ca.key, EVP_sha256()) > 0);
    put(p, CA_FILE, &renewed, 1);
    authorities(p, &after);
    nothing_told(p);
    X509_free(renewed);
}

/* ---- revocation lists ---- */

static void put_crl(struct place *p, const struct made *signer, X509 *issuer, long from_s, long to_s)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *time = ASN1_TIME_new();
    FILE *f = fopen(p->path[CRL_FILE], "w");

    assert_true(crl && time && f);
    assert_true(X509_CRL_set_version(crl, 1) && X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)));
    assert_non_null(ASN1_TIME_set(time, MADE_NOW_S + from_s));
    assert_true(X509_CRL_set1_lastUpdate(crl, time));
    assert_non_null(ASN1_TIME_set(time, MADE_NOW_S + to_s));
    assert_true(X509_CRL_set1_nextUpdate(crl, time));
    assert_true(X509_CRL_sign(crl, signer->key, EVP_sha256()) > 0 && PEM_write_X509_CRL(f, crl));
    assert_int_equal(fclose(f), 0);
    ASN1_TIME_free(time);
    X509_CRL_free(crl);
    p->settings.ssl_crl_file.path = p->path[CRL_FILE];
}

static void expect_lists(struct place *p, size_t n, const char *words)
{
    AUTO(crl_list) struct crl_list list = { 0 };

    cert_check_revocation(&p->what, &list, &p->diags);
    assert_int_equal(list.n, n);
    if (words)
        told(p, SEV_WARNING, words);
    else
        nothing_told(p);
}

static void revocation_lists(void **state)
{
    struct place *p = *state;
    struct made other = made_ca("other CA", KEY_P256), forger = made_ca("inspected CA", KEY_P256);

    expect_lists(p, 0, NULL); /* none is set */
    put_crl(p, &p->ca, p->ca.cert, -DAY_S, 30L * DAY_S);
    expect_lists(p, 1, NULL);
    put_crl(p, &p->ca, p->ca.cert, -29L * DAY_S, DAY_S + 10);
    expect_lists(p, 1, "expires in 1 days");
    put_crl(p, &p->ca, p->ca.cert, -30L * DAY_S, -10);
    expect_lists(p, 0, "expired at");
    put_crl(p, &p->ca, p->ca.cert, 10, DAY_S);
    expect_lists(p, 0, "is not valid before");
    put_crl(p, &other, other.cert, -DAY_S, 30L * DAY_S);
    expect_lists(p, 0, "there is no revocation list of \"/CN=inspected CA\"");
    put_crl(p, &forger, p->ca.cert, -DAY_S, 30L * DAY_S);
    expect_lists(p, 0, "is not signed by that CA's key");
    made_free(&other);
    made_free(&forger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_servers_dates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strict_is_about_another_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_chain_whose_end_nobody_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strict_wants_the_chain_of_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strict_and_expired_copies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_authoritys_dates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_authority_that_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_authority_that_was_renewed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(revocation_lists, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
