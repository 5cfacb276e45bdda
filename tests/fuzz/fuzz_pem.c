/* PEM text as certificates and as CRLs; what is found is described and asked. */
#include "base/arena.h"
#include "base/buf.h"
#include "fuzz.h"
#include "pki/chain.h"
#include "pki/crl.h"

#include <openssl/err.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena arena;
    AUTO(cert_list) struct cert_list certs = { 0 };
    AUTO(crl_list) struct crl_list crls = { 0 };
    struct chain_report report;
    struct crl_info info;
    struct crl_entry entry;
    struct err e;

    arena_init(&arena, 16 << 20, 4096);
    if (cert_list_from_pem(bytes_of(data, size), "fuzz.pem", &certs, &e) == OK) {
        const struct chain_params params = { .chain = &certs };
        (void)!chain_check(&params, &arena, &report, &e);
    }
    if (crl_list_from_pem(bytes_of(data, size), "fuzz.pem", &crls, &e) == OK) {
        for (size_t i = 0; i < crls.n; i++) {
            (void)!crl_describe(crls.items[i], &arena, &info, &e);
            for (size_t k = 0; k < 16 && crl_entry_at(crls.items[i], k, &entry); k++)
                continue;
            if (certs.n > 0)
                (void)crl_revokes(crls.items[i], certs.items[0]);
        }
    }
    ERR_clear_error();
    return 0;
}
