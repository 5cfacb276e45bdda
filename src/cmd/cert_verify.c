/*
 * pgseal cert verify: what the other side would say.
 *
 * For a server's certificate that is libpq, whose words for a chain it refuses are few (`SSL error:
 * certificate verify failed`), so OpenSSL's reason is beside them; for a client's certificate (--client)
 * it is the server, whose log tells more than the alert the client sees [src: PostgreSQL 18, "SSL Support" of
 * libpq; be-secure-openssl.c verify_cb].
 */
#include "cmd/cert_verify.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/verify.h"
#include "cmd/cert_job.h"
#include "cmd/certtext.h"
#include "pki/chain.h"
#include "pki/expiry.h"
#include "pki/journal.h"
#include "pki/trust.h"
#include "tls/diag.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

/* One line of the answer. */
struct answer {
    bool asked;
    bool ok;
    struct str error;  /* the other side's words */
    struct str reason; /* more than they say */
};

struct examined {
    struct cert_list file;
    struct trust roots;     /* what the other side believes in, revocation lists included */
    bool checks_crls;       /* it has been told to look into them */
    struct cert_list chain; /* borrows from `file`: all but the leaf */
    const char *path, *root, *host;
    bool client;
    int64_t now_s;
    struct cert_info info;
    struct answer ca, full, key;
    struct answer revocation; /* what this CA's own list says, where the CA is known */
    struct trust own;         /* that list */
    const char *own_crl;
    struct diags diags;
};

static void examined_auto(struct examined *x)
{
    cert_list_fini(&x->file);
    trust_fini(&x->roots);
    trust_fini(&x->own);
}

static enum code cert_verify_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- input ---- */

static enum code find_root(struct cert_job *job, struct examined *x, struct err *e)
{
    char path[OS_PATH_MAX];

    bool known = cmd_value(job->cmd, OPT_cert_directory) || cmd_value(job->cmd, OPT_cert_ca);

    x->root = cmd_value(job->cmd, OPT_cert_root);
    if (!x->root && !known)
        return err_set(e, E_USAGE,
                       "no CA given: name the file that the other side trusts with --root, or use -D");
    if (known)
        TRY(cert_job_ca(job, e));
    if (x->root)
        return OK;
    TRY(ca_place_root(&job->place, path, e));
    x->root = arena_c(job->arena, str_c(path));
    return x->root ? OK : cert_verify_nomem(e);
}

/* The list of the CA that was named, or the gate's copy of it where the CA is kept elsewhere. */
static enum code load_own_list(const struct cert_job *job, struct examined *x, struct err *e)
{
    char path[OS_PATH_MAX];
    struct err ignored;

    if (!job->place.ca_dir[0])
        return OK;
    TRY(os_path(job->place.ca_dir, "ca.crl", path, e));
    if (!os_exists(path) && job->place.gate_dir[0])
        TRY(os_path(job->place.gate_dir, "tls/ca.crl", path, e));
    if (!os_exists(path) || trust_load(path, &x->own, &ignored) != OK)
        return OK;
    x->own_crl = arena_c(job->arena, str_c(path));
    return x->own_crl ? OK : cert_verify_nomem(e);
}

static enum code cert_verify_load(struct cert_job *job, struct examined *x, struct err *e)
{
    const char *crl = cmd_value(job->cmd, OPT_cert_crl);

    x->path = job->cmd->args[0];
    x->host = cmd_value(job->cmd, OPT_cert_host);
    x->client = cmd_flag(job->cmd, OPT_cert_client);
    x->now_s = env_now_s(&job->cmd->env);
    TRY(find_root(job, x, e));
    TRY(cert_chain_load(x->path, &x->file, e));
    x->chain = (struct cert_list){ x->file.items + 1, x->file.n - 1 };
    TRY(load_own_list(job, x, e));
    x->checks_crls = crl || (x->client && x->own_crl);
    if (crl || x->checks_crls) /* what else is in it counts, too */
        TRY(trust_load(crl ? crl : x->own_crl, &x->roots, e));
    return cert_describe(x->file.items[0], job->arena, &x->info, e);
}

/* ---- verify-ca ---- */

/* The alert that a server answers with, as libpq prints it. */
static const char *alert_of(int error)
{
    enum {
        BAD_CERTIFICATE = 42,
        UNSUPPORTED_CERTIFICATE,
        CERTIFICATE_REVOKED,
        CERTIFICATE_EXPIRED,
        UNKNOWN_CA = 48
    };

    switch (error) { /* OpenSSL's numbers, so the default is needed */
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CRL_HAS_EXPIRED:
        return tls_alert_reason(CERTIFICATE_EXPIRED);
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
        return tls_alert_reason(BAD_CERTIFICATE);
    case X509_V_ERR_CERT_REVOKED:
        return tls_alert_reason(CERTIFICATE_REVOKED);
    case X509_V_ERR_INVALID_PURPOSE:
        return tls_alert_reason(UNSUPPORTED_CERTIFICATE);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        return tls_alert_reason(UNKNOWN_CA);
    default:
        return "the server's alert";
    }
}

static enum code cert_verify_refused(const struct cert_job *job, const struct examined *x,
                                     const struct chain_verdict *verdict, struct answer *answer,
                                     struct err *e)
{
    bool ok = arena_printf(job->arena, &answer->reason,
                           "%.*s, at depth %d: subject \"%.*s\", issuer \"%.*s\"", STR_ARG(verdict->text),
                           verdict->depth, STR_ARG(verdict->subject), STR_ARG(verdict->issuer));

    answer->error = STR("SSL error: certificate verify failed");
    if (x->client)
        ok = ok && arena_printf(job->arena, &answer->error, "SSL error: %s", alert_of(verdict->error));
    return ok ? OK : cert_verify_nomem(e);
}

static enum code judge_chain(const struct cert_job *job, struct examined *x, struct err *e)
{
    struct chain_verdict verdict;
    struct err failed;

    x->ca.asked = true;
    if (!str_is(str_c(x->root), "system")) {
        enum code code = trust_load(x->root, &x->roots, &failed);
        if (code == E_NO_FILE)
            x->ca.error = STR("the root certificate file does not exist");
        if (code == E_NO_FILE &&
            !arena_printf(job->arena, &x->ca.error, "root certificate file \"%s\" does not exist", x->root))
            return cert_verify_nomem(e);
        if (code == E_NO_FILE)
            return OK;
        if (code != OK) {
            (void)err_set(e, code, "could not read root certificate file \"%s\": %s", x->root,
                          err_text(&failed));
            err_hint(e, "%s", failed.hint);
            return code;
        }
    }
    struct chain_verify what = { .leaf = x->file.items[0],
                                 .chain = &x->chain,
                                 .roots = str_is(str_c(x->root), "system") ? NULL : &x->roots.certs,
                                 .crls = x->checks_crls ? &x->roots.crls : NULL,
                                 .purpose = x->client ? CHAIN_CLIENT : CHAIN_SERVER,
                                 .now_unix_s = x->now_s };
    TRY(chain_verify(&what, job->arena, &verdict, e));
    x->ca.ok = verdict.ok;
    return verdict.ok ? OK : cert_verify_refused(job, x, &verdict, &x->ca, e);
}

/* ---- verify-full, key ---- */

static enum code judge_host(const struct cert_job *job, struct examined *x, struct err *e)
{
    struct cert_names names;
    struct err failed;

    if (!x->host || x->client)
        return OK;
    x->full = x->ca;
    if (!x->ca.ok)
        return OK; /* libpq does not get as far as the name */
    TRY(cert_names_of(x->file.items[0], job->arena, &names, e));
    x->full.ok = verify_host(&names, str_c(x->host), &failed) == OK;
    if (!x->full.ok && !arena_str(job->arena, str_c(err_text(&failed)), &x->full.error))
        return cert_verify_nomem(e);
    return OK;
}

static const char *reason_text(int reason)
{
    static const enum ca_reason known[] = { CA_REASON_KEY_COMPROMISE, CA_REASON_AFFILIATION_CHANGED,
                                            CA_REASON_SUPERSEDED, CA_REASON_CESSATION };

    for (size_t i = 0; i < COUNT_OF(known); i++)
        if ((int)known[i] == reason)
            return ca_reason_name(known[i]);
    return ca_reason_name(CA_REASON_UNSPECIFIED);
}

/* libpq looks into a list only where sslcrl names one: the CA itself knows better. */
static enum code judge_revocation(const struct cert_job *job, struct examined *x, struct err *e)
{
    X509 *leaf = x->file.items[0];
    struct crl_entry entry;
    char when[TIME_TEXT_MAX];

    for (size_t i = 0; i < x->own.crls.n; i++) {
        X509_CRL *crl = x->own.crls.items[i];
        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(leaf)) != 0)
            continue;
        x->revocation.asked = true;
        x->revocation.ok = !crl_revokes(crl, leaf);
        if (x->revocation.ok || !crl_entry_of(crl, leaf, &entry))
            continue;
        if (!arena_printf(job->arena, &x->revocation.error, "revoked at %s (%s)",
                          time_text(entry.revoked_unix_s, when), reason_text(entry.reason)) ||
            !arena_printf(job->arena, &x->revocation.reason, "revocation list \"%s\"", x->own_crl))
            return cert_verify_nomem(e);
        return OK;
    }
    return OK;
}

static enum code judge_key(const struct cert_job *job, struct examined *x, struct err *e)
{
    const char *path = cmd_value(job->cmd, OPT_cert_key_file);
    struct passphrase_source source = { .file = cmd_value(job->cmd, OPT_cert_passphrase_file),
                                        .command = cmd_value(job->cmd, OPT_cert_passphrase_command),
                                        .ask = cmd_flag(job->cmd, OPT_cert_passphrase),
                                        .what = "the key" };
    struct key_passphrase passphrase = passphrase_for(&source);
    AUTO(key) EVP_PKEY *key = NULL;
    AUTO(buf) struct buf pem = BUF_INIT(OS_FILE_LIMIT);
    struct err failed;

    if (!path)
        return OK;
    x->key.asked = true;
    enum code code = x->client ? os_check_client_key_file(path, &failed) : os_check_key_file(path, &failed);
    if (code == OK)
        code = os_read_file(path, &pem, &failed);
    if (code == OK)
        code = key_from_pem(buf_bytes(&pem), path, &passphrase, &key, &failed);
    if (code == OK && !key_fits(key, x->file.items[0]))
        code = err_set(&failed, E_CONFIG, "could not load private key file \"%s\": key values mismatch",
                       path);
    if (pem.p)
        wipe(pem.p, pem.size);
    x->key.ok = code == OK;
    if (code != OK && (!arena_str(job->arena, str_c(err_text(&failed)), &x->key.error) ||
                       !arena_str(job->arena, str_c(failed.detail), &x->key.reason)))
        return cert_verify_nomem(e);
    return OK;
}

/* What both sides accept, and still is not right. */
static enum code warn(const struct cert_job *job, struct examined *x, struct err *e)
{
    struct chain_params params = { .chain = &x->file,
                                   .anchors = &x->roots.certs,
                                   .system = str_is(str_c(x->root), "system"),
                                   .now_unix_s = x->now_s };
    struct chain_report report;
    struct expiry expiry = expiry_judge(x->info.not_before_unix_s, x->info.not_after_unix_s, x->now_s);

    diags_init(&x->diags, job->arena);
    TRY(chain_check(&params, job->arena, &report, e));
    chain_diagnose(&report, x->path, false, &x->diags);
    if (!x->client)
        cert_warn(x->file.items[0], &x->info, &x->diags);
    if (expiry.status != EXPIRY_OK && !expiry.over && !expiry.not_yet)
        (void)diags_add(&x->diags, SEV_WARNING, E_CONFIG, str_c(x->path), 0,
                        "the certificate expires in %lld days: renewal is due", (long long)expiry.days_left);
    return OK;
}

/* ---- output ---- */

static void cert_verify_say(const struct cmd *cmd, const char *what, const struct answer *answer)
{
    FILE *out = cmd->out;

    if (!answer->asked)
        return;
    if (answer->ok) {
        (void)fprintf(out, "  %-12s %sok%s\n", what, cmd_tint(cmd, TINT_GOOD), cmd_tint_end(cmd));
        return;
    }
    (void)fprintf(out, "  %-12s %s%.*s%s\n", what, cmd_tint(cmd, TINT_BAD), STR_ARG(answer->error),
                  cmd_tint_end(cmd));
    if (answer->reason.n)
        (void)fprintf(out, "  %-12s (%.*s)\n", "", STR_ARG(answer->reason));
}

static void report_text(const struct cert_job *job, const struct examined *x)
{
    FILE *out = job->cmd->out;

    (void)fprintf(out, "%s, trusting %s\n", x->path, x->root);
    cert_verify_say(job->cmd, x->client ? "accepted" : "verify-ca", &x->ca);
    cert_verify_say(job->cmd, "verify-full", &x->full);
    if (!x->client && !x->host) {
        (void)fprintf(out, "  %-12s not checked: name the host with --host. The certificate is for",
                      "verify-full");
        for (size_t i = 0; i < x->info.n_sans; i++)
            (void)fprintf(out, "%s %.*s", i ? "," : "", STR_ARG(x->info.sans[i]));
        if (x->info.n_sans == 0)
            (void)fprintf(out, " %.*s", STR_ARG(x->info.subject));
        (void)fputc('\n', out);
    }
    cert_verify_say(job->cmd, "key", &x->key);
    cert_verify_say(job->cmd, "revocation", &x->revocation);
}

static json_t *answer_json(const struct answer *answer)
{
    if (!answer->asked)
        return json_null();
    return json_pack("{s:b, s:o, s:o}", "ok", (int)answer->ok, "error",
                     answer->ok ? json_null() : json_of(answer->error), "reason",
                     answer->ok || answer->reason.n == 0 ? json_null() : json_of(answer->reason));
}

static enum code report_json(const struct cert_job *job, const struct examined *x, struct err *e)
{
    json_t *warnings = json_array();
    const struct diag *row;

    STAILQ_FOREACH (row, &x->diags.list, next)
        (void)json_array_append_new(warnings, json_of(row->message));
    return json_print(job->cmd->out,
                      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "file",
                                json_of(str_c(x->path)), "root", json_of(str_c(x->root)), "host",
                                x->host ? json_of(str_c(x->host)) : json_null(),
                                x->client ? "accepted" : "verify_ca", answer_json(&x->ca), "verify_full",
                                answer_json(&x->full), "key", answer_json(&x->key), "revocation",
                                answer_json(&x->revocation), "warnings", warnings, "certificate",
                                cert_json(&x->info, x->now_s)),
                      e);
}

static bool fine(const struct answer *answer)
{
    return !answer->asked || answer->ok;
}

enum code cert_verify(struct cert_job *job, int *out_status, struct err *e)
{
    AUTO(examined) struct examined x = { .path = NULL };

    TRY(cert_verify_load(job, &x, e));
    TRY(judge_chain(job, &x, e));
    TRY(judge_host(job, &x, e));
    TRY(judge_key(job, &x, e));
    TRY(judge_revocation(job, &x, e));
    TRY(warn(job, &x, e));
    *out_status = fine(&x.ca) && fine(&x.full) && fine(&x.key) && fine(&x.revocation) && diags_ok(&x.diags)
                      ? EXIT_FINE
                      : EXIT_FINDING;
    if (job->cmd->json)
        return report_json(job, &x, e);
    report_text(job, &x);
    (void)cmd_diags(job->cmd, &x.diags);
    return OK;
}
