/* The files of a client's TLS context. */
#include "client/tlsfiles.h"

#include "base/arena.h"
#include "client/conninfo.h"
#include "client/conninfo_text.h"

#include <errno.h>

#define ROOT_ADVICE                                                                                          \
    "Either provide the file, use the system's trusted roots with sslrootcert=system, "                      \
    "or change sslmode to disable server certificate verification."

struct find {
    const struct conninfo *info;
    const struct conn_world *world;
    struct arena *arena;
    struct tls_files *out;
    struct err *e;
};

/* The option's value, else a file in ~/.postgresql, else "" (no home directory). */
static enum code path_of(const struct find *f, enum conn_option option, const char *name, struct str *out)
{
    struct str value = f->info->options.v[option];
    bool ok = true;

    *out = STR("");
    if (value.n > 0)
        ok = arena_str(f->arena, value, out);
    else if (f->world->home.n > 0)
        ok = arena_printf(f->arena, out, "%.*s/.postgresql/%s", STR_ARG(f->world->home), name);
    return ok ? OK : err_set(f->e, E_NOMEM, "out of memory");
}

/* Nobody wrote this path: say where it comes from, and how to do without. */
static void hint_home(const struct find *f, enum conn_option option)
{
    if (f->info->options.v[option].n == 0)
        err_hint(f->e,
                 "The file is looked for because \"%s\" is not set. Name it there, or set "
                 "sslcertmode=disable where no client certificate is wanted.",
                 conn_option_keyword(option));
}

static struct conn_file tlsfiles_stat(const struct find *f, struct str path)
{
    return f->world->stat_file(f->world->ctx, path.p);
}

static enum code find_crl(const struct find *f)
{
    struct str dir = f->info->options.v[CONN_SSLCRLDIR], file = f->info->options.v[CONN_SSLCRL];

    f->out->crl_dir = f->out->crl_file = STR("");
    if (dir.n > 0 && !arena_str(f->arena, dir, &f->out->crl_dir))
        return err_set(f->e, E_NOMEM, "out of memory");
    return dir.n > 0 && file.n == 0 ? OK : path_of(f, CONN_SSLCRL, "root.crl", &f->out->crl_file);
}

static enum code find_root(const struct find *f)
{
    struct str path;

    f->out->root_file = f->out->crl_dir = f->out->crl_file = STR("");
    f->out->root = TLS_ROOT_NONE;
    f->out->verify_name = f->info->sslmode == SSLMODE_VERIFY_FULL;
    TRY(path_of(f, CONN_SSLROOTCERT, "root.crt", &path));
    if (str_is(path, "system")) {
        f->out->root = TLS_ROOT_SYSTEM;
        return OK;
    }
    if (path.n > 0 && tlsfiles_stat(f, path).error == 0) {
        f->out->root = TLS_ROOT_FILE;
        f->out->root_file = path;
        return find_crl(f);
    }
    if (f->info->sslmode < SSLMODE_VERIFY_CA)
        return OK;
    if (path.n == 0)
        return err_set(f->e, E_TLS,
                       "could not get home directory to locate root certificate file\n" ROOT_ADVICE);
    return err_set(f->e, E_TLS, "root certificate file \"%.*s\" does not exist\n" ROOT_ADVICE, STR_ARG(path));
}

static enum code check_key(const struct find *f, struct str path)
{
    struct conn_file key = tlsfiles_stat(f, path);

    if (key.error == ENOENT)
        return err_set(f->e, E_TLS, "certificate present, but not private key file \"%.*s\"", STR_ARG(path));
    if (key.error != 0)
        return err_set(f->e, E_TLS, "could not stat private key file \"%.*s\": %s", STR_ARG(path),
                       strerrordesc_np(key.error));
    if (!key.regular)
        return err_set(f->e, E_TLS, "private key file \"%.*s\" is not a regular file", STR_ARG(path));
    if (key.mode & (key.owned_by_root ? 037U : 077U))
        return err_set(
            f->e, E_TLS,
            "private key file \"%.*s\" has group or world access; file must have permissions u=rw "
            "(0600) or less if owned by the current user, or permissions u=rw,g=r (0640) or less if "
            "owned by root",
            STR_ARG(path));
    return OK;
}

static enum code find_key(const struct find *f)
{
    struct str path, password = f->info->options.v[CONN_SSLPASSWORD];
    size_t colon;

    TRY(path_of(f, CONN_SSLKEY, "postgresql.key", &path));
    colon = str_find(f->info->options.v[CONN_SSLKEY], ':');
    if (f->info->options.v[CONN_SSLKEY].n > colon)
        return err_set(f->e, E_TLS, "could not load SSL engine \"%.*s\": engines are not supported",
                       (int)colon, path.p);
    if (path.n == 0)
        return OK;
    enum code code = check_key(f, path);
    if (code != OK) {
        hint_home(f, CONN_SSLKEY);
        return code;
    }
    f->out->key = path;
    if (password.n > 0 && !arena_str(f->arena, password, &f->out->key_password))
        return err_set(f->e, E_NOMEM, "out of memory");
    return OK;
}

static enum code find_cert(const struct find *f)
{
    struct str path;

    f->out->cert = f->out->key = f->out->key_password = STR("");
    if (f->info->sslcertmode == SSLCERT_DISABLE)
        return OK;
    TRY(path_of(f, CONN_SSLCERT, "postgresql.crt", &path));
    if (path.n == 0)
        return OK;
    struct conn_file cert = tlsfiles_stat(f, path);
    if (cert.error == ENOENT || cert.error == ENOTDIR)
        return OK;
    if (cert.error != 0) {
        enum code code = err_set(f->e, E_TLS, "could not open certificate file \"%.*s\": %s", STR_ARG(path),
                                 strerrordesc_np(cert.error));
        hint_home(f, CONN_SSLCERT);
        return code;
    }
    f->out->cert = path;
    return find_key(f);
}

enum code tls_files_find(const struct conninfo *info, const struct conn_world *world, struct arena *arena,
                         struct tls_files *out, struct err *e)
{
    struct tls_files files = { 0 };
    struct find f = { info, world, arena, &files, e };

    TRY(find_root(&f));
    TRY(find_cert(&f));
    *out = files;
    return OK;
}
