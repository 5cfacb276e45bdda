/* PEM text as certificates and as CRLs, what is found is described and asked; the same bytes as a bundle of a CA. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "fuzz.h"
#include "pki/certfile.h"
#include "pki/chain.h"
#include "pki/trust.h"

#include <openssl/err.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena arena;
    AUTO(cert_list) struct cert_list certs = { 0 };
    AUTO(cert_list) struct cert_list bundle = { 0 };
    AUTO(trust) struct trust trust = { 0 };
    struct diags diags;
    struct chain_report report;
    struct crl_info info;
    struct crl_entry entry;
    struct err e;

    arena_init(&arena, 16 << 20, 4096);
    if (cert_chain_from_pem(bytes_of(data, size), "fuzz.pem", &certs, &e) == OK) {
        const struct chain_params params = { .chain = &certs, .anchors = &certs, .now_unix_s = 1795000000 };
        (void)!chain_check(&params, &arena, &report, &e);
    }
    if (certfile_parse(bytes_of(data, size), "fuzz.p7b", &bundle, &e) == OK)
        CHECK(bundle.n > 0);
    diags_init(&diags, &arena);
    (void)!trust_skipped(bytes_of(data, size), "fuzz.pem", &diags, &e);
    if (trust_from_pem(bytes_of(data, size), "fuzz.pem", &trust, &e) == OK) {
        const struct crl_list crls = trust.crls;
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
