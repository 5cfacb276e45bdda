/* Keys, certificates, chains, revocation lists, expiry. */
#include "../one_arena.h"
#include "made.h"
#include "pki/expiry.h"
#include "pki/trust.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void kinds_of_keys(void **state)
{
    (void)state;
    static const char *const texts[] = {
        [KEY_P256] = "ECDSA P-256",  [KEY_P384] = "ECDSA P-384", [KEY_RSA_2048] = "RSA 2048",
        [KEY_RSA_3072] = "RSA 3072", [KEY_RSA_4096] = NULL,      [KEY_ED25519] = "Ed25519"
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        enum key_kind kind;
        char text[KEY_TEXT_MAX];
        assert_true(key_kind_from_name(str_c(key_kind_name((enum key_kind)i)), &kind));
        assert_int_equal(kind, i);
        if (!texts[i])
            continue;
        EVP_PKEY *key = NULL;
        assert_int_equal(key_generate(kind, &key, NULL), OK);
        key_text(key, text);
        assert_string_equal(text, texts[i]);
        assert_true(key_kind_of(key, &kind) && kind == (enum key_kind)i);
        key_free(key);
    }
    enum key_kind kind;
    assert_true(key_kind_from_name(STR("ecdsa"), &kind) && kind == KEY_P256);
    assert_false(key_kind_from_name(STR("dsa"), &kind));
}

static enum code give(void *ctx, struct secret *out, struct err *e)
{
    (void)e;
    return secret_set(out, str_bytes(str_c(ctx)));
}

static enum code fail_to_give(void *ctx, struct secret *out, struct err *e)
{
    (void)ctx;
    (void)out;
    return err_set(e, E_IO, "the terminal is gone");
}

static void keys_round_trip(void **state)
{
    (void)state;
    struct made ca = made_ca("Root", KEY_P256);
    struct buf pem = BUF_INIT(1 << 16), sealed = BUF_INIT(1 << 16), der = BUF_INIT(1 << 16);
    struct secret pass;
    struct err e;
    EVP_PKEY *back = NULL;
    char right[] = "correct horse", wrong[] = "battery staple";
    assert_int_equal(secret_set(&pass, str_bytes(str_c(right))), OK);
    assert_int_equal(key_to_pem(ca.key, NULL, &pem, &e), OK);
    assert_int_equal(key_from_pem(buf_bytes(&pem), "k", NULL, &back, &e), OK);
    assert_true(key_fits(back, ca.cert));
    key_free(back);
    assert_int_equal(key_to_pem(ca.key, &pass, &sealed, &e), OK);
    assert_true(key_is_encrypted(buf_str(&sealed)));
    assert_false(key_is_encrypted(buf_str(&pem)) || key_is_encrypted(STR("")));
    struct key_passphrase good = { give, right }, bad = { give, wrong }, broken = { fail_to_give, NULL };
    assert_int_equal(key_from_pem(buf_bytes(&sealed), "k", &good, &back, &e), OK);
    assert_true(key_fits(back, ca.cert));
    key_free(back);
    assert_int_equal(key_from_pem(buf_bytes(&sealed), "k", &bad, &back, &e), E_CONFIG);
    assert_non_null(strstr(e.message, "could not load private key file \"k\": "));
    assert_int_equal(key_from_pem(buf_bytes(&sealed), "k", &broken, &back, &e), E_IO);
    assert_string_equal(e.message, "the terminal is gone");
    assert_int_equal(key_from_pem(buf_bytes(&sealed), "k", NULL, &back, &e), E_CONFIG);
    assert_string_equal(e.message, "private key file \"k\" requires a passphrase");
    assert_int_equal(key_to_pk8(ca.key, NULL, &der, &e), OK);
    const uint8_t *p = der.p;
    back = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
    assert_true(back && key_fits(back, ca.cert));
    key_free(back);
    for (size_t n = 0; n < pem.n; n += 7) /* a key cut short is no key */
        assert_int_equal(key_from_pem(bytes_of(pem.p, n), "k", NULL, &back, &e), E_CONFIG);
    buf_fini(&pem);
    buf_fini(&sealed);
    buf_fini(&der);
    made_free(&ca);
}

static void a_certificate_described(void **state)
{
    (void)state;
    struct made root = made_ca("Root", KEY_P384), leaf = made_leaf("db.example.com", CA_USE_BOTH, &root);
    struct cert_info info;
    struct err e;
    assert_int_equal(cert_describe(leaf.cert, &arena, &info, &e), OK);
    assert_str(info.subject, "/CN=db.example.com");
    assert_str(info.issuer, "/CN=Root");
    assert_str(info.key, "ECDSA P-256");
    assert_str(info.signature, "ecdsa-with-SHA384");
    assert_int_equal(info.key_bits, 256);
    assert_int_equal(info.n_sans, 1);
    assert_str(info.sans[0], "dns:db.example.com");
    assert_int_equal(info.eku, CERT_EKU_SERVER | CERT_EKU_CLIENT);
    assert_false(info.is_ca || info.self_signed);
    assert_int_equal(info.not_before_unix_s, MADE_NOW_S - CA_BACKDATE_S);
    assert_int_equal(info.not_after_unix_s, MADE_NOW_S + 90 * 86400);
    assert_int_equal(cert_describe(root.cert, &arena, &info, &e), OK);
    assert_true(info.is_ca && info.self_signed);
    assert_int_equal(info.eku, CERT_EKU_ANY);
    assert_true(cert_issued_by(leaf.cert, root.cert));
    assert_false(cert_issued_by(root.cert, leaf.cert));
    made_free(&leaf);
    made_free(&root);
}

static void lists_from_pem(void **state)
{
    (void)state;
    struct made root = made_ca("Root", KEY_P256), leaf = made_leaf("a", CA_USE_SERVER, &root);
    struct buf pem = BUF_INIT(1 << 16);
    struct cert_list list = { .n = 0 };
    struct err e;
    assert_int_equal(cert_chain_from_pem(bytes_of(NULL, 0), "f", &list, &e), OK);
    assert_int_equal(list.n, 0);
    assert_true(buf_append_c(&pem, "some words\n"));
    assert_int_equal(key_to_pem(leaf.key, NULL, &pem, &e), OK);
    assert_int_equal(cert_to_pem(leaf.cert, &pem), OK);
    assert_int_equal(cert_to_pem(root.cert, &pem), OK);
    assert_int_equal(cert_chain_from_pem(buf_bytes(&pem), "f", &list, &e), OK);
    assert_int_equal(list.n, 2);
    assert_int_equal(X509_cmp(list.items[1], root.cert), 0);
    cert_list_fini(&list);
    for (size_t n = 0; n < pem.n; n++) { /* cut anywhere: fewer certificates or an error, never a crash */
        if (cert_chain_from_pem(bytes_of(pem.p, n), "f", &list, &e) != OK)
            continue;
        assert_true(list.n < 2 || n + 1 == pem.n);
        cert_list_fini(&list);
    }
    buf_fini(&pem);
    made_free(&leaf);
    made_free(&root);
}

/* A certificate with OpenSSL's trust settings, `BEGIN TRUSTED CERTIFICATE`. */
static void put_trusted(X509 *cert, struct buf *pem)
{
    X509 *copy = X509_dup(cert);
    BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;

    assert_true(copy && bio && X509_alias_set1(copy, (const uint8_t *)"alias", 5));
    assert_true(PEM_write_bio_X509_AUX(bio, copy));
    long n = BIO_get_mem_data(bio, &p);
    assert_true(buf_append(pem, bytes_of(p, (size_t)n)));
    BIO_free(bio);
    X509_free(copy);
}

static void expect_certs(const struct cert_list *list, X509 *const *certs, size_t n)
{
    assert_int_equal(list->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(X509_cmp(list->items[i], certs[i]), 0);
}

/* SSL_CTX_use_certificate_chain_file() is the judge: what it made of the same bytes stands here. */
static void trusted_blocks(void **state)
{
    (void)state;
    struct made root = made_ca("Root", KEY_P256), leaf = made_leaf("a", CA_USE_SERVER, &root);
    struct made other = made_ca("Other", KEY_P256);
    AUTO(buf) struct buf pem = BUF_INIT(1 << 16);
    AUTO(cert_list) struct cert_list chain = { .n = 0 };
    AUTO(trust) struct trust trust = { 0 };
    X509_CRL *crl = NULL;
    struct env env = made_env();
    struct err e;

    put_trusted(leaf.cert, &pem);
    assert_true(buf_append_c(&pem, "-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n"));
    put_trusted(other.cert, &pem); /* no longer the first */
    assert_int_equal(cert_to_pem(root.cert, &pem), OK);
    assert_int_equal(issue_crl(&(struct issue_crl){ NULL, 0, 1, 30 },
                               &(struct issuer){ root.cert, root.key, &env }, &crl, &e),
                     OK);
    assert_int_equal(crl_to_pem(crl, &pem), OK);
    assert_int_equal(key_to_pem(leaf.key, NULL, &pem, &e), OK);
    assert_int_equal(cert_chain_from_pem(buf_bytes(&pem), "f", &chain, &e), OK);
    expect_certs(&chain, (X509 *[]){ leaf.cert, root.cert }, 2);
    assert_int_equal(trust_from_pem(buf_bytes(&pem), "f", &trust, &e), OK);
    expect_certs(&trust.certs, (X509 *[]){ leaf.cert, other.cert, root.cert }, 3);
    assert_int_equal(trust.crls.n, 1);
    struct diags diags;
    diags_init(&diags, &arena);
    assert_int_equal(trust_skipped(buf_bytes(&pem), "f", &diags, &e), OK);
    assert_str(
        STAILQ_FIRST(&diags.list)->message,
        "block 2 in file \"f\", \"PKCS7\", is skipped: it is neither a certificate nor a revocation list");
    assert_null(STAILQ_NEXT(STAILQ_FIRST(&diags.list), next));
    X509_CRL_free(crl);
    made_free(&root);
    made_free(&leaf);
    made_free(&other);
}

/* Whatever a flipped bit makes of a certificate: it is refused or described, and memory stays whole. */
static void hostile_der(void **state)
{
    (void)state;
    struct made root = made_ca("Root", KEY_P256), leaf = made_leaf("db.example.com", CA_USE_SERVER, &root);
    struct buf der = BUF_INIT(1 << 16);
    X509 *cert = NULL;
    assert_int_equal(cert_to_der(leaf.cert, &der), OK);
    for (size_t n = 0; n < der.n; n++)
        assert_int_not_equal(cert_from_der(bytes_of(der.p, n), &cert, NULL), OK);
    for (size_t bit = 0; bit < der.n * 8; bit++) {
        struct cert_info info;
        struct cert_names names;
        struct str dn;
        uint8_t hash[CERT_HASH_MAX];
        size_t n;
        der.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (cert_from_der(buf_bytes(&der), &cert, NULL) == OK) {
            (void)!cert_describe(cert, &arena, &info, NULL);
            (void)!cert_names_of(cert, &arena, &names, NULL);
            (void)!name_rfc2253(X509_get_subject_name(cert), &arena, &dn, NULL);
            (void)!cert_end_point_hash(cert, hash, &n, NULL);
            assert_false(cert_issued_by(cert, root.cert) && X509_cmp(cert, leaf.cert) != 0);
            cert_free(cert);
        }
        der.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        arena_reset(&arena);
    }
    assert_true(buf_append_byte(&der, 0));
    assert_int_equal(cert_from_der(buf_bytes(&der), &cert, NULL), E_TLS);
    buf_fini(&der);
    made_free(&leaf);
    made_free(&root);
}

/* Read anew what was just signed: OpenSSL remembers what it once found out about a certificate. */
static void reread(X509 **cert)
{
    struct buf der = BUF_INIT(1 << 16);
    X509 *fresh = NULL;

    assert_int_equal(cert_to_der(*cert, &der), OK);
    assert_int_equal(cert_from_der(buf_bytes(&der), &fresh, NULL), OK);
    cert_free(*cert);
    *cert = fresh;
    buf_fini(&der);
}

/* The signature on the certificate decides, not its key. */
static void end_point_hashes(void **state)
{
    (void)state;
    struct err e;
    uint8_t hash[CERT_HASH_MAX], want[CERT_HASH_MAX];
    size_t n = 0;
    unsigned want_n = 0;
    struct made p256 = made_ca("A", KEY_P256), p384 = made_ca("B", KEY_P384), ed = made_ca("C", KEY_ED25519);
    assert_int_equal(cert_end_point_hash(p256.cert, hash, &n, &e), OK);
    assert_true(X509_digest(p256.cert, EVP_sha256(), want, &want_n) && n == want_n);
    assert_memory_equal(hash, want, n);
    assert_int_equal(cert_end_point_hash(p384.cert, hash, &n, &e), OK);
    assert_int_equal(n, 48);
    assert_int_equal(cert_end_point_hash(ed.cert, hash, &n, &e), E_UNSUPPORTED);
    assert_string_equal(e.message, "could not find digest for NID UNDEF");
    struct made leaf = made_leaf("a", CA_USE_SERVER, &ed);
    assert_int_equal(cert_end_point_hash(leaf.cert, hash, &n, &e), E_UNSUPPORTED);
    assert_true(X509_sign(leaf.cert, p256.key, EVP_sha1()) > 0);
    reread(&leaf.cert);
    assert_int_equal(cert_end_point_hash(leaf.cert, hash, &n, &e), OK);
    assert_int_equal(n, 32);
    EVP_PKEY *rsa = NULL;
    assert_int_equal(key_generate(KEY_RSA_2048, &rsa, &e), OK);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    assert_true(EVP_DigestSignInit(ctx, &pctx, EVP_sha512(), NULL, rsa) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0);
    assert_true(X509_sign_ctx(leaf.cert, ctx) > 0);
    reread(&leaf.cert);
    assert_int_equal(cert_end_point_hash(leaf.cert, hash, &n, &e), OK);
    assert_int_equal(n, 64);
    EVP_MD_CTX_free(ctx);
    key_free(rsa);
    made_free(&leaf);
    made_free(&p256);
    made_free(&p384);
    made_free(&ed);
}

static void revocation_lists(void **state)
{
    (void)state;
    struct made root = made_ca("Root", KEY_P256), other = made_ca("Other", KEY_P256);
    struct made good = made_leaf("good", CA_USE_CLIENT, &root), bad = made_leaf("bad", CA_USE_CLIENT, &root);
    struct env env = made_env();
    struct cert_info info;
    struct crl_info crl_info;
    struct crl_entry row;
    struct err e;
    X509_CRL *crl = NULL;
    assert_int_equal(cert_describe(bad.cert, &arena, &info, &e), OK);
    struct ca_entry entries[] = {
        { .serial_hex = STR("01"), .revoked_unix_s = 0 },
        { .serial_hex = info.serial_hex, .revoked_unix_s = MADE_NOW_S, .reason = CA_REASON_KEY_COMPROMISE },
        { .serial_hex = STR("02"), .revoked_unix_s = MADE_NOW_S - 5, .reason = CA_REASON_UNSPECIFIED }
    };
    struct issuer issuer = { root.cert, root.key, &env };
    assert_int_equal(issue_crl(&(struct issue_crl){ entries, 3, 42, 30 }, &issuer, &crl, &e), OK);
    assert_int_equal(crl_describe(crl, &arena, &crl_info, &e), OK);
    assert_str(crl_info.issuer, "/CN=Root");
    assert_str(crl_info.number, "42");
    assert_int_equal(crl_info.n_revoked, 2);
    assert_int_equal(crl_info.next_update_unix_s, MADE_NOW_S + 30 * 86400);
    assert_true(crl_revokes(crl, bad.cert));
    assert_false(crl_revokes(crl, good.cert));
    assert_true(crl_signed_by(crl, root.cert));
    assert_false(crl_signed_by(crl, other.cert));
    unsigned compromised = 0;
    for (size_t i = 0; crl_entry_at(crl, i, &row); i++)
        compromised += row.reason == 1 && row.revoked_unix_s == MADE_NOW_S;
    assert_int_equal(compromised, 1);
    struct buf pem = BUF_INIT(1 << 16);
    assert_int_equal(crl_to_pem(crl, &pem), OK);
    for (size_t n = 0; n <= pem.n; n++) {
        AUTO(trust) struct trust list = { 0 };
        if (trust_from_pem(bytes_of(pem.p, n), "f", &list, &e) == OK)
            assert_true(list.crls.n == 0 || n + 1 >= pem.n);
    }
    buf_fini(&pem);
    X509_CRL_free(crl);
    made_free(&root);
    made_free(&other);
    made_free(&good);
    made_free(&bad);
}

static void lives(void **state)
{
    (void)state;
    enum { DAY = 86400 };
    static const struct {
        int64_t from, to, now;
        enum expiry_status status;
        int64_t days;
    } cases[] = {
        { 0, 90 * DAY, 1, EXPIRY_OK, 89 },
        { 0, 90 * DAY, 61 * DAY, EXPIRY_OK, 29 },
        { 0, 90 * DAY, 68 * DAY, EXPIRY_WARNING, 22 },
        { 0, 90 * DAY, 74 * DAY, EXPIRY_WARNING, 16 },
        { 0, 90 * DAY, 76 * DAY, EXPIRY_CRITICAL, 14 },
        { 0, 365 * DAY, 273 * DAY, EXPIRY_OK, 92 },
        { 0, 365 * DAY, 274 * DAY, EXPIRY_WARNING, 91 },
        { 0, 365 * DAY, 305 * DAY, EXPIRY_CRITICAL, 60 },
        { 0, 121 * DAY, 91 * DAY, EXPIRY_WARNING, 30 },
        { 0, 90 * DAY, 90 * DAY + 1, EXPIRY_CRITICAL, -1 },
        { 10, 90 * DAY, 9, EXPIRY_CRITICAL, 89 },
        { 0, INT64_MAX, 5, EXPIRY_OK, INT64_MAX / 4 / DAY },
        { INT64_MIN, INT64_MAX, INT64_MIN, EXPIRY_OK, (INT64_MAX / 4) / DAY * 2 },
        { 5, 5, 5, EXPIRY_CRITICAL, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct expiry x = expiry_judge(cases[i].from, cases[i].to, cases[i].now);
        assert_int_equal(x.status, cases[i].status);
        assert_true(x.days_left >= cases[i].days && x.days_left <= cases[i].days + 1);
        assert_true(x.life_left >= 0 && x.life_left <= 1);
    }
}

static void expiry_by_days(void **state)
{
    enum { DAY = 86400 };
    const struct expiry_days days = { .warning = 30, .critical = 10 };
    static const struct {
        int64_t to, now;
        enum expiry_status status;
    } cases[] = {
        { 90 * DAY, 60 * DAY, EXPIRY_OK },      { 90 * DAY, 60 * DAY + 1, EXPIRY_WARNING },
        { 90 * DAY, 80 * DAY, EXPIRY_WARNING }, { 90 * DAY, 80 * DAY + 1, EXPIRY_CRITICAL },
        { 3650 * DAY, 3000 * DAY, EXPIRY_OK },  { INT64_MAX, 5, EXPIRY_OK },
        { 90 * DAY, -1, EXPIRY_CRITICAL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(expiry_judge_by(&days, 0, cases[i].to, cases[i].now).status, cases[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_keys),
        cmocka_unit_test(keys_round_trip),
        cmocka_unit_test(a_certificate_described),
        cmocka_unit_test(lists_from_pem),
        cmocka_unit_test(hostile_der),
        cmocka_unit_test(end_point_hashes),
        cmocka_unit_test(trusted_blocks),
        cmocka_unit_test(revocation_lists),
        cmocka_unit_test(lives),
        cmocka_unit_test(expiry_by_days),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
