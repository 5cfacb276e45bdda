/*
 * pgseal cert issue, renew.
 *
 * Everything that could refuse is asked before the CA signs: names, existing files, passphrases. What is
 * signed is in the journal for good.
 */
#include "cmd/cert_issue.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/cert_export.h"
#include "cmd/cert_job.h"
#include "cmd/cert_options.h"
#include "cmd/gate_dir.h"
#include "cmd/number_option.h"
#include "os/owner.h"
#include "pki/journal.h"

#include <grp.h>
#include <openssl/x509.h>
#include <pwd.h>
#include <sys/stat.h>

enum { KEY_FILE_LIMIT = 1 << 20 };

static enum code cert_issue_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* Everything about one leaf, before it is made. */
struct plan {
    struct ca_request request;
    enum key_kind kind;
    const char *name;
    char base[OS_PATH_MAX];
    char cert_path[OS_PATH_MAX];
    char key_path[OS_PATH_MAX];
    char root[OS_PATH_MAX];
    const char *host;
    unsigned port;
    struct leaf_files files;
    struct secret passphrase;
    bool self_signed;
    bool renewed;
    bool by_name; /* renewal: of this user, not of a file */
    bool in_gate; /* the files lie in the gate's directory, of themselves */
};

static void plan_auto(struct plan *plan)
{
    secret_wipe(&plan->passphrase);
}

/* ---- options ---- */

static enum code read_sans(const struct cert_job *job, struct plan *plan, struct err *e)
{
    struct san *sans;

    TRY(cert_read_sans(job, &sans, &plan->request.n_sans, &plan->host, e));
    plan->request.sans = sans;
    return OK;
}

static enum code read_use(const struct cert_job *job, struct plan *plan, struct err *e)
{
    plan->request.use = plan->host ? CA_USE_SERVER : CA_USE_CLIENT;
    TRY(cert_read_use_and_days(job, &plan->request, e));
    if (plan->request.use == CA_USE_CLIENT || plan->request.n_sans > 0)
        return OK;
    /* A server without --host: its name is its host name. */
    struct san *san = arena_array(job->arena, 1, sizeof *san);
    if (!san)
        return cert_issue_nomem(e);
    TRY(san_parse(str_c(plan->name), job->arena, san, e));
    plan->request.sans = san;
    plan->request.n_sans = 1;
    plan->host = plan->name;
    return OK;
}

static enum code read_kind(const struct cert_job *job, struct plan *plan, struct err *e)
{
    const char *key = cmd_value(job->cmd, OPT_cert_key);

    if (key && !key_kind_from_name(str_c(key), &plan->kind))
        return err_set(e, E_USAGE, "\"%s\" is not a supported key type (" KEY_KIND_NAMES ")", key);
    return cmd_read_number(job->cmd, OPT_cert_days, CA_DAYS_MAX, &plan->request.days, e);
}

/* HOST, HOST:PORT or [V6]:PORT. */
static enum code read_server(const struct cert_job *job, struct plan *plan, struct err *e)
{
    struct str text = str_c(cmd_value(job->cmd, OPT_cert_server)), host = text, port = STR("");

    if (text.n == 0)
        return OK;
    if (str_starts(text, STR("["))) {
        size_t end = str_find(text, ']');
        host = str_from(str_first(text, end), 1);
        port = str_from(text, end + 1);
    } else if (str_find(text, ':') < text.n) {
        host = str_first(text, str_find(text, ':'));
        port = str_from(text, host.n);
    }
    plan->host = arena_c(job->arena, host);
    if (!plan->host)
        return cert_issue_nomem(e);
    if (host.n == 0 || (port.n && !str_to_u32(str_from(port, 1), 1, 65535, &plan->port)))
        return err_set(e, E_USAGE, "--server takes HOST or HOST:PORT, not \"%.*s\"", STR_ARG(text));
    return OK;
}

static enum code read_owner(const struct cert_job *job, struct plan *plan, struct err *e)
{
    const char *owner = cmd_value(job->cmd, OPT_cert_owner), *group = cmd_value(job->cmd, OPT_cert_group);
    const struct passwd *user = owner ? getpwnam(owner) : NULL;
    const struct group *row = group ? getgrnam(group) : NULL;

    if (owner && group)
        return err_set(
            e, E_USAGE,
            "only one of --owner and --group can be given: PostgreSQL accepts a key of its own user with "
            "mode 0600, or a key of root with 0640");
    if (owner && !user)
        return err_set(e, E_PARAM, "user \"%s\" does not exist on this machine", owner);
    if (group && !row)
        return err_set(e, E_PARAM, "group \"%s\" does not exist on this machine", group);
    if (user) {
        plan->files.key_uid = user->pw_uid;
        plan->files.key_gid = user->pw_gid;
    }
    if (row) {
        plan->files.key_gid = row->gr_gid;
        plan->files.key_mode = 0640;
    }
    return OK;
}

static struct passphrase_source new_source(const struct cert_job *job)
{
    return (struct passphrase_source){ .file = cmd_value(job->cmd, OPT_cert_passphrase_file),
                                       .command = cmd_value(job->cmd, OPT_cert_passphrase_command),
                                       .ask = cmd_flag(job->cmd, OPT_cert_passphrase),
                                       .what = "the certificate's key" };
}

static enum code read_passphrase(const struct cert_job *job, struct plan *plan, struct err *e)
{
    struct passphrase_source source = new_source(job);

    TRY(passphrase_check(&source, e));
    if (!passphrase_requested(&source))
        return OK;
    TRY(passphrase_new(&source, &plan->passphrase, e));
    plan->files.passphrase = &plan->passphrase;
    return OK;
}

/* ---- files ---- */

/* The files' name: that of --file, else one made of the certificate's. */
static enum code file_name(const struct cert_job *job, const char *name, const char **out, struct err *e)
{
    const char *file = cmd_value(job->cmd, OPT_cert_file);

    TRY(leaf_file_name(file ? file : name, job->arena, out, e));
    if (file && strcmp(file, *out) != 0)
        return err_set(e, E_USAGE, "--file takes the name of a file, not \"%s\": --out names a directory",
                       file);
    return OK;
}

static enum code plan_paths(const struct cert_job *job, struct plan *plan, struct err *e)
{
    const char *out = cmd_value(job->cmd, OPT_cert_out), *file;
    AUTO(os_owner) struct os_owner as = { 0 };
    char dir[OS_PATH_MAX] = ".";
    struct str path;

    TRY(file_name(job, plan->name, &file, e));
    if (out)
        TRY(os_path("", out, dir, e));
    else if (plan->request.use == CA_USE_CLIENT && job->place.gate_dir[0])
        plan->in_gate = true;
    if (plan->in_gate)
        TRY(os_path(job->place.gate_dir, "clients", dir, e));
    TRY(os_owner_enter(plan->in_gate ? job->place.gate_dir : dir, &as, e));
    TRY(os_mkdir(dir, 0700, e));
    TRY(os_real_path(dir, "resolve", dir, e)); /* connection strings are used elsewhere */
    TRY(os_path(dir, file, plan->base, e));
    if (!arena_printf(job->arena, &path, "%s.crt", plan->base))
        return cert_issue_nomem(e);
    TRY(os_path("", path.p, plan->cert_path, e));
    if (!arena_printf(job->arena, &path, "%s.key", plan->base))
        return cert_issue_nomem(e);
    TRY(os_path("", path.p, plan->key_path, e));
    plan->files.cert_path = plan->cert_path;
    plan->files.key_path = plan->key_path;
    return OK;
}

/* The common name in a certificate's file; false where there is none that can be read. */
static bool name_in(const char *path, struct arena *arena, struct str *out)
{
    AUTO(cert_list) struct cert_list list = { .n = 0 };
    struct name_value cn;
    struct err ignored;

    if (cert_chain_load(path, &list, &ignored) != OK ||
        name_cn(X509_get_subject_name(list.items[0]), arena, &cn, &ignored) != OK)
        return false;
    *out = cn.value;
    return cn.present;
}

/* Two names may want one file: replacing it would lose another user's key. */
static enum code refuse_file(const struct cert_job *job, const struct plan *plan, const char *path,
                             struct err *e)
{
    struct str other;

    if (!name_in(plan->cert_path, job->arena, &other) || str_is(other, plan->name)) {
        (void)err_set(e, E_EXISTS, "file \"%s\" already exists", path);
        err_hint(e, "Use \"pgseal cert renew\" to issue it again, or --force to replace it.");
        return E_EXISTS;
    }
    (void)err_set(e, E_EXISTS, "file \"%s\" is the certificate of another user, \"%.*s\"", plan->cert_path,
                  STR_ARG(other));
    err_hint(e,
             "Name other files with --file. With --force the certificate and key of \"%.*s\" are replaced.",
             STR_ARG(other));
    return E_EXISTS;
}

static enum code refuse_existing(const struct cert_job *job, const struct plan *plan, struct err *e)
{
    const char *paths[] = { plan->cert_path, plan->key_path };

    if (plan->files.replace)
        return OK;
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (os_exists(paths[i]))
            return refuse_file(job, plan, paths[i], e);
    return cert_export_check(job, plan->base, plan->files.passphrase != NULL, e);
}

/* Where clients should go, unless --server says so: where the gate says it is. */
static void guess_server(const struct cert_job *job, struct plan *plan)
{
    struct gate_facts facts = { .port = 0 };

    if (job->place.gate_dir[0])
        facts = gate_facts_read(job->place.gate_dir, job->arena);
    if (!plan->host)
        plan->host = facts.host; /* NULL: the connection string says HOST */
    if (!plan->port)
        plan->port = facts.port;
}

/* ---- making ---- */

static enum code make(struct cert_job *job, struct plan *plan, struct leaf *leaf, struct err *e)
{
    AUTO(os_owner) struct os_owner as = { 0 };
    AUTO(ca) struct ca *ca = NULL;
    struct leaf_wish wish = { .env = &job->cmd->env, .request = &plan->request, .kind = plan->kind };
    unsigned crl_days;

    TRY(cert_job_crl_days(job, &crl_days, e));
    if (plan->self_signed)
        return leaf_make(&wish, leaf, e);
    TRY(os_owner_enter(ca_place_owner(&job->place), &as, e));
    TRY(ca_place_open(&job->place, CA_SIGN, &job->cmd->env, &ca, e));
    wish.ca = ca;
    if (leaf->key)
        TRY(ca_issue(ca, &plan->request, leaf->key, &leaf->cert, e));
    else
        TRY(leaf_make(&wish, leaf, e));
    return ca_place_write_crl(&job->place, ca, crl_days, &as, e);
}

/* As whom the files are written: as who owns the gate's directory, or the one they go to. */
static enum code owner_path(const struct cert_job *job, const struct plan *plan, char out[OS_PATH_MAX],
                            struct err *e)
{
    return plan->in_gate ? os_path("", job->place.gate_dir, out, e) : os_dir_of(plan->cert_path, out, e);
}

/* Files belong to whom their directory does; only root can give the key to somebody else. */
static enum code enter_directory(const struct cert_job *job, const struct plan *plan, struct os_owner *as,
                                 struct err *e)
{
    const struct leaf_files *files = &plan->files;
    char dir[OS_PATH_MAX];
    struct stat st;

    TRY(owner_path(job, plan, dir, e));
    if (stat(dir, &st) < 0)
        return OK;
    const struct passwd *row = getpwuid(st.st_uid);
    if ((files->key_uid != (uid_t)-1 && files->key_uid != st.st_uid) ||
        (files->key_gid != (gid_t)-1 && (!row || files->key_gid != row->pw_gid)))
        return OK;
    return os_owner_enter(dir, as, e);
}

static enum code deliver(struct cert_job *job, const struct plan *plan, const struct leaf *leaf,
                         struct err *e)
{
    AUTO(os_owner) struct os_owner as = { 0 };
    struct cert_made made = { .leaf = leaf,
                              .name = plan->name,
                              .base = plan->base,
                              .cert_path = plan->cert_path,
                              .key_path = plan->key_path,
                              .root = plan->self_signed ? plan->cert_path : plan->root,
                              .host = plan->host,
                              .port = plan->port,
                              .use = plan->request.use,
                              .renewed = plan->renewed,
                              .files = &plan->files };

    TRY(enter_directory(job, plan, &as, e));
    TRY(leaf_write(leaf, &plan->files, e));
    return cert_export(job, &made, e);
}

enum code cert_issue(struct cert_job *job, struct err *e)
{
    AUTO(plan) struct plan plan = { .name = job->cmd->args[0], .kind = KEY_P256, .files = LEAF_FILES_INIT };
    AUTO(leaf) struct leaf leaf = { NULL, NULL };

    plan.self_signed = cmd_flag(job->cmd, OPT_cert_self_signed);
    plan.files.replace = cmd_flag(job->cmd, OPT_cert_force);
    plan.request.days = CA_LEAF_DAYS_DEFAULT;
    plan.request.common_name = str_c(plan.name);
    plan.request.organization = str_c(cmd_value(job->cmd, OPT_cert_org));
    if (!plan.self_signed) {
        TRY(cert_job_ca(job, e));
        TRY(ca_place_root(&job->place, plan.root, e));
        if (os_exists(plan.root))
            TRY(os_real_path(plan.root, "resolve", plan.root, e));
    }
    TRY(read_sans(job, &plan, e));
    TRY(read_use(job, &plan, e));
    TRY(read_kind(job, &plan, e));
    if (plan.request.use == CA_USE_CLIENT)
        plan.host = NULL; /* names in a client's certificate are not where it connects to */
    TRY(read_server(job, &plan, e));
    TRY(read_owner(job, &plan, e));
    guess_server(job, &plan);
    TRY(plan_paths(job, &plan, e));
    TRY(read_passphrase(job, &plan, e));
    TRY(refuse_existing(job, &plan, e));
    TRY(make(job, &plan, &leaf, e));
    return deliver(job, &plan, &leaf, e);
}

/* ---- renewal ---- */

/* The file that a name stands for: `server` is the gate's own, others are clients. */
static enum code find_renewed(const struct cert_job *job, struct plan *plan, struct err *e)
{
    const char *name = job->cmd->args[0], *file = name;
    struct str path;

    if (!cert_is_path(name) || (job->place.gate_dir[0] && !os_exists(name))) {
        if (!job->place.gate_dir[0])
            return err_set(e, E_USAGE, "name the certificate's file, or the gate's directory with -D");
        TRY(file_name(job, name, &file, e));
        bool own = str_is(str_c(name), "server");
        plan->by_name = !own;
        plan->in_gate = true;
        if (!arena_printf(job->arena, &path, own ? "tls/%s.crt" : "clients/%s.crt", file))
            return cert_issue_nomem(e);
        TRY(os_path(job->place.gate_dir, path.p, plan->cert_path, e));
    } else {
        TRY(os_path("", name, plan->cert_path, e));
    }
    if (os_exists(plan->cert_path))
        TRY(os_real_path(plan->cert_path, "resolve", plan->cert_path, e));
    path = str_c(plan->cert_path);
    path.n -= str_ends(path, STR(".crt")) || str_ends(path, STR(".pem")) ? 4 : 0;
    if (!str_to_c(path, plan->base, sizeof plan->base) ||
        !arena_printf(job->arena, &path, "%s.key", plan->base))
        return cert_issue_nomem(e);
    TRY(os_path("", path.p, plan->key_path, e));
    plan->files.cert_path = plan->cert_path;
    plan->files.key_path = plan->key_path;
    return OK;
}

/*
 * The new key gets the old one's owner and mode. Without an old key (it lives elsewhere) nothing is kept. In an
 * account's directory it is the account's: what lies there tells root nothing.
 */
static enum code keep_owner(const struct cert_job *job, struct plan *plan, struct err *e)
{
    char dir[OS_PATH_MAX];
    struct stat st, above;

    if (stat(plan->key_path, &st) < 0) {
        (void)err_set(e, E_NO_FILE, "private key file \"%s\" does not exist", plan->key_path);
        return E_NO_FILE;
    }
    TRY(owner_path(job, plan, dir, e));
    bool roots = stat(dir, &above) == 0 && above.st_uid == 0;
    if (roots) {
        plan->files.key_uid = st.st_uid;
        plan->files.key_gid = st.st_gid;
    }
    plan->files.key_mode = st.st_mode & (roots && st.st_uid == 0 ? 0640 : 0600);
    return OK;
}

/* A key that was protected is never replaced by one that is not. */
static enum code keep_passphrase(const struct cert_job *job, struct plan *plan, struct err *e)
{
    struct buf pem = BUF_INIT(KEY_FILE_LIMIT);
    enum code code = os_read_file(plan->key_path, &pem, e);
    bool encrypted = code == OK && key_is_encrypted(buf_str(&pem));

    buf_fini_secret(&pem);
    TRY(code);
    TRY(read_passphrase(job, plan, e));
    if (!encrypted || plan->files.passphrase)
        return OK;
    (void)err_set(e, E_USAGE,
                  "private key file \"%s\" is protected by a passphrase: give one for the new key, too",
                  plan->key_path);
    err_hint(
        e, "--passphrase asks for it, --passphrase-file and --passphrase-command name where it comes from.");
    return E_USAGE;
}

static enum code take_old_key(const struct cert_job *job, struct plan *plan, X509 *old, struct leaf *leaf,
                              struct err *e)
{
    struct passphrase_source source = new_source(job);
    struct key_passphrase passphrase = passphrase_for(&source);
    AUTO(os_owner) struct os_owner as = { 0 };

    if (!cmd_flag(job->cmd, OPT_cert_keep_key))
        return OK;
    TRY(os_owner_enter(plan->key_path, &as, e));
    TRY(key_load(plan->key_path, &passphrase, &leaf->key, e));
    if (!key_fits(leaf->key, old))
        return err_set(e, E_CONFIG, "private key file \"%s\" does not match the certificate", plan->key_path);
    plan->files.key_path = NULL; /* it stays as it is */
    return OK;
}

/* Whoever signed the old one signs the new one; or, in a rollover, the CA that replaces that. */
static enum code check_issuer(struct cert_job *job, struct plan *plan, X509 *old, struct err *e)
{
    AUTO(ca) struct ca *ca = NULL;
    struct str issuer = STR("");

    plan->self_signed = cert_self_signed(old);
    if (plan->self_signed && !cmd_flag(job->cmd, OPT_cert_keep_key))
        return OK;
    if (plan->self_signed)
        return err_set(e, E_UNSUPPORTED, "a self-signed certificate is renewed with a new key");
    TRY(ca_place_open(&job->place, CA_READ, &job->cmd->env, &ca, e));
    if (cert_issued_by(old, ca_certificate(ca)) || ca_place_replaces_issuer(&job->place, old)) {
        TRY(ca_place_root(&job->place, plan->root, e));
        return os_exists(plan->root) ? os_real_path(plan->root, "resolve", plan->root, e) : OK;
    }
    TRY(name_slash(X509_get_issuer_name(old), job->arena, &issuer, e));
    return err_set(e, E_PARAM, "\"%s\" was issued by \"%.*s\", not by the CA in \"%s\"", plan->cert_path,
                   STR_ARG(issuer), job->place.ca_dir);
}

/* Found by its name, the file may hold the certificate of another user whose name wants the same file. */
static enum code check_name(const struct cert_job *job, const struct plan *plan, X509 *old, struct err *e)
{
    struct name_value cn;

    if (!plan->by_name)
        return OK;
    TRY(name_cn(X509_get_subject_name(old), job->arena, &cn, e));
    if (!cn.present || str_is(cn.value, plan->name))
        return OK;
    (void)err_set(e, E_PARAM, "file \"%s\" is the certificate of another user, \"%.*s\"", plan->cert_path,
                  STR_ARG(cn.value));
    err_hint(e, "Name the file of the certificate that you mean, or that user.");
    return E_PARAM;
}

static bool has_san(const struct ca_request *request, const struct san *san)
{
    for (size_t i = 0; i < request->n_sans; i++)
        if (request->sans[i].type == san->type && bytes_equal(request->sans[i].value, san->value))
            return true;
    return false;
}

/* --host and --san of a renewal are names that the old certificate does not have. */
static enum code add_sans(const struct cert_job *job, struct plan *plan, struct err *e)
{
    struct ca_request *request = &plan->request;
    struct san *more, *all;
    size_t n_more, n = request->n_sans;

    TRY(cert_read_sans(job, &more, &n_more, &plan->host, e));
    if (n_more == 0)
        return OK;
    all = arena_array(job->arena, n + n_more, sizeof *all);
    if (!all)
        return cert_issue_nomem(e);
    for (size_t i = 0; i < n; i++)
        all[i] = request->sans[i];
    for (size_t i = 0; i < n_more; i++)
        if (!has_san(request, &more[i]))
            all[n++] = more[i];
    request->sans = all;
    request->n_sans = n;
    return OK;
}

enum code cert_renew(struct cert_job *job, struct err *e)
{
    AUTO(plan) struct plan plan = { .name = job->cmd->args[0], .files = LEAF_FILES_INIT };
    AUTO(leaf) struct leaf leaf = { NULL, NULL };
    AUTO(cert_list) struct cert_list old = { .n = 0 };

    plan.renewed = plan.files.replace = true;
    bool needs_ca = cmd_value(job->cmd, OPT_cert_directory) || cmd_value(job->cmd, OPT_cert_ca);
    if (needs_ca)
        TRY(cert_job_ca(job, e));
    TRY(find_renewed(job, &plan, e));
    TRY(cert_chain_load(plan.cert_path, &old, e));
    if (!needs_ca && !cert_self_signed(old.items[0]))
        TRY(cert_job_ca(job, e)); /* says what is missing */
    TRY(check_name(job, &plan, old.items[0], e));
    TRY(check_issuer(job, &plan, old.items[0], e));
    TRY(ca_request_of(old.items[0], job->arena, &plan.request, e));
    TRY(add_sans(job, &plan, e));
    if (!key_kind_of(X509_get0_pubkey(old.items[0]), &plan.kind))
        plan.kind = KEY_P256;
    TRY(read_kind(job, &plan, e));
    TRY(read_server(job, &plan, e));
    guess_server(job, &plan);
    TRY(keep_owner(job, &plan, e));
    TRY(keep_passphrase(job, &plan, e));
    TRY(cert_export_check_renewal(job, plan.base, plan.files.passphrase != NULL, e));
    TRY(take_old_key(job, &plan, old.items[0], &leaf, e));
    struct cert_list rest = { old.items + 1, old.n - 1 };
    plan.files.chain = &rest;
    TRY(make(job, &plan, &leaf, e));
    return deliver(job, &plan, &leaf, e);
}
