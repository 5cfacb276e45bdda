/* Does the private key load, and belong to its certificate? A server that starts, or reloads, asks the same. */
#include "audit/check_pair.h"

#include "audit/finding.h"
#include "audit/regular_file.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pki/cert.h"

#include <errno.h>
#include <unistd.h>

static void unusable(struct audit *a, const char *path, struct str what)
{
    audit_add(a, CHECK_KEY_UNUSABLE, str_c(path), "%.*s", STR_ARG(what));
}

/* `cert` is judged on its own: where it does not load, nothing is said of the key. */
static void check_fit(struct audit *a, const char *path, const char *cert, EVP_PKEY *key)
{
    AUTO(cert_list) struct cert_list chain = { 0 };
    struct err e;

    if (!cert || regular_file_is_special(cert) || cert_chain_load(cert, &chain, &e) != OK)
        return;
    if (!key_fits(key, chain.items[0]))
        unusable(a, path, audit_text(a, "it does not belong to the certificate in \"%s\"", cert));
}

static void check_pair(struct audit *a, const char *path, const char *cert)
{
    AUTO(key) EVP_PKEY *key = NULL;
    struct buf pem = BUF_INIT(OS_FILE_LIMIT);
    struct err e;

    /* Who may not read the file cannot tell; a file of another machine is not missing. */
    if (subject_is_unseen(a->subject, path) || (access(path, R_OK) != 0 && errno == EACCES))
        return;
    enum code code = regular_file_read(path, &pem, &e);
    bool closed = code == OK && key_is_encrypted(buf_str(&pem));
    if (code == OK && !closed)
        code = key_from_pem(buf_bytes(&pem), path, NULL, &key, &e);
    buf_fini_secret(&pem);
    if (code != OK && code != E_NOMEM)
        unusable(a, path, str_c(err_text(&e)));
    if (key)
        check_fit(a, path, cert, key);
}

void check_pairs(struct audit *a)
{
    const struct settings *s = a->subject->settings;

    if (!s->ssl || a->subject->live) /* whose files lie on its machine */
        return;
    if (s->ssl_key_file.path && s->ssl_key_file.path[0])
        check_pair(a, s->ssl_key_file.path, s->ssl_cert_file.path);
    for (size_t i = 0; i < a->subject->n_hosts; i++)
        if (a->subject->hosts[i].key)
            check_pair(a, a->subject->hosts[i].key, a->subject->hosts[i].cert);
}
