/* A password file; the first four texts are the key that is looked for. */
#include "base/secret.h"
#include "client/passfile.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct passfile_key key = { 0 };
    AUTO(secret) struct secret secret = { 0 };
    struct err e;
    bool found = false;

    key.host = fuzz_text(&rest);
    key.port = fuzz_text(&rest);
    key.dbname = fuzz_text(&rest);
    key.user = fuzz_text(&rest);
    (void)!passfile_find(rest, &key, &secret, &found, &e);
    return 0;
}
