/*
 * The CA directory: what is read, checked and written, and in which order.
 *
 * A certificate is first kept in issued/, then entered in the journal, then handed out; a revocation is first
 * entered, then published. After a crash at any point the journal is at worst ahead of the world.
 */
#include "pki/ca.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "os/files.h"
#include "pki/chain.h"
#include "pki/issue.h"
#include "pki/journal.h"

#include <arpa/inet.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PEM_LIMIT = 1 << 20,
    CRL_LIMIT = 1 << 26,
    ARENA_LIMIT = 1 << 28, /* the journal's rows */
    ARENA_FIRST = 4096,
    DAY_S = 86400
};

static const char journal_head[] = "# pgseal journal, version 1\n";

struct ca {
    char dir[OS_PATH_MAX];
    const struct env *env;
    X509 *cert;
    EVP_PKEY *key; /* NULL under CA_READ */
    struct os_lock lock;
    struct buf journal; /* its text */
};

static enum code ca_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- writing ---- */

static enum code write_cert(const char *dir, const char *name, X509 *cert, struct err *e)
{
    AUTO(buf) struct buf pem = BUF_INIT(PEM_LIMIT);
    char path[OS_PATH_MAX];

    TRY(os_path(dir, name, path, e));
    if (cert_to_pem(cert, &pem) != OK)
        return ca_nomem(e);
    return os_write_file(path, buf_bytes(&pem), 0644, OS_WRITE_REPLACE, e);
}

static enum code write_key(const char *dir, const struct ca_params *params, const EVP_PKEY *key,
                           struct err *e)
{
    struct buf pem = BUF_INIT(PEM_LIMIT);
    char path[OS_PATH_MAX];

    TRY(os_path(dir, "ca.key", path, e));
    enum code code = key_to_pem(key, params->passphrase, &pem, e);
    if (code == OK)
        code = os_write_file(path, buf_bytes(&pem), 0600, params->replace ? OS_WRITE_REPLACE : OS_WRITE_NEW,
                             e);
    buf_fini_secret(&pem);
    return code;
}

static enum code write_journal(const struct ca *ca, struct err *e)
{
    char path[OS_PATH_MAX];

    if (!buf_ok(&ca->journal))
        return err_set(e, E_LIMIT, "the CA's journal is full");
    TRY(os_path(ca->dir, "journal", path, e));
    return os_write_file(path, buf_bytes(&ca->journal), 0600, OS_WRITE_REPLACE, e);
}

static enum code issued_path(const struct ca *ca, struct str serial_hex, char out[OS_PATH_MAX], struct err *e)
{
    char name[OS_PATH_MAX];

    (void)snprintf(name, sizeof name, "issued/%.*s.crt", STR_ARG(str_first(serial_hex, 64)));
    return os_path(ca->dir, name, out, e);
}

/* ---- opening ---- */

static enum code take_lock(const char *dir, struct os_lock *out, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(dir, "ca.lock", path, e));
    return os_lock_take(path, getpid(), out, e);
}

static enum code load_cert(struct ca *ca, struct err *e)
{
    AUTO(cert_list) struct cert_list list = { .n = 0 };
    char path[OS_PATH_MAX];

    TRY(os_path(ca->dir, "ca.crt", path, e));
    enum code code = cert_chain_load(path, &list, e);
    if (code == E_NO_FILE) {
        (void)err_set(e, E_NO_FILE, "there is no CA in \"%s\"", ca->dir);
    }
    TRY(code);
    if (!X509_up_ref(list.items[0]))
        return ca_nomem(e);
    ca->cert = list.items[0];
    return OK;
}

static enum code load_key(struct ca *ca, const struct key_passphrase *passphrase, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(ca->dir, "ca.key", path, e));
    TRY(key_load(path, passphrase, &ca->key, e));
    if (!key_fits(ca->key, ca->cert))
        return err_set(e, E_CONFIG, "private key file \"%s\" does not match the CA's certificate", path);
    return OK;
}

static enum code load_journal(struct ca *ca, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(ca->dir, "journal", path, e));
    return os_read_file(path, &ca->journal, e);
}

enum code ca_open(const struct ca_where *where, enum ca_access access, struct ca **out, struct err *e)
{
    AUTO(ca) struct ca *ca = calloc(1, sizeof *ca);

    if (!ca)
        return ca_nomem(e);
    ca->lock = OS_LOCK_INIT;
    ca->env = where->env;
    ca->journal = BUF_INIT(OS_FILE_LIMIT);
    TRY(os_path("", where->dir, ca->dir, e));
    TRY(load_cert(ca, e));
    if (access == CA_SIGN) {
        TRY(take_lock(ca->dir, &ca->lock, e));
        TRY(load_key(ca, where->passphrase, e));
    }
    TRY(load_journal(ca, e));
    *out = TAKE(ca);
    return OK;
}

void ca_close(struct ca *ca)
{
    if (!ca)
        return;
    os_lock_release(&ca->lock);
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
    buf_fini(&ca->journal);
    free(ca);
}

void ca_auto(struct ca **ca)
{
    ca_close(*ca);
}

X509 *ca_certificate(const struct ca *ca)
{
    return ca->cert;
}

/* ---- making ---- */

static enum code check_params(const struct ca_params *params, struct err *e)
{
    if (params->common_name.n == 0)
        return err_set(e, E_PARAM, "a CA needs a name");
    if (params->days == 0 || params->days > CA_DAYS_MAX)
        return err_set(e, E_PARAM, "the lifetime of a CA must be from 1 to %d days", CA_DAYS_MAX);
    if (params->n_constraints > CA_LIST_MAX)
        return err_set(e, E_LIMIT, "more than %d name constraints", CA_LIST_MAX);
    return OK;
}

static enum code make_dirs(const char *dir, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_mkdir(dir, 0700, e));
    TRY(os_path(dir, "issued", path, e));
    return os_mkdir(path, 0700, e);
}

static enum code refuse_existing(const char *dir, struct err *e)
{
    static const char *const names[] = { "ca.key", "ca.crt" };
    char path[OS_PATH_MAX];

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        TRY(os_path(dir, names[i], path, e));
        if (!os_exists(path))
            continue;
        (void)err_set(e, E_EXISTS, "file \"%s\" already exists", path);
        err_hint(e, "With --force it is replaced, and certificates of the old CA can no longer be renewed or "
                    "revoked.");
        return E_EXISTS;
    }
    return OK;
}

enum code ca_create(const char *dir, const struct ca_params *params, const struct env *env, struct err *e)
{
    struct ca ca = { .env = env, .lock = OS_LOCK_INIT };
    AUTO(os_lock) struct os_lock lock = OS_LOCK_INIT;
    AUTO(key) EVP_PKEY *key = NULL;
    AUTO(cert) X509 *cert = NULL;
    AUTO(buf) struct buf journal = BUF_INIT(OS_FILE_LIMIT);

    TRY(check_params(params, e));
    TRY(make_dirs(dir, e));
    TRY(take_lock(dir, &lock, e));
    if (!params->replace)
        TRY(refuse_existing(dir, e));
    TRY(key_generate(params->key, &key, e));
    TRY(issue_ca(params, &(struct issuer){ .key = key, .env = env }, &cert, e));
    TRY(os_path("", dir, ca.dir, e));
    TRY(write_key(dir, params, key, e));
    if (!buf_append_c(&journal, journal_head))
        return ca_nomem(e);
    ca.cert = cert;
    ca.key = key;
    ca.journal = journal;
    enum code code = write_journal(&ca, e);
    if (code == OK)
        code = ca_write_crl(&ca, CA_CRL_DAYS_DEFAULT, e);
    journal = ca.journal; /* it may have moved */
    /* Last, because its presence is what makes the directory a CA. */
    return code == OK ? write_cert(dir, "ca.crt", cert, e) : code;
}

/* ---- requests ---- */

static enum code check_request(const struct ca_request *request, EVP_PKEY *key, struct err *e)
{
    if (!request->subject && request->common_name.n == 0 && request->n_sans == 0)
        return err_set(e, E_PARAM, "a certificate needs a name");
    if (request->use != CA_USE_CLIENT && request->n_sans == 0)
        return err_set(e, E_PARAM, "a server's certificate needs at least one host name or address");
    if (request->n_sans > CA_LIST_MAX)
        return err_set(e, E_LIMIT, "more than %d alternative names", CA_LIST_MAX);
    if (request->days == 0 || request->days > CA_DAYS_MAX)
        return err_set(e, E_PARAM, "the lifetime of a certificate must be from 1 to %d days", CA_DAYS_MAX);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && key_bits(key) < 2048)
        return err_set(e, E_PARAM, "RSA keys below 2048 bits are refused by every current TLS library");
    return OK;
}

/* Would a peer accept what was just made? Name constraints and an expired CA show here. */
static enum code check_accepted(const struct ca *ca, const struct ca_request *request, X509 *cert,
                                struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct chain_verdict verdict;
    struct cert_list roots = { .items = (X509 *[]){ ca->cert }, .n = 1 };
    struct chain_verify what = { .leaf = cert, .roots = &roots, .now_unix_s = env_now_s(ca->env) };

    arena_init(&arena, ARENA_LIMIT, ARENA_FIRST);
    what.purpose = request->use == CA_USE_CLIENT ? CHAIN_CLIENT : CHAIN_SERVER;
    TRY(chain_verify(&what, &arena, &verdict, e));
    if (verdict.ok)
        return OK;
    (void)err_set(e, E_PARAM, "this certificate would not be accepted: %.*s", STR_ARG(verdict.text));
    err_detail(e, "Verification failed at depth %d, \"%.*s\".", verdict.depth, STR_ARG(verdict.subject));
    return E_PARAM;
}

static enum code entry_of(X509 *cert, const struct ca *ca, struct arena *arena, struct ca_entry *out,
                          struct err *e)
{
    struct cert_info info;
    char hex[CERT_SHA256_TEXT];

    TRY(cert_describe(cert, arena, &info, e));
    cert_sha256_text(info.sha256, hex);
    *out = (struct ca_entry){ .serial_hex = info.serial_hex,
                              .issued_unix_s = env_now_s(ca->env),
                              .not_after_unix_s = info.not_after_unix_s,
                              .subject = info.subject };
    return arena_str(arena, str_c(hex), &out->sha256) ? OK : ca_nomem(e);
}

static enum code enter(struct ca *ca, const struct ca_request *request, X509 *cert, struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct ca_entry entry;
    char path[OS_PATH_MAX];

    arena_init(&arena, ARENA_LIMIT, ARENA_FIRST);
    TRY(entry_of(cert, ca, &arena, &entry, e));
    entry.use = request->use;
    TRY(issued_path(ca, entry.serial_hex, path, e));
    TRY(write_cert("", path, cert, e));
    journal_add_issued(&ca->journal, &entry);
    return write_journal(ca, e);
}

enum code ca_issue(struct ca *ca, const struct ca_request *request, EVP_PKEY *key, X509 **out, struct err *e)
{
    AUTO(cert) X509 *cert = NULL;

    CHECK(ca->key);
    TRY(check_request(request, key, e));
    TRY(issue_leaf(request, key, &(struct issuer){ ca->cert, ca->key, ca->env }, &cert, e));
    TRY(check_accepted(ca, request, cert, e));
    TRY(enter(ca, request, cert, e));
    *out = TAKE(cert);
    return OK;
}

enum code ca_self_sign(const struct ca_request *request, EVP_PKEY *key, const struct env *env, X509 **out,
                       struct err *e)
{
    TRY(check_request(request, key, e));
    return issue_leaf(request, key, &(struct issuer){ .key = key, .env = env }, out, e);
}

static enum ca_use use_of(unsigned eku)
{
    bool server = (eku & (CERT_EKU_SERVER | CERT_EKU_ANY)) != 0;
    bool client = (eku & (CERT_EKU_CLIENT | CERT_EKU_ANY)) != 0;

    return !server ? CA_USE_CLIENT : client ? CA_USE_BOTH : CA_USE_SERVER;
}

enum code ca_request_of(X509 *cert, struct arena *arena, struct ca_request *out, struct err *e)
{
    struct cert_info info;
    struct cert_names names;

    TRY(cert_describe(cert, arena, &info, e));
    TRY(cert_names_of(cert, arena, &names, e));
    if (info.is_ca)
        return err_set(e, E_PARAM, "\"%.*s\" is a CA's certificate", STR_ARG(info.subject));
    for (size_t i = 0; i < names.n_sans; i++)
        if (names.sans[i].type == SAN_OTHER)
            return err_set(e, E_UNSUPPORTED,
                           "the certificate has an alternative name of an unsupported type");
    int64_t days = (info.not_after_unix_s - info.not_before_unix_s) / DAY_S;
    *out = (struct ca_request){ .use = use_of(info.eku),
                                .subject = X509_get_subject_name(cert),
                                .sans = names.sans,
                                .n_sans = names.n_sans,
                                .days = days < 1             ? 1
                                        : days > CA_DAYS_MAX ? CA_DAYS_MAX
                                                             : (unsigned)days };
    return OK;
}

/* ---- the journal ---- */

static enum code parse_journal(const struct ca *ca, struct arena *arena, struct journal *out, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(ca->dir, "journal", path, e));
    return journal_parse(buf_str(&ca->journal), path, arena, out, e);
}

enum code ca_entries(struct ca *ca, struct arena *arena, struct ca_entry **out, size_t *out_n, struct err *e)
{
    struct journal journal;

    TRY(parse_journal(ca, arena, &journal, e));
    *out = journal.entries;
    *out_n = journal.n;
    return OK;
}

enum code ca_issued(struct ca *ca, struct str serial_hex, X509 **out, struct err *e)
{
    AUTO(cert_list) struct cert_list list = { .n = 0 };
    char path[OS_PATH_MAX];

    TRY(issued_path(ca, serial_hex, path, e));
    TRY(cert_chain_load(path, &list, e));
    if (!X509_up_ref(list.items[0]))
        return ca_nomem(e);
    *out = list.items[0];
    return OK;
}

enum code ca_revoke(struct ca *ca, struct str serial_hex, enum ca_reason reason, struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct journal journal;

    arena_init(&arena, ARENA_LIMIT, ARENA_FIRST);
    TRY(parse_journal(ca, &arena, &journal, e));
    const struct ca_entry *entry = journal_find(&journal, serial_hex);
    if (!entry)
        return err_set(e, E_UNDEFINED, "this CA has issued no certificate with serial number %.*s",
                       STR_ARG(serial_hex));
    if (entry->revoked_unix_s)
        return err_set(e, E_EXISTS, "certificate %.*s is already revoked", STR_ARG(serial_hex));
    journal_add_revoked(&ca->journal, env_now_s(ca->env), serial_hex, reason);
    return write_journal(ca, e);
}

enum code ca_write_crl(struct ca *ca, unsigned days, struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    AUTO(buf) struct buf pem = BUF_INIT(CRL_LIMIT);
    struct journal journal;
    X509_CRL *crl = NULL;
    char path[OS_PATH_MAX];

    CHECK(ca->key);
    if (days == 0 || days > CA_DAYS_MAX)
        return err_set(e, E_PARAM, "the lifetime of a revocation list must be from 1 to %d days",
                       CA_DAYS_MAX);
    arena_init(&arena, ARENA_LIMIT, ARENA_FIRST);
    TRY(parse_journal(ca, &arena, &journal, e));
    TRY(os_path(ca->dir, "ca.crl", path, e));
    struct issue_crl what = { journal.entries, journal.n, journal.crl_number + 1, days };
    TRY(issue_crl(&what, &(struct issuer){ ca->cert, ca->key, ca->env }, &crl, e));
    enum code code = crl_to_pem(crl, &pem);
    X509_CRL_free(crl);
    if (code != OK)
        return err_set(e, code, "could not write the certificate revocation list");
    journal_add_crl(&ca->journal, env_now_s(ca->env), what.number);
    TRY(write_journal(ca, e));
    return os_write_file(path, buf_bytes(&pem), 0644, OS_WRITE_REPLACE, e);
}

/* ---- name constraints ---- */

static bool parse_network(struct str text, uint8_t out[32], size_t *out_n)
{
    size_t slash = str_find(text, '/');
    char address[INET6_ADDRSTRLEN];
    uint32_t bits, n;

    if (slash == text.n || !str_to_c(str_first(text, slash), address, sizeof address))
        return false;
    if (inet_pton(AF_INET, address, out) == 1)
        n = 4;
    else if (inet_pton(AF_INET6, address, out) == 1)
        n = 16;
    else
        return false;
    if (!str_to_u32(str_from(text, slash + 1), 0, n * 8, &bits))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t ones = bits > i * 8 ? bits - i * 8 : 0;
        uint8_t mask = ones >= 8 ? 0xff : (uint8_t)(0xff00U >> ones);
        out[n + i] = mask;
        out[i] &= mask;
    }
    *out_n = (size_t)n * 2;
    return true;
}

static bool starts_nocase(struct str *text, struct str prefix)
{
    if (!str_starts_nocase(*text, prefix))
        return false;
    *text = str_from(*text, prefix.n);
    return true;
}

/* A name constraint takes a name as a certificate does, save networks and a leading dot ("below, not
 * itself"). */
static bool is_domain(struct str text)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct san san;

    arena_init(&arena, PEM_LIMIT, 512);
    if (text.n > 0 && text.p[0] == '.')
        text = str_from(text, 1);
    char plain[256];
    if (text.n == 0 || text.p[0] == '*' || !str_to_c(text, plain, sizeof plain))
        return false;
    return san_parse(text, &arena, &san, NULL) == OK && san.type == SAN_DNS && san.value.n == text.n;
}

enum code ca_constraint_parse(struct str text, struct arena *arena, struct ca_constraint *out, struct err *e)
{
    struct ca_constraint found = { .type = SAN_DNS };
    struct str value = text;
    uint8_t network[32];
    size_t n = 0;
    bool ok;

    found.excluded = starts_nocase(&value, STR("!"));
    if (starts_nocase(&value, STR("ip:"))) {
        found.type = SAN_IP;
        ok = parse_network(value, network, &n);
        value = str_of((const char *)network, n);
    } else if (starts_nocase(&value, STR("email:"))) {
        found.type = SAN_EMAIL;
        size_t at = str_find(value, '@');
        ok = is_domain(at < value.n ? str_from(value, at + 1) : value) && at != 0;
    } else if (starts_nocase(&value, STR("uri:"))) {
        found.type = SAN_URI;
        ok = is_domain(value);
    } else {
        (void)starts_nocase(&value, STR("dns:"));
        ok = is_domain(value);
    }
    if (!ok) {
        (void)err_set(e, E_PARAM, "not a valid name constraint: \"%.*s\"", STR_ARG(text));
        err_hint(e, "Write dns:DOMAIN, ip:NETWORK/BITS, email:DOMAIN or uri:HOST; a leading ! excludes.");
        return E_PARAM;
    }
    if (!arena_bytes(arena, str_bytes(value), &found.value))
        return ca_nomem(e);
    *out = found;
    return OK;
}
