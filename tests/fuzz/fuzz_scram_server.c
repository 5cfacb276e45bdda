/* A hostile client: first byte transport and secret, then one chunk per message. */
#include "auth/scram_server.h"
#include "fuzz.h"

static bool open_door(struct scram_verifier *out, bool mock)
{
    static const uint8_t salt[SCRAM_SALT_BYTES];

    if (mock)
        return scram_verifier_mock(STR("alice"), (const uint8_t[INSTALLATION_NONCE_BYTES]){ 0 }, 1, out) ==
               OK;
    return scram_verifier_make(str_bytes(STR("pencil")), bytes_of(salt, sizeof salt), 1, out) == OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t hash[32];
    struct bytes rest = bytes_of(data, size), out;
    uint8_t flags = fuzz_byte(&rest);
    struct scram_verifier verifier;
    struct err e;
    enum scram_result result = SCRAM_CONTINUE;
    struct scram_keys keys;

    CHECK(open_door(&verifier, flags & 1));
    const struct scram_server_params params = {
        .user = STR("alice"),
        .verifier = &verifier,
        .tls = flags & 2,
        .cert_hash = bytes_of(hash, flags & 4 ? 0 : sizeof hash),
        .env = &fuzz_env,
    };
    AUTO(scram_server) struct scram_server server;
    scram_server_init(&server, &params);
    while (result == SCRAM_CONTINUE && rest.n > 0)
        result = scram_server_feed(&server, fuzz_chunk(&rest), &out, &e);
    if (result == SCRAM_FAIL)
        CHECK(e.code != OK && e.message[0] != '\0');
    if (result == SCRAM_DONE) {
        CHECK(!(flags & 1)); /* nobody enters through a mock */
        scram_server_keys(&server, &keys);
        scram_keys_wipe(&keys);
    }
    return 0;
}
