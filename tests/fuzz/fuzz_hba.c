/*
 * pg_hba.conf, pg_ident.conf and a file both may include, separated by NUL; the first byte chooses the
 * reading. What loads is asked for a few connections; the views' rows are made in any case.
 */
#include "base/arena.h"
#include "fuzz.h"
#include "memory_fs.h"
#include "policy/ident.h"
#include "policy/match.h"
#include "policy/match_text.h"
#include "policy/policy.h"
#include "policy/rows.h"
#include "regex/regex.h"

#include <arpa/inet.h>

static bool one_interface(void *ctx, bool (*each)(void *arg, const struct iface *iface), void *arg)
{
    static const struct iface loopback = { AF_INET, { 127, 0, 0, 1 }, { 255 } };

    (void)ctx;
    (void)each(arg, &loopback);
    return true;
}

static void ignore_rule(void *arg, const struct hba_rule *rule, enum match_field failed)
{
    char why[256];

    if (failed != FIELD_NONE)
        policy_explain_field(rule, arg, failed, why, sizeof why);
}

/* With a trace every rule is looked at in full, without one most are dismissed by their keys: both must
 * agree. */
static void compare(const struct policy *policy, struct conn_facts *facts)
{
    struct trace trace = { ignore_rule, facts };
    struct decision fast, full;
    enum code code = policy_match(policy, facts, NULL, &fast);

    CHECK(policy_match(policy, facts, &trace, &full) == code);
    CHECK(fast.rule == full.rule && fast.need == full.need && fast.verdict == full.verdict);
}

static void ask(const struct policy *policy)
{
    static const struct iface_source ifaces = { one_interface, NULL };
    static const struct str names[] = { { "alice", 5 }, { "staff", 5 } };
    static const struct role_set roles = { names, 2 };
    struct decision decision;
    struct err e;

    for (unsigned i = 0; i < 8; i++) {
        struct conn_facts facts = {
            .is_local = i & 1,
            .tls = i & 2,
            .user = STR("alice"),
            .database = STR("db"),
            .roles = &roles,
            .lookup = { .state = i & 4 ? NAME_CONFIRMED : NAME_REVERSE_FAILED, .name = STR("a.example.com") },
            .ifaces = &ifaces,
        };
        struct sockaddr_in peer = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + i) };
        memcpy(&facts.peer, &peer, sizeof peer);
        compare(policy, &facts);
        if (policy_match(policy, &facts, NULL, &decision) != OK || decision.verdict == VERDICT_NO_RULE)
            continue;
        const struct ident_question question = { decision.rule->map, facts.user, STR("alice@EXAMPLE"),
                                                 &roles };
        (void)!ident_check(policy, &question, &e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned versions[] = { 0, 12, 14, 15, 16, 17 };
    struct bytes rest = bytes_of(data, size);
    uint8_t flags = fuzz_byte(&rest);
    struct memory_texts texts = { .files = { { "/d/pg_hba.conf", fuzz_text(&rest) },
                                             { "/d/pg_ident.conf", fuzz_text(&rest) },
                                             { "/d/a.conf", fuzz_text(&rest) },
                                             { "/d/inc/b.conf", str_from_bytes(rest) } } };
    const struct hba_lex_fs fs = memory_hba_fs(&texts);
    const struct policy_params params = {
        .hba_file = STR("/d/pg_hba.conf"),
        .ident_file = STR("/d/pg_ident.conf"),
        .pg_version = versions[(flags >> 2) % COUNT_OF(versions)],
        .ssl_on = flags & 1,
        .features = { .roles_known = flags & 2 },
        .fs = &fs,
    };
    AUTO(arena) struct arena arena;
    AUTO(policy) struct policy *policy = NULL;
    struct diags diags;
    struct hba_rows hba_rows;
    struct ident_rows ident_rows;
    struct err e;

    arena_init(&arena, 64 << 20, 4096);
    diags_init(&diags, &arena);
    if (policy_load(&params, &policy, &diags) == OK)
        ask(policy);
    texts.reads = 0;
    (void)!policy_hba_rows(&params, &arena, &hba_rows, &diags, &e);
    texts.reads = 0;
    (void)!policy_ident_rows(&params, &arena, &ident_rows, NULL, &e);
    return 0;
}
