#include "audit/public_cas.h"

#include "base/check.h"
#include "os/files.h"
#include "pki/trust.h"

#include <dirent.h>
#include <openssl/x509.h>

#define LOCAL_CAS "/usr/local/share/ca-certificates"

static void load_local(struct trust *out)
{
    char path[OS_PATH_MAX];
    struct dirent *entry;
    DIR *dir = opendir(LOCAL_CAS);

    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && os_path(LOCAL_CAS, entry->d_name, path, NULL) == OK)
            (void)!trust_load(path, out, NULL);
    if (dir)
        (void)closedir(dir);
}

void public_cas_load(struct cert_list *out)
{
    AUTO(trust) struct trust all = { 0 };
    AUTO(trust) struct trust local = { 0 };

    load_local(&local);
    if (trust_load("/etc/ssl/certs/ca-certificates.crt", &all, NULL) != OK)
        (void)!trust_load("/etc/pki/tls/certs/ca-bundle.crt", &all, NULL);
    for (size_t i = 0; i < all.certs.n; i++)
        if (!cert_list_has(&local.certs, all.certs.items[i]) && cert_list_add(out, all.certs.items[i]) != OK)
            return;
}

bool public_cas_issued(X509 *cert, const struct cert_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (cert_issued_by(cert, list->items[i]))
            return true;
    return false;
}
