/* A certificate signing request: what it asks for, in words. Whatever is accepted has a key that signed it. */
#include "base/arena.h"
#include "base/check.h"
#include "fuzz.h"
#include "pki/csr.h"

#include <openssl/err.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena arena;
    AUTO(csr) struct csr csr = { .req = NULL };
    struct str text;
    struct err e;

    arena_init(&arena, 16 << 20, 4096);
    if (csr_from_pem(bytes_of(data, size), "fuzz.csr", &arena, &csr, &e) == OK) {
        CHECK(csr.key && csr.subject);
        for (size_t i = 0; i < csr.names.n_sans; i++)
            (void)!san_text(&csr.names.sans[i], &arena, &text, &e);
    }
    ERR_clear_error();
    return 0;
}
