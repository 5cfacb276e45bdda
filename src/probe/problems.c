/* The chain that was served, and what is wrong with all that was seen. */

#include "probe/problems.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "client/verify.h"
#include "pki/expiry.h"
#include "pki/trust.h"
#include "probe/probe_run.h"
#include "probe/texts.h"

enum { CHAIN_SEEN_MAX = 32, CA_NAMES_MAX = 256, RSA_BITS_MIN = 2048, EC_BITS_MIN = 224 };

/* ---- certificates ---- */

static enum code anchors_of(struct probe_run *run, struct trust *out)
{
    struct str root = run->options.v[CONN_SSLROOTCERT];
    struct str path = root;
    struct err ignored;

    if (root.n == 0 && run->params->world->home.n > 0 &&
        !arena_printf(run->arena, &path, "%.*s/.postgresql/root.crt", STR_ARG(run->params->world->home)))
        return E_NOMEM;
    char *name = path.n > 0 ? arena_c(run->arena, path) : NULL;
    return name ? trust_load(name, out, &ignored) : E_NO_FILE;
}

static enum code judge_chain(struct probe_run *run, X509 *const *certs, size_t n, struct err *e)
{
    struct cert_list chain = { 0 };
    struct trust anchors = { 0 };
    enum code code = OK;

    run->roots_known = anchors_of(run, &anchors) == OK;

    for (size_t i = 0; i < n && code == OK; i++)
        code = cert_list_add(&chain, certs[i]);
    const struct chain_params params = { .chain = &chain,
                                         .anchors = run->roots_known ? &anchors.certs : NULL,
                                         .system = !run->roots_known,
                                         .now_unix_s = env_now_s(run->params->env) };
    if (code == OK)
        code = chain_check(&params, run->arena, &run->report->chain_report, e);
    cert_list_fini(&chain);
    trust_fini(&anchors);
    return code;
}

static enum code see_ca_names(struct probe_run *run, struct err *e)
{
    const X509_NAME *names[CA_NAMES_MAX];
    size_t n = tls_engine_peer_ca_names(run->dial->tls, names, CA_NAMES_MAX);

    for (size_t i = 0; i < n; i++) {
        struct str text;
        TRY(name_slash(names[i], run->arena, &text, e));
        TRY(probe_texts_add(run, &run->report->ca_names, text, e));
    }
    return OK;
}

enum code probe_certificate_problems(struct probe_run *run, struct err *e)
{
    struct probe_report *r = run->report;
    X509 *certs[CHAIN_SEEN_MAX];
    struct cert_names names;
    struct err why;
    size_t n = tls_engine_peer_chain(run->dial->tls, certs, CHAIN_SEEN_MAX);

    TRY(see_ca_names(run, e));
    if (n == 0)
        return OK;
    r->chain = arena_array(run->arena, n, sizeof *r->chain);
    if (!r->chain)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        if (cert_describe(certs[i], run->arena, &r->chain[i], &why) != OK)
            break; /* a certificate that cannot be read ends the list; verification has its own word on it */
        r->n_chain = i + 1;
    }
    if (cert_names_of(certs[0], run->arena, &names, &why) == OK)
        r->names_host = verify_host(&names, run->info.hosts[0].host, &why) == OK;
    return judge_chain(run, certs, n, e);
}

/* ---- problems ---- */

/* One more; E_NOMEM. */
PRINTF_LIKE(4, 5)
static enum code add(struct probe_run *run, const char *id, enum problem_severity severity, const char *fmt,
                     ...)
{
    struct probe_report *r = run->report;
    struct problem *grown = arena_array(run->arena, r->n_problems + 1, sizeof *grown);
    struct str what;
    va_list args;

    va_start(args, fmt);
    bool ok = arena_vprintf(run->arena, &what, fmt, args);
    va_end(args);
    if (!ok || !grown)
        return E_NOMEM;
    if (r->n_problems > 0)
        memcpy(grown, r->problems, r->n_problems * sizeof *grown);
    grown[r->n_problems] = (struct problem){ id, severity, what };
    r->problems = grown;
    r->n_problems++;
    return OK;
}

static enum code judge_auth(struct probe_run *run)
{
    const struct probe_report *r = run->report;
    const struct auth_seen *plain = &r->auth_plain, *tls = &r->auth_tls;

    if (plain->reached && !r->unix_socket)
        TRY(add(run, "plaintext-accepted", PROBLEM_HIGH,
                "a connection without TLS reaches authentication (%.*s): use hostssl rules only",
                STR_ARG(plain->method)));
    if (plain->reached && !r->unix_socket && str_is(plain->method, "password"))
        TRY(add(run, "cleartext-password", PROBLEM_HIGH,
                "without TLS the server asks for the password in cleartext"));
    if (tls->reached && str_is(tls->method, "trust"))
        TRY(add(run, "trust", PROBLEM_HIGH, "the server admits the user without authentication"));
    if (tls->reached && str_is(tls->method, "md5"))
        TRY(add(run, "md5", PROBLEM_MEDIUM, "passwords are checked with MD5: change to scram-sha-256"));
    if (tls->reached && str_is(tls->method, "password"))
        TRY(add(run, "password", PROBLEM_MEDIUM,
                "the client sends the password itself: change to scram-sha-256"));
    if (tls->reached && str_is(tls->method, "scram-sha-256") && !tls->scram_plus)
        TRY(add(run, "no-channel-binding", PROBLEM_LOW, "SCRAM-SHA-256-PLUS is not offered over TLS"));
    return OK;
}

static enum code judge_tls(struct probe_run *run)
{
    const struct probe_report *r = run->report;
    bool tls13 = false;

    if (r->unix_socket)
        return OK;
    if (!r->tls)
        return add(run, "no-tls", PROBLEM_HIGH, "no TLS session: %.*s", STR_ARG(r->tls_error));
    for (size_t i = 0; i < r->protocols.n; i++) {
        tls13 |= str_is(r->protocols.items[i], "TLSv1.3");
        if (str_is(r->protocols.items[i], "TLSv1") || str_is(r->protocols.items[i], "TLSv1.1"))
            TRY(add(run, "old-protocol", PROBLEM_HIGH, "%.*s is accepted: set ssl_min_protocol_version",
                    STR_ARG(r->protocols.items[i])));
    }
    if (r->protocols.n > 0 && !tls13)
        TRY(add(run, "no-tls13", PROBLEM_LOW, "TLSv1.3 is not accepted"));
    if (r->injected == ANSWER_YES)
        TRY(add(run, "injected-bytes", PROBLEM_HIGH,
                "bytes sent before TLS are read as part of the session (CVE-2021-23214): update the server"));
    if (r->direct_no_alpn == ANSWER_YES)
        TRY(add(run, "direct-without-alpn", PROBLEM_LOW,
                "direct TLS is accepted without ALPN: connections of other protocols can be redirected here "
                "(ALPACA)"));
    return OK;
}

static bool is_weak(struct str cipher)
{
    static const char *const words[] = { "NULL", "ADH",     "AECDH", "EXP",  "RC4",
                                         "RC2",  "DES-CBC", "MD5",   "IDEA", "SEED" };
    struct str rest = cipher, part;

    while (str_split(&rest, '-', &part))
        if (str_is_one_of(part, words, COUNT_OF(words)))
            return true;
    return str_starts(cipher, STR("DES-")) || str_ends(cipher, STR("DES-CBC3-SHA"));
}

static enum code judge_ciphers(struct probe_run *run)
{
    const struct str_list_of *ciphers = &run->report->ciphers;

    for (size_t i = 0; i < ciphers->n; i++) {
        if (is_weak(ciphers->items[i]))
            TRY(add(run, "weak-cipher", PROBLEM_MEDIUM, "%.*s is accepted: tighten ssl_ciphers",
                    STR_ARG(ciphers->items[i])));
    }
    return OK;
}

static bool key_is_weak(const struct cert_info *cert)
{
    if (str_starts(cert->key, STR("RSA")) || str_starts(cert->key, STR("DSA")))
        return cert->key_bits < RSA_BITS_MIN;
    return cert->key_bits < EC_BITS_MIN;
}

static bool signature_is_weak(struct str name)
{
    static const char *const ends[] = { "SHA1", "sha1", "MD5", "md5", "MD4", "MD2" };

    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        for (size_t at = 0; at < name.n; at++) {
            if (str_starts(str_from(name, at), str_c(ends[i])))
                return true;
        }
    }
    return false;
}

static enum code judge_cert(struct probe_run *run, const struct cert_info *cert)
{
    struct expiry x = expiry_judge(cert->not_before_unix_s, cert->not_after_unix_s,
                                   env_now_s(run->params->env));

    if (x.over)
        TRY(add(run, "expired", PROBLEM_HIGH, "certificate %.*s expired %lld days ago",
                STR_ARG(cert->subject), (long long)-x.days_left));
    else if (x.not_yet)
        TRY(add(run, "not-yet-valid", PROBLEM_HIGH, "certificate %.*s is not valid yet",
                STR_ARG(cert->subject)));
    else if (x.status != EXPIRY_OK)
        TRY(add(run, "expires-soon", x.status == EXPIRY_CRITICAL ? PROBLEM_MEDIUM : PROBLEM_LOW,
                "certificate %.*s expires in %lld days", STR_ARG(cert->subject), (long long)x.days_left));
    if (key_is_weak(cert))
        TRY(add(run, "weak-key", PROBLEM_HIGH, "certificate %.*s has a weak key (%.*s)",
                STR_ARG(cert->subject), STR_ARG(cert->key)));
    if (!cert->self_signed && signature_is_weak(cert->signature))
        TRY(add(run, "weak-signature", PROBLEM_HIGH, "certificate %.*s has a weak signature (%.*s)",
                STR_ARG(cert->subject), STR_ARG(cert->signature)));
    return OK;
}

static enum code judge_order(struct probe_run *run)
{
    const struct chain_report *c = &run->report->chain_report;

    switch (c->fault) {
    case CHAIN_FINE:
    case CHAIN_EMPTY:
        return OK;
    case CHAIN_OUT_OF_ORDER:
        return add(run, "chain-order", PROBLEM_MEDIUM, "the chain is out of order at %.*s",
                   STR_ARG(c->subject));
    case CHAIN_STRAY:
        return add(run, "chain-stray", PROBLEM_LOW, "%.*s does not belong to the chain that is served",
                   STR_ARG(c->subject));
    case CHAIN_INCOMPLETE:
        break;
    }
    if (c->missing_intermediate)
        return add(run, "chain-incomplete", PROBLEM_HIGH,
                   "the chain lacks the intermediate %.*s: append it to ssl_cert_file", STR_ARG(c->missing));
    if (run->roots_known)
        return add(
            run, "issuer-unknown", PROBLEM_HIGH,
            "the chain ends at %.*s, whose issuer %.*s is not among your roots: append the intermediate to "
            "ssl_cert_file, or give clients the right CA",
            STR_ARG(c->subject), STR_ARG(c->missing));
    return add(
        run, "issuer-unknown", PROBLEM_LOW,
        "the issuer %.*s is neither served nor known here: if it is not the root, append it to ssl_cert_file",
        STR_ARG(c->missing));
}

static enum code judge_certificates(struct probe_run *run)
{
    const struct probe_report *r = run->report;

    if (r->n_chain == 0)
        return OK;
    for (size_t i = 0; i < r->n_chain; i++)
        TRY(judge_cert(run, &r->chain[i]));
    if (!r->names_host)
        TRY(add(run, "wrong-name", PROBLEM_HIGH, "the certificate %.*s is not for host \"%.*s\"",
                STR_ARG(r->chain[0].subject), STR_ARG(run->info.hosts[0].host)));
    if (str_starts(r->chain[0].signature, STR("ED")))
        TRY(add(
            run, "no-binding-digest", PROBLEM_MEDIUM,
            "a certificate signed with %.*s breaks SCRAM channel binding: clients need channel_binding=disable",
            STR_ARG(r->chain[0].signature)));
    return judge_order(run);
}

static enum code judge_addresses(struct probe_run *run)
{
    const struct probe_report *r = run->report;
    const struct address_seen *first = NULL;

    for (size_t i = 0; i < r->n_addresses; i++) {
        const struct address_seen *a = &r->addresses[i];
        if (!a->reachable && r->reachable)
            TRY(add(run, "address-unreachable", PROBLEM_LOW, "address %.*s does not answer: %.*s",
                    STR_ARG(a->text), STR_ARG(a->error)));
        if (!a->has_certificate)
            continue;
        if (first && memcmp(first->sha256, a->sha256, sizeof a->sha256) != 0)
            TRY(add(run, "different-certificates", PROBLEM_MEDIUM,
                    "%.*s and %.*s serve different certificates", STR_ARG(first->text), STR_ARG(a->text)));
        first = first ? first : a;
    }
    return OK;
}

struct str probe_short_error(struct str text)
{
    const struct str marker = STR(" failed: ");
    struct str line = str_first(text, str_find(text, '\n'));

    for (size_t at = 0; at < line.n && str_starts(line, STR("connection to server")); at++) {
        if (str_starts(str_from(line, at), marker))
            return str_from(line, at + marker.n);
    }
    return line;
}

/* About whoever looks, not about the server; said where it will be read. */
static enum code judge_client(struct probe_run *run)
{
    struct str file = run->options.v[CONN_SSLKEYLOGFILE];

    if (file.n == 0)
        return OK;
    return add(run, "keys-logged", PROBLEM_LOW,
               "the keys of the TLS sessions of this probe were written to \"%.*s\" (sslkeylogfile)",
               STR_ARG(file));
}

static enum code judge_safety(struct probe_run *run)
{
    struct probe_report *r = run->report;
    const struct mode_verdict *full = &r->modes[SSLMODE_VERIFY_FULL];
    bool ok = true;

    r->safe = full->connects && (full->verified == PROOF_FULL || r->unix_socket);
    if (r->safe && r->unix_socket)
        r->because = STR("a Unix-domain socket does not leave the machine");
    else if (r->safe)
        ok = arena_printf(run->arena, &r->because, "the chain leads to a CA you trust and names \"%.*s\"",
                          STR_ARG(run->info.hosts[0].host));
    else
        r->because = probe_short_error(full->error);
    return ok ? OK : E_NOMEM;
}

static enum code judge_all(struct probe_run *run)
{
    if (run->report->reachable) {
        TRY(judge_tls(run));
        TRY(judge_auth(run));
        TRY(judge_certificates(run));
        TRY(judge_ciphers(run));
        TRY(judge_addresses(run));
        TRY(judge_client(run));
    }
    return judge_safety(run);
}

enum code probe_problems(struct probe_run *run, struct err *e)
{
    return judge_all(run) == OK ? OK : err_set(e, E_NOMEM, "out of memory");
}
