/* A key, its certificate, and their files. */
#include "pki/leaf.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"

enum { LEAF_FILE_LIMIT = 1 << 20 };

void leaf_auto(struct leaf *leaf)
{
    key_free(leaf->key);
    cert_free(leaf->cert);
}

enum code leaf_make(const struct leaf_wish *wish, struct leaf *out, struct err *e)
{
    AUTO(key) EVP_PKEY *key = NULL;
    X509 *cert = NULL;

    TRY(key_generate(wish->kind, &key, e));
    if (wish->ca)
        TRY(ca_issue(wish->ca, wish->request, key, &cert, e));
    else
        TRY(ca_self_sign(wish->request, key, wish->env, &cert, e));
    *out = (struct leaf){ TAKE(key), cert };
    return OK;
}

static enum os_write_mode how(const struct leaf_files *files)
{
    return files->replace ? OS_WRITE_REPLACE : OS_WRITE_NEW;
}

enum code leaf_write_secret(const char *path, struct bytes data, const struct leaf_files *files,
                            struct err *e)
{
    struct os_target target = { path, { files->key_mode, files->key_uid, files->key_gid }, how(files) };

    return os_write_target(&target, data, e);
}

static enum code write_key(const struct leaf *leaf, const struct leaf_files *files, struct err *e)
{
    struct buf pem = BUF_INIT(LEAF_FILE_LIMIT);
    enum code code = key_to_pem(leaf->key, files->passphrase, &pem, e);

    if (code == OK)
        code = leaf_write_secret(files->key_path, buf_bytes(&pem), files, e);
    buf_fini_secret(&pem);
    return code;
}

enum code leaf_write(const struct leaf *leaf, const struct leaf_files *files, struct err *e)
{
    AUTO(buf) struct buf pem = BUF_INIT(LEAF_FILE_LIMIT);

    if (files->key_path)
        TRY(write_key(leaf, files, e));
    bool ok = cert_to_pem(leaf->cert, &pem) == OK;
    for (size_t i = 0; ok && files->chain && i < files->chain->n; i++)
        ok = cert_to_pem(files->chain->items[i], &pem) == OK;
    if (!ok)
        return err_set(e, E_NOMEM, "out of memory");
    return os_write_file(files->cert_path, buf_bytes(&pem), 0644, how(files), e);
}

enum code leaf_file_name(const char *name, struct arena *arena, const char **out, struct err *e)
{
    char *copy = arena_c(arena, str_c(name));

    if (!copy)
        return err_set(e, E_NOMEM, "out of memory");
    if (!name[0] || name[0] == '.')
        return err_set(e, E_USAGE, "\"%s\" is not a valid name for a certificate file", name);
    for (char *c = copy; *c; c++)
        if (*c == '*' || *c == '/' || (unsigned char)*c <= ' ' || *c == 0x7f)
            *c = '_';
    *out = copy;
    return OK;
}
