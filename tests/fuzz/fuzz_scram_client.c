/* A hostile server: first byte transport, binding and credentials, then mechanisms, challenge and final. */
#include "auth/scram_client.h"
#include "fuzz.h"

static void exchange(struct scram_client *client, struct bytes rest)
{
    AUTO(buf) struct buf out = BUF_INIT(8192);
    struct err e;

    if (scram_client_start(client, fuzz_chunk(&rest), &out, &e) != OK)
        return;
    if (scram_client_challenge(client, fuzz_chunk(&rest), &e) != OK)
        return;
    buf_reset(&out);
    if (scram_client_cost(client) > 1000 || scram_client_respond(client, &out, &e) != OK)
        return;
    /* Zero keys have a signature that anybody can compute; any other must not be guessed. */
    if (scram_client_finish(client, fuzz_chunk(&rest), &e) == OK)
        CHECK(scram_client_finished(client));
    else
        CHECK(!scram_client_finished(client) && e.message[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t hash[32];
    static const struct scram_keys keys = { .iterations = 4096, .salt_text_n = 4, .salt_text = "AAAA" };
    struct bytes rest = bytes_of(data, size);
    uint8_t flags = fuzz_byte(&rest);

    const struct scram_client_params params = {
        .password = bytes_of("pencil", 6),
        .keys = flags & 1 ? &keys : NULL,
        .tls = flags & 2,
        .channel_binding = (enum channel_binding)((flags >> 2) % 3),
        .cert_hash = bytes_of(hash, flags & 32 ? 0 : sizeof hash),
        .env = &fuzz_env,
    };
    AUTO(scram_client) struct scram_client client;
    scram_client_init(&client, &params);
    exchange(&client, rest);
    return 0;
}
