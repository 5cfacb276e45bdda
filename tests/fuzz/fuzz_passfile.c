/* The password file. */
#include "base/secret.h"
#include "client/passfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct passfile_key key = { STR("h"), STR("5432"), STR("d:b"), STR("u") };
    struct secret secret;
    struct err e;
    bool found;

    if (passfile_find(bytes_of(data, size), &key, &secret, &found, &e) == OK && found)
        secret_wipe(&secret);
    return 0;
}
