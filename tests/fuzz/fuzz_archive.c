/* What a gate left of the rules in force, or what became of it: the rules are read from it, and from nothing
 * else. */
#include "base/arena.h"
#include "fuzz.h"
#include "policy/archive.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena arena;
    struct archive *archive = NULL;
    struct archive_head head;
    struct policy *policy = NULL;
    struct diags diags;
    struct err e = { 0 };

    arena_init(&arena, 1 << 22, 4096);
    if (archive_open(bytes_of(data, size), &archive, &head, &e) != OK) {
        CHECK(e.code != OK && e.message[0] != '\0');
        return 0;
    }
    diags_init(&diags, &arena);
    const struct policy_params params = { .hba_file = head.hba_file,
                                          .ident_file = head.ident_file,
                                          .ssl_on = head.ssl_on,
                                          .fs = archive_fs(archive) };
    if (policy_load(&params, &policy, &diags) == OK)
        policy_unref(policy);
    archive_free(archive);
    return 0;
}
