/* Chains: their order, the path that clients find in them, and what a peer says. */
#include "../one_arena.h"
#include "made.h"
#include "pki/chain.h"
#include "pki/crl.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* root → middle → leaf, and a stranger. */
struct house {
    struct made root, middle_ca, leaf, stranger;
    X509 *middle;
};

static struct house house_new(void)
{
    struct house h = { .root = made_ca("Root", KEY_P256),
                       .middle_ca = made_ca("Middle", KEY_P256),
                       .stranger = made_ca("Stranger", KEY_P256) };

    h.middle = made_cross(&h.middle_ca, &h.root);
    struct made middle = { h.middle_ca.key, h.middle };
    h.leaf = made_leaf("db.example.com", CA_USE_SERVER, &middle);
    return h;
}

static void house_free(struct house *h)
{
    made_free(&h->root);
    made_free(&h->middle_ca);
    made_free(&h->leaf);
    made_free(&h->stranger);
    cert_free(h->middle);
}

static struct chain_report check(X509 **items, size_t n, X509 *anchor)
{
    struct cert_list chain = { items, n }, anchors = { &anchor, 1 };
    struct chain_params params = { .chain = &chain,
                                   .anchors = anchor ? &anchors : NULL,
                                   .now_unix_s = MADE_NOW_S };
    struct chain_report report;

    assert_int_equal(chain_check(&params, &arena, &report, NULL), OK);
    return report;
}

static void chains_in_order(void **state)
{
    (void)state;
    struct house h = house_new();
    X509 *leaf = h.leaf.cert, *middle = h.middle, *root = h.root.cert, *stranger = h.stranger.cert;
    struct chain_report r = check((X509 *[]){ leaf, middle, root }, 3, NULL);
    assert_int_equal(r.fault, CHAIN_FINE);
    assert_int_equal(check((X509 *[]){ leaf, middle }, 2, root).fault, CHAIN_FINE);
    r = check((X509 *[]){ leaf, middle }, 2, NULL);
    assert_int_equal(r.fault, CHAIN_INCOMPLETE);
    assert_str(r.missing, "/CN=Root");
    assert_false(r.missing_intermediate);
    r = check((X509 *[]){ leaf }, 1, middle);
    assert_int_equal(r.fault, CHAIN_INCOMPLETE);
    assert_str(r.missing, "/CN=Middle");
    assert_true(r.missing_intermediate);
    r = check((X509 *[]){ leaf, root, middle }, 3, NULL);
    assert_int_equal(r.fault, CHAIN_OUT_OF_ORDER);
    assert_int_equal(r.index, 2);
    r = check((X509 *[]){ middle, leaf }, 2, root);
    assert_int_equal(r.fault, CHAIN_OUT_OF_ORDER);
    assert_int_equal(r.index, 1);
    r = check((X509 *[]){ leaf, middle, stranger }, 3, root);
    assert_int_equal(r.fault, CHAIN_STRAY);
    assert_int_equal(r.index, 2);
    assert_str(r.subject, "/CN=Stranger");
    r = check((X509 *[]){ root, stranger }, 2, NULL);
    assert_int_equal(r.fault, CHAIN_STRAY);
    assert_int_equal(check((X509 *[]){ leaf, leaf, middle, root }, 4, NULL).fault, CHAIN_OUT_OF_ORDER);
    assert_int_equal(check((X509 *[]){ root }, 1, NULL).fault, CHAIN_FINE);
    assert_int_equal(check(NULL, 0, NULL).fault, CHAIN_EMPTY);
    house_free(&h);
}

static void append_pem(const char *path, X509 *cert)
{
    FILE *f = fopen(path, "a");

    assert_non_null(f);
    assert_true(PEM_write_X509(f, cert));
    assert_int_equal(fclose(f), 0);
}

static enum chain_fault check_with_system(X509 **items, size_t n)
{
    struct cert_list chain = { items, n };
    struct chain_params params = { .chain = &chain, .system = true, .now_unix_s = MADE_NOW_S };
    struct chain_report report;

    assert_int_equal(chain_check(&params, &arena, &report, NULL), OK);
    return report.fault;
}

/* The system's roots are a file with all of them, a directory with one file each, or both. */
static void roots_of_the_system(void **state)
{
    (void)state;
    struct house h = house_new();
    X509 *whole[] = { h.leaf.cert, h.middle };
    char dir[] = "/tmp/pgseal-roots-XXXXXX", file[64], hashed[64];

    assert_non_null(mkdtemp(dir));
    (void)snprintf(file, sizeof file, "%s/all.pem", dir);
    (void)snprintf(hashed, sizeof hashed, "%s/%08lx.0", dir,
                   X509_NAME_hash_ex(X509_get_subject_name(h.root.cert), NULL, NULL, NULL));
    assert_int_equal(setenv("SSL_CERT_FILE", file, 1), 0);
    assert_int_equal(setenv("SSL_CERT_DIR", dir, 1), 0);
    assert_int_equal(check_with_system(whole, 2), CHAIN_INCOMPLETE); /* there is nothing */
    append_pem(file, h.stranger.cert);
    append_pem(file, h.leaf.cert); /* names the middle's CA, and is no root */
    append_pem(file, h.middle);
    assert_int_equal(check_with_system(whole, 2), CHAIN_INCOMPLETE);
    assert_int_equal(check_with_system(whole, 1), CHAIN_INCOMPLETE); /* its issuer is there, no root */
    append_pem(file, h.root.cert);
    assert_int_equal(check_with_system(whole, 2), CHAIN_FINE);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(check_with_system(whole, 2), CHAIN_INCOMPLETE);
    append_pem(hashed, h.root.cert);
    assert_int_equal(check_with_system(whole, 2), CHAIN_FINE);
    assert_int_equal(unlink(hashed), 0);
    assert_int_equal(rmdir(dir), 0);
    (void)unsetenv("SSL_CERT_FILE");
    (void)unsetenv("SSL_CERT_DIR");
    house_free(&h);
}

static void chains_diagnosed(void **state)
{
    (void)state;
    struct house h = house_new();
    struct diags diags;
    struct chain_report r = check((X509 *[]){ h.leaf.cert }, 1, h.middle);
    diags_init(&diags, &arena);
    chain_diagnose(&r, "server.crt", false, &diags);
    assert_true(diags_ok(&diags));
    assert_str(
        STAILQ_FIRST(&diags.list)->message,
        "certificate chain in file \"server.crt\" is incomplete: the issuer \"/CN=Middle\" is missing");
    chain_diagnose(&r, "server.crt", true, &diags);
    assert_int_equal(diags.errors, 1);
    r = check((X509 *[]){ h.leaf.cert, h.stranger.cert }, 2, NULL);
    chain_diagnose(&r, "server.crt", false, &diags);
    r = check((X509 *[]){ h.middle, h.leaf.cert }, 2, NULL);
    chain_diagnose(&r, "server.crt", false, &diags);
    r = check(NULL, 0, NULL);
    chain_diagnose(&r, "server.crt", false, &diags);
    assert_int_equal(diags.errors, 2); /* order is no error: clients find their path */
    house_free(&h);
}

static struct chain_path path_of(X509 **items, size_t n, X509 *root)
{
    struct cert_list chain = { items, n }, anchors = { &root, 1 };
    struct chain_params params = { .chain = &chain,
                                   .anchors = root ? &anchors : NULL,
                                   .now_unix_s = MADE_NOW_S };
    struct chain_path path;

    assert_int_equal(chain_path(&params, &arena, &path, NULL), OK);
    return path;
}

/* Whatever else is in the chain: one path to a root that clients have is enough. */
static void paths_of_clients(void **state)
{
    (void)state;
    struct house h = house_new();
    struct made unknown = made_ca("Unknown", KEY_P256);
    X509 *leaf = h.leaf.cert, *middle = h.middle, *root = h.root.cert;
    X509 *middle_of_unknown = made_cross(&h.middle_ca, &unknown),
         *root_of_unknown = made_cross(&h.root, &unknown);
    X509 *expired = X509_dup(middle);
    struct chain_path p;

    assert_true(expired && ASN1_TIME_set(X509_getm_notAfter(expired), MADE_NOW_S - 86400) &&
                X509_sign(expired, h.root.key, EVP_sha256()) > 0);
    p = path_of((X509 *[]){ leaf, middle, root_of_unknown }, 3, root);
    assert_int_equal(p.end, PATH_ROOT);
    assert_true(p.used[0] && p.used[1] && !p.used[2] && !p.detour);
    p = path_of((X509 *[]){ leaf, expired, middle, middle }, 4, root);
    assert_int_equal(p.end, PATH_ROOT);
    assert_true(!p.used[1] && p.used[2]);
    p = path_of((X509 *[]){ leaf, middle_of_unknown, middle, h.stranger.cert }, 4, root);
    assert_int_equal(p.end, PATH_ROOT); /* OpenSSL's own walk ends at the first of them */
    assert_true(p.detour && !p.used[1] && p.used[2]);
    p = path_of((X509 *[]){ leaf, middle_of_unknown, middle, unknown.cert }, 4, NULL);
    assert_int_equal(p.end, PATH_OWN);
    assert_ptr_equal(p.own, unknown.cert);
    p = path_of((X509 *[]){ leaf, middle_of_unknown, middle_of_unknown, h.stranger.cert }, 4, root);
    assert_int_equal(p.end, PATH_MISSING);
    assert_ptr_equal(p.last, middle_of_unknown);
    p = path_of((X509 *[]){ leaf, expired }, 2, root);
    assert_int_equal(p.end, PATH_ROOT); /* dates are the caller's */
    assert_true(p.used[1] && p.error == 0);
    p = path_of((X509 *[]){ leaf }, 1, root);
    assert_int_equal(p.end, PATH_MISSING);
    struct made client = made_leaf("alice", CA_USE_CLIENT, &h.root);
    assert_int_equal(path_of((X509 *[]){ client.cert }, 1, root).error, X509_V_ERR_INVALID_PURPOSE);
    made_free(&client);
    made_free(&unknown);
    cert_free(middle_of_unknown);
    cert_free(root_of_unknown);
    cert_free(expired);
    house_free(&h);
}

static struct chain_verdict verify(const struct house *h, X509 *leaf, const struct crl_list *crls,
                                   enum chain_purpose purpose, int64_t now_s)
{
    struct cert_list roots = { (X509 *[]){ h->root.cert }, 1 }, chain = { (X509 *[]){ h->middle }, 1 };
    struct chain_verify what = { leaf, &chain, &roots, crls, purpose, now_s };
    struct chain_verdict verdict;

    assert_int_equal(chain_verify(&what, &arena, &verdict, NULL), OK);
    return verdict;
}

static void verdicts(void **state)
{
    (void)state;
    struct house h = house_new();
    struct env env = made_env();
    struct chain_verdict v = verify(&h, h.leaf.cert, NULL, CHAIN_SERVER, MADE_NOW_S);
    assert_true(v.ok);
    v = verify(&h, h.leaf.cert, NULL, CHAIN_CLIENT, MADE_NOW_S);
    assert_false(v.ok);
    assert_int_equal(v.error, X509_V_ERR_INVALID_PURPOSE);
    v = verify(&h, h.leaf.cert, NULL, CHAIN_SERVER, MADE_NOW_S + 91 * 86400);
    assert_int_equal(v.error, X509_V_ERR_CERT_HAS_EXPIRED);
    assert_str(v.text, "certificate has expired");
    assert_str(v.subject, "/CN=db.example.com");
    v = verify(&h, h.leaf.cert, NULL, CHAIN_SERVER, MADE_NOW_S - 3600);
    assert_int_equal(v.error, X509_V_ERR_CERT_NOT_YET_VALID);
    v = verify(&h, h.stranger.cert, NULL, CHAIN_ANY, MADE_NOW_S);
    assert_false(v.ok);
    /* With CRLs every certificate of the chain needs one, and the leaf must not be on it. */
    struct cert_info info;
    assert_int_equal(cert_describe(h.leaf.cert, &arena, &info, NULL), OK);
    struct ca_entry entry = { .serial_hex = info.serial_hex, .revoked_unix_s = MADE_NOW_S, .reason = 1 };
    X509_CRL *root_crl = NULL, *middle_crl = NULL;
    struct issuer root = { h.root.cert, h.root.key, &env }, middle = { h.middle, h.middle_ca.key, &env };
    assert_int_equal(issue_crl(&(struct issue_crl){ NULL, 0, 1, 30 }, &root, &root_crl, NULL), OK);
    assert_int_equal(issue_crl(&(struct issue_crl){ &entry, 1, 7, 30 }, &middle, &middle_crl, NULL), OK);
    struct crl_list one = { (X509_CRL *[]){ middle_crl }, 1 };
    struct crl_list both = { (X509_CRL *[]){ middle_crl, root_crl }, 2 };
    v = verify(&h, h.leaf.cert, &both, CHAIN_SERVER, MADE_NOW_S);
    assert_int_equal(v.error, X509_V_ERR_CERT_REVOKED);
    one.items[0] = root_crl;
    v = verify(&h, h.leaf.cert, &one, CHAIN_SERVER, MADE_NOW_S);
    assert_int_equal(v.error, X509_V_ERR_UNABLE_TO_GET_CRL);
    v = verify(&h, h.leaf.cert, &both, CHAIN_SERVER, MADE_NOW_S + 31 * 86400);
    assert_int_equal(v.error, X509_V_ERR_CRL_HAS_EXPIRED);
    X509_CRL_free(root_crl);
    X509_CRL_free(middle_crl);
    house_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_in_order),  cmocka_unit_test(roots_of_the_system),
        cmocka_unit_test(chains_diagnosed), cmocka_unit_test(paths_of_clients),
        cmocka_unit_test(verdicts),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
