/* The password file. */
#include "base/secret.h"
#include "client/passfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct passfile_key key = { STR("h"), STR("5432"), STR("d:b"), STR("u") };
    struct password password = { 0 };
    struct err e;
    bool found;

    if (passfile_find(bytes_of(data, size), &key, &password, &found, &e) == OK && found)
        password_wipe(&password);
    return 0;
}
