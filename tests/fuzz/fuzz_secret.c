/* A stored secret, a password for it, and an answer to an MD5 challenge, each ended by NUL. */
#include "auth/password.h"
#include "auth/saslprep.h"
#include "fuzz.h"

static bool same_scram(const struct scram_verifier *a, const struct scram_verifier *b)
{
    return a->iterations == b->iterations && a->mock == b->mock && a->salt_text_n == b->salt_text_n &&
           memcmp(a->salt_text, b->salt_text, a->salt_text_n) == 0 &&
           memcmp(a->stored_key, b->stored_key, sizeof a->stored_key) == 0 &&
           memcmp(a->server_key, b->server_key, sizeof a->server_key) == 0;
}

static void check_secret(struct str secret, struct str password)
{
    AUTO(verifier) struct verifier verifier;
    AUTO(buf) struct buf text = BUF_INIT(2048);

    verifier_parse(secret, &verifier);
    if (verifier_cost(&verifier) < 100)
        (void)!verifier_check_password(&verifier, STR("alice"), str_bytes(password));
    if (verifier.type != VERIFIER_SCRAM)
        return;
    /* What is printed is read as the same secret. */
    AUTO(verifier) struct verifier again;
    CHECK(scram_verifier_print(&verifier.scram, &text));
    verifier_parse(buf_str(&text), &again);
    CHECK(again.type == VERIFIER_SCRAM && same_scram(&verifier.scram, &again.scram));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t salt[MD5_SALT_BYTES] = { 1, 2, 3, 4 };
    struct bytes rest = bytes_of(data, size);
    struct str secret = fuzz_text(&rest), password = fuzz_text(&rest);
    AUTO(buf) struct buf prepared = BUF_INIT(SASLPREP_MAX);
    AUTO(password) struct password parsed = { 0 };
    struct err e;

    check_secret(secret, password);
    CHECK(saslprep(str_bytes(password), &prepared) == OK || password.n > 512);
    (void)!password_parse(rest, &parsed, &e);
    CHECK(password_check_md5(NULL, salt, rest, STR("alice"), &e) != OK);
    return 0;
}
