#include "cmd/cert_show.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/cert_job.h"
#include "cmd/certtext.h"
#include "pki/trust.h"

#include <openssl/x509.h>

struct shown {
    const char *path;
    struct trust all;
    struct diags diags;
};

static void shown_auto(struct shown *shown)
{
    trust_fini(&shown->all);
}

/* Of a certificate of its own the first block may be a TRUSTED CERTIFICATE, no other. */
static enum code warn_skipped(struct bytes pem, struct shown *shown, struct err *e)
{
    AUTO(cert_list) struct cert_list chain = { .n = 0 };
    size_t at = 0;

    TRY(cert_chain_from_pem(pem, shown->path, &chain, e));
    for (size_t i = 0; i < shown->all.certs.n; i++) {
        if (at < chain.n && X509_cmp(chain.items[at], shown->all.certs.items[i]) == 0) {
            at++;
            continue;
        }
        (void)diags_add(
            &shown->diags, SEV_WARNING, E_CONFIG, str_c(shown->path), 0,
            "certificate %zu in file \"%s\" is a TRUSTED CERTIFICATE after another one: it is read in a "
            "file of CAs, and skipped in ssl_cert_file and sslcert",
            i + 1, shown->path);
    }
    return OK;
}

static enum code cert_show_load(const struct cert_job *job, const char *path, struct shown *out,
                                struct err *e)
{
    AUTO(buf) struct buf pem = BUF_INIT(OS_FILE_LIMIT);

    out->path = path;
    diags_init(&out->diags, job->arena);
    TRY(os_read_file(path, &pem, e));
    TRY(trust_from_pem(buf_bytes(&pem), path, &out->all, e));
    if (out->all.certs.n + out->all.crls.n == 0)
        return err_set(e, E_CONFIG, "file \"%s\" contains neither a certificate nor a revocation list", path);
    TRY(warn_skipped(buf_bytes(&pem), out, e));
    return trust_skipped(buf_bytes(&pem), path, &out->diags, e);
}

static enum code show_text(const struct cert_job *job, const struct shown *shown, struct err *e)
{
    FILE *out = job->cmd->out;
    int64_t now_s = env_now_s(&job->cmd->env);

    for (size_t i = 0; i < shown->all.certs.n; i++) {
        struct cert_info info;
        TRY(cert_describe(shown->all.certs.items[i], job->arena, &info, e));
        (void)fprintf(out, "%s: certificate %zu of %zu\n", shown->path, i + 1, shown->all.certs.n);
        cert_print(out, &info, now_s);
    }
    for (size_t i = 0; i < shown->all.crls.n; i++) {
        struct crl_info info;
        TRY(crl_describe(shown->all.crls.items[i], job->arena, &info, e));
        (void)fprintf(out, "%s: revocation list %zu of %zu\n", shown->path, i + 1, shown->all.crls.n);
        crl_print(out, &info, now_s);
    }
    return OK;
}

static enum code put_json(const struct cert_job *job, const struct shown *shown, json_t *array, struct err *e)
{
    int64_t now_s = env_now_s(&job->cmd->env);

    for (size_t i = 0; i < shown->all.certs.n; i++) {
        struct cert_info info;
        TRY(cert_describe(shown->all.certs.items[i], job->arena, &info, e));
        json_t *row = cert_json(&info, now_s);
        (void)json_object_set_new(row, "file", json_of(str_c(shown->path)));
        (void)json_object_set_new(row, "kind", json_string("certificate"));
        (void)json_array_append_new(array, row);
    }
    for (size_t i = 0; i < shown->all.crls.n; i++) {
        struct crl_info info;
        TRY(crl_describe(shown->all.crls.items[i], job->arena, &info, e));
        json_t *row = crl_json(&info, now_s);
        (void)json_object_set_new(row, "file", json_of(str_c(shown->path)));
        (void)json_object_set_new(row, "kind", json_string("crl"));
        (void)json_array_append_new(array, row);
    }
    return OK;
}

static enum code show_all(const struct cert_job *job, json_t *array, struct err *e)
{
    for (size_t i = 0; i < job->cmd->n_args; i++) {
        AUTO(shown) struct shown shown = { .path = NULL };
        TRY(cert_show_load(job, job->cmd->args[i], &shown, e));
        if (array)
            TRY(put_json(job, &shown, array, e));
        else
            TRY(show_text(job, &shown, e));
        (void)cmd_diags(job->cmd, &shown.diags);
    }
    return OK;
}

enum code cert_show(struct cert_job *job, struct err *e)
{
    json_t *array = job->cmd->json ? json_array() : NULL;
    enum code code = show_all(job, array, e);

    if (code == OK && array)
        return json_print(job->cmd->out, array, e);
    json_decref(array);
    return code;
}
