/* The CA directory: made, used, revoked in, locked, damaged. */
#include "../tree.h"
#include "made.h"
#include "os/files.h"
#include "pki/chain.h"
#include "pki/journal.h"
#include "pki/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena arena;
static char root[] = "/tmp/pgseal-ca-XXXXXX";
static struct env env;

static const char *dir_new(void)
{
    static char dirs[4][64];
    static unsigned turn;
    char *dir = dirs[turn % COUNT_OF(dirs)];

    (void)snprintf(dir, 64, "%s/ca%u", root, turn++);
    return dir;
}

static struct ca_params params_of(enum key_kind kind)
{
    return (struct ca_params){ .common_name = STR("Test CA"), .key = kind, .days = 3650, .path_length = 0 };
}

static enum code open_ca(const char *dir, enum ca_access access, struct ca **out, struct err *e)
{
    return ca_open(&(struct ca_where){ dir, NULL, &env }, access, out, e);
}

static const struct san host = { SAN_DNS, { (const uint8_t *)"db.example.com", 14 } };

static struct ca_request request_of(enum ca_use use, const char *name)
{
    return (
        struct ca_request){ .use = use, .common_name = str_c(name), .sans = &host, .n_sans = 1, .days = 90 };
}

static unsigned mode_of(const char *dir, const char *name)
{
    char path[OS_PATH_MAX];
    struct stat st;

    assert_int_equal(os_path(dir, name, path, NULL), OK);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void life_of_a_ca(void **state)
{
    (void)state;
    struct err e;
    const char *dir = dir_new();
    struct ca_params params = params_of(KEY_P256);
    struct ca *ca = NULL;
    assert_int_equal(open_ca(dir, CA_READ, &ca, &e), E_NO_FILE);
    assert_int_equal(ca_create(dir, &params, &env, &e), OK);
    assert_int_equal(ca_create(dir, &params, &env, &e), E_EXISTS);
    assert_int_equal(mode_of(dir, ""), 0700);
    assert_int_equal(mode_of(dir, "ca.key"), 0600);
    assert_int_equal(mode_of(dir, "ca.crt"), 0644);
    assert_int_equal(mode_of(dir, "ca.crl"), 0644);
    assert_int_equal(open_ca(dir, CA_SIGN, &ca, &e), OK);
    EVP_PKEY *key = NULL;
    X509 *cert = NULL, *copy = NULL, *again = NULL;
    assert_int_equal(key_generate(KEY_P256, &key, &e), OK);
    struct ca_request request = request_of(CA_USE_SERVER, "db.example.com");
    assert_int_equal(ca_issue(ca, &request, key, &cert, &e), OK);
    struct ca_entry *entries;
    size_t n;
    assert_int_equal(ca_entries(ca, &arena, &entries, &n, &e), OK);
    assert_int_equal(n, 1);
    assert_str(entries[0].subject, "/CN=db.example.com");
    assert_int_equal(entries[0].use, CA_USE_SERVER);
    assert_int_equal(ca_issued(ca, entries[0].serial_hex, &copy, &e), OK);
    assert_int_equal(X509_cmp(cert, copy), 0);
    struct ca_request renewal;
    assert_int_equal(ca_request_of(cert, &arena, &renewal, &e), OK);
    assert_int_equal(renewal.days, 90);
    assert_int_equal(renewal.use, CA_USE_SERVER);
    assert_int_equal(ca_issue(ca, &renewal, key, &again, &e), OK);
    assert_int_equal(ca_revoke(ca, entries[0].serial_hex, CA_REASON_SUPERSEDED, &e), OK);
    assert_int_equal(ca_revoke(ca, entries[0].serial_hex, CA_REASON_SUPERSEDED, &e), E_EXISTS);
    assert_int_equal(ca_revoke(ca, STR("00ff"), CA_REASON_SUPERSEDED, &e), E_UNDEFINED);
    assert_int_equal(ca_write_crl(ca, 30, &e), OK);
    ca_close(ca);
    /* A second opening sees what the first one wrote. */
    assert_int_equal(open_ca(dir, CA_READ, &ca, &e), OK);
    assert_int_equal(ca_entries(ca, &arena, &entries, &n, &e), OK);
    assert_int_equal(n, 2);
    assert_int_equal(entries[0].reason, CA_REASON_SUPERSEDED);
    assert_int_equal(entries[0].revoked_unix_s, MADE_NOW_S);
    assert_int_equal(entries[1].revoked_unix_s, 0);
    char path[OS_PATH_MAX];
    struct trust list = { 0 };
    struct crl_info info;
    assert_int_equal(os_path(dir, "ca.crl", path, &e), OK);
    assert_int_equal(trust_load(path, &list, &e), OK);
    assert_true(crl_revokes(list.crls.items[0], cert) && !crl_revokes(list.crls.items[0], again));
    assert_int_equal(crl_describe(list.crls.items[0], &arena, &info, &e), OK);
    assert_str(info.number, "2");
    trust_fini(&list);
    ca_close(ca);
    cert_free(cert);
    cert_free(copy);
    cert_free(again);
    key_free(key);
}

static void one_writer_at_a_time(void **state)
{
    (void)state;
    struct err e;
    const char *dir = dir_new();
    struct ca_params params = params_of(KEY_P256);
    struct ca *a = NULL, *b = NULL;
    assert_int_equal(ca_create(dir, &params, &env, &e), OK);
    assert_int_equal(open_ca(dir, CA_SIGN, &a, &e), OK);
    assert_int_equal(open_ca(dir, CA_SIGN, &b, &e), E_EXISTS);
    assert_int_equal(open_ca(dir, CA_READ, &b, &e), OK);
    ca_close(b);
    b = NULL;
    params.replace = true;
    assert_int_equal(ca_create(dir, &params, &env, &e), E_EXISTS);
    ca_close(a);
    assert_int_equal(ca_create(dir, &params, &env, &e), OK);
}

static void requests_refused(void **state)
{
    (void)state;
    struct err e;
    const char *dir = dir_new();
    struct ca_constraint only;
    assert_int_equal(ca_constraint_parse(STR("dns:example.com"), &arena, &only, &e), OK);
    struct ca_params params = params_of(KEY_P256);
    params.constraints = &only;
    params.n_constraints = 1;
    params.days = 0;
    assert_int_equal(ca_create(dir, &params, &env, &e), E_PARAM);
    params.days = 100;
    assert_int_equal(ca_create(dir, &params, &env, &e), OK);
    struct ca *ca = NULL;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    assert_int_equal(open_ca(dir, CA_SIGN, &ca, &e), OK);
    assert_int_equal(key_generate(KEY_P256, &key, &e), OK);
    struct ca_request request = request_of(CA_USE_SERVER, "db.example.com");
    request.days = 4000; /* cut to the CA's own life */
    assert_int_equal(ca_issue(ca, &request, key, &cert, &e), OK);
    int64_t from, to;
    assert_int_equal(cert_times(cert, &from, &to, &e), OK);
    assert_int_equal(to, MADE_NOW_S + 100 * 86400);
    cert_free(cert);
    struct san foreign = { SAN_DNS, str_bytes(STR("db.example.org")) };
    request.sans = &foreign;
    assert_int_equal(ca_issue(ca, &request, key, &cert, &e), E_PARAM);
    assert_string_equal(e.message, "this certificate would not be accepted: permitted subtree violation");
    request.n_sans = 0;
    assert_int_equal(ca_issue(ca, &request, key, &cert, &e), E_PARAM);
    request = request_of(CA_USE_CLIENT, "");
    request.n_sans = 0;
    assert_int_equal(ca_issue(ca, &request, key, &cert, &e), E_PARAM);
    request = request_of(CA_USE_CLIENT, "a name that is one character longer than the 64 which are allowed");
    assert_int_equal(request.common_name.n, 65);
    assert_int_equal(ca_issue(ca, &request, key, &cert, &e), E_PARAM);
    request.common_name = STR("a\0b");
    assert_int_equal(ca_issue(ca, &request, key, &cert, &e), E_PARAM);
    request = request_of(CA_USE_CLIENT, "alice");
    request.days = 0;
    assert_int_equal(ca_issue(ca, &request, key, &cert, &e), E_PARAM);
    struct ca_entry *entries;
    size_t n;
    assert_int_equal(ca_entries(ca, &arena, &entries, &n, &e), OK);
    assert_int_equal(n, 1); /* what was refused is not in the journal */
    ca_close(ca);
    key_free(key);
}

static void self_signed(void **state)
{
    (void)state;
    struct err e;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    struct ca_request request = request_of(CA_USE_SERVER, "db.example.com");
    struct chain_verdict verdict;
    assert_int_equal(key_generate(KEY_RSA_2048, &key, &e), OK);
    assert_int_equal(ca_self_sign(&request, key, &env, &cert, &e), OK);
    assert_true(cert_self_signed(cert));
    struct cert_list roots = { (X509 *[]){ cert }, 1 };
    struct chain_verify what = { cert, NULL, &roots, NULL, CHAIN_SERVER, MADE_NOW_S };
    assert_int_equal(chain_verify(&what, &arena, &verdict, &e), OK);
    assert_true(verdict.ok);
    cert_free(cert);
    key_free(key);
}

static enum code give(void *ctx, struct secret *out, struct err *e)
{
    (void)e;
    return secret_set(out, str_bytes(str_c(ctx)));
}

static void a_key_with_a_passphrase(void **state)
{
    (void)state;
    struct err e;
    const char *dir = dir_new();
    char text[] = "swordfish";
    struct secret secret;
    struct ca_params params = params_of(KEY_ED25519);
    assert_int_equal(secret_set(&secret, str_bytes(str_c(text))), OK);
    params.passphrase = &secret;
    assert_int_equal(ca_create(dir, &params, &env, &e), OK);
    struct ca *ca = NULL;
    assert_int_equal(open_ca(dir, CA_SIGN, &ca, &e), E_CONFIG);
    struct key_passphrase passphrase = { give, text };
    assert_int_equal(ca_open(&(struct ca_where){ dir, &passphrase, &env }, CA_SIGN, &ca, &e), OK);
    ca_close(ca);
}

static void journals(void **state)
{
    (void)state;
    static const char good[] = "# head\n"
                               "issued\t5\t0a\tserver\t9\tff\t/CN=a\tb\n"
                               "issued\t6\t0b\tboth\t9\tff\t\n"
                               "\n"
                               "revoked\t7\t0a\tkeyCompromise\n"
                               "crl\t8\t12\n";
    struct journal journal;
    struct err e;
    assert_int_equal(journal_parse(str_c(good), "j", &arena, &journal, &e), OK);
    assert_int_equal(journal.n, 2);
    assert_int_equal(journal.crl_number, 12);
    assert_str(journal.entries[0].subject, "/CN=a\tb");
    assert_int_equal(journal.entries[0].reason, CA_REASON_KEY_COMPROMISE);
    assert_null(journal_find(&journal, STR("0c")));
    static const char *const bad[] = {
        "nonsense\n",
        "issued\t5\t0a\tserver\t9\tff\n",
        "issued\t5\t0A\tserver\t9\tff\t/CN=a\n",
        "issued\t5\t\tserver\t9\tff\t/CN=a\n",
        "issued\t-5\t0a\tserver\t9\tff\t/CN=a\n",
        "issued\t5\t0a\tking\t9\tff\t/CN=a\n",
        "revoked\t7\t0a\tkeyCompromise\n",
        "issued\t5\t0a\tserver\t9\tff\t/CN=a\nrevoked\t7\t0a\tbecause\n",
        "issued\t5\t0a\tserver\t9\tff\t/CN=a\nrevoked\t7\t0a\tsuperseded\nrevoked\t7\t0a\tsuperseded\n",
        "crl\t8\t0\n",
        "crl\t8\t12\textra\n",
        "crl\t8\t99999999999999999999\n",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(journal_parse(str_c(bad[i]), "j", &arena, &journal, &e), E_CONFIG);
    assert_int_equal(e.line, 1);
    assert_string_equal(e.message, "journal \"j\" has an unreadable line 1");
    char text[sizeof good];
    for (size_t n = 0; n < sizeof good; n++)
        (void)!journal_parse(str_of(good, n), "j", &arena, &journal, &e);
    for (size_t bit = 0; bit < (sizeof good - 1) * 8; bit++) {
        memcpy(text, good, sizeof good);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        (void)!journal_parse(str_of(text, sizeof good - 1), "j", &arena, &journal, &e);
    }
}

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 24, 1024);
    env = made_env();
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return tree_remove(root) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life_of_a_ca),
        cmocka_unit_test(one_writer_at_a_time),
        cmocka_unit_test(requests_refused),
        cmocka_unit_test(self_signed),
        cmocka_unit_test(a_key_with_a_passphrase),
        cmocka_unit_test(journals),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
