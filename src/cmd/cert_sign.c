/*
 * pgseal cert sign: a request comes to the CA, a certificate goes back, and no key travels.
 *
 * What the request says of itself is its sender's wish: whoever signs sees it in the report, and may say
 * otherwise (NAME, --host, --san, --use).
 */
#include "cmd/cert_sign.h"

#include "base/arena.h"
#include "base/check.h"
#include "cmd/cert_export.h"
#include "cmd/cert_options.h"
#include "os/owner.h"
#include "pki/cert.h"
#include "pki/csr.h"

struct signing {
    struct csr csr;
    struct ca_request request;
    const char *name;
    char base[OS_PATH_MAX], cert_path[OS_PATH_MAX], root[OS_PATH_MAX];
    struct leaf_files files;
};

static void signing_auto(struct signing *s)
{
    csr_fini(&s->csr);
}

static enum code cert_sign_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* FILE without .csr and its like, in the same directory or in --out, under the same name or that of --file. */
static enum code plan_paths(const struct cert_job *job, struct signing *s, struct err *e)
{
    static const char *const endings[] = { ".csr", ".req", ".pem" };
    const char *out = cmd_value(job->cmd, OPT_cert_out), *file = cmd_value(job->cmd, OPT_cert_file);
    const char *csr = job->cmd->args[0], *slash = strrchr(csr, '/');
    struct str dir = slash ? str_of(csr, (size_t)(slash - csr) + 1) : STR(""), path;
    struct str name = file ? str_c(file) : str_c(slash ? slash + 1 : csr);
    AUTO(os_owner) struct os_owner as = { 0 };

    for (size_t i = 0; !file && i < COUNT_OF(endings); i++)
        if (str_ends(name, str_c(endings[i])) && name.n > 4) {
            name.n -= 4;
            break;
        }
    if (file && strchr(file, '/'))
        return err_set(e, E_USAGE, "--file takes the name of a file, not \"%s\": --out names a directory",
                       file);
    bool ok = out ? arena_printf(job->arena, &path, "%s/%.*s", out, STR_ARG(name))
                  : arena_printf(job->arena, &path, "%.*s%.*s", STR_ARG(dir), STR_ARG(name));
    if (!ok)
        return cert_sign_nomem(e);
    TRY(os_path("", path.p, s->base, e));
    if (!arena_printf(job->arena, &path, "%s.crt", s->base))
        return cert_sign_nomem(e);
    TRY(os_path("", path.p, s->cert_path, e));
    s->files = LEAF_FILES_INIT;
    s->files.cert_path = s->cert_path;
    s->files.replace = cmd_flag(job->cmd, OPT_cert_force);
    if (!s->files.replace && os_exists(s->cert_path))
        return err_set(e, E_EXISTS, "file \"%s\" already exists", s->cert_path);
    if (!out)
        return OK;
    TRY(os_owner_enter(out, &as, e));
    return os_mkdir(out, 0700, e);
}

static bool names_a_server(const struct cert_names *names)
{
    for (size_t i = 0; i < names->n_sans; i++)
        if (names->sans[i].type == SAN_DNS || names->sans[i].type == SAN_IP)
            return true;
    return false;
}

static enum ca_use wanted_use(const struct csr *csr)
{
    bool server = (csr->eku & CERT_EKU_SERVER) != 0, client = (csr->eku & CERT_EKU_CLIENT) != 0;

    if (server || client)
        return !client ? CA_USE_SERVER : server ? CA_USE_BOTH : CA_USE_CLIENT;
    return names_a_server(&csr->names) ? CA_USE_SERVER : CA_USE_CLIENT;
}

static enum code plan_request(const struct cert_job *job, struct signing *s, struct err *e)
{
    const char *host;
    size_t n = 0;
    struct san *given;

    s->name = job->cmd->n_args > 1 ? job->cmd->args[1] : NULL;
    s->request = (struct ca_request){ .use = wanted_use(&s->csr),
                                      .days = CA_LEAF_DAYS_DEFAULT,
                                      .sans = s->csr.names.sans,
                                      .n_sans = s->csr.names.n_sans };
    if (s->name)
        s->request.common_name = str_c(s->name);
    else if (s->csr.names.cn.present)
        s->request.subject = s->csr.subject;
    TRY(cert_read_sans(job, &given, &n, &host, e));
    if (n > 0) {
        s->request.sans = given;
        s->request.n_sans = n;
        s->request.use = host ? CA_USE_SERVER : s->request.use;
    }
    return cert_read_use_and_days(job, &s->request, e);
}

enum code cert_sign(struct cert_job *job, struct err *e)
{
    AUTO(signing) struct signing s = { .name = NULL };
    AUTO(leaf) struct leaf leaf = { NULL, NULL };
    AUTO(os_owner) struct os_owner as = { 0 };
    AUTO(ca) struct ca *ca = NULL;
    char dir[OS_PATH_MAX];
    unsigned crl_days;

    TRY(cert_job_ca(job, e));
    TRY(cert_job_crl_days(job, &crl_days, e));
    TRY(ca_place_root(&job->place, s.root, e));
    TRY(csr_load(job->cmd->args[0], job->arena, &s.csr, e));
    TRY(plan_request(job, &s, e));
    TRY(plan_paths(job, &s, e));
    TRY(os_owner_enter(ca_place_owner(&job->place), &as, e));
    TRY(ca_place_open(&job->place, CA_SIGN, &job->cmd->env, &ca, e));
    TRY(ca_issue(ca, &s.request, s.csr.key, &leaf.cert, e));
    TRY(ca_place_write_crl(&job->place, ca, crl_days, &as, e));
    os_owner_leave(&as);
    TRY(os_dir_of(s.cert_path, dir, e));
    TRY(os_owner_enter(dir, &as, e));
    TRY(leaf_write(&leaf, &s.files, e));
    struct cert_made made = { .leaf = &leaf,
                              .name = s.name ? s.name : "USER",
                              .base = s.base,
                              .cert_path = s.cert_path,
                              .root = s.root,
                              .use = s.request.use,
                              .files = &s.files };
    return cert_export(job, &made, e);
}
