/** Rule files in memory, for the tests of policy. */
#ifndef PGSEAL_TESTS_POLICY_MEMORY_H
#define PGSEAL_TESTS_POLICY_MEMORY_H

#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/hba_lex.h"
#include "policy/ident.h"
#include "policy/match.h"
#include "policy/policy.h"
#include "regex/regex.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>

struct memory {
    const char *hba;
    const char *ident; /* NULL: there is no such file */
};

static inline int memory_read(void *ctx, const char *path, struct buf *out)
{
    const struct memory *m = ctx;
    const char *text = strcmp(path, "/d/hba") == 0 ? m->hba : strcmp(path, "/d/ident") == 0 ? m->ident : NULL;

    if (!text)
        return ENOENT;
    return buf_append_c(out, text) ? 0 : ENOMEM;
}

static inline struct policy_params memory_params(const struct hba_lex_fs *fs)
{
    return (struct policy_params){
        .hba_file = STR("/d/hba"),
        .ident_file = STR("/d/ident"),
        .ssl_on = true,
        .features = { .roles_known = true },
        .reload = true,
        .fs = fs,
    };
}

/* What one load left behind. */
struct loaded {
    struct arena arena;
    struct diags diags;
    struct policy *policy;
    enum code code;
};

static inline void loaded_init(struct loaded *l)
{
    *l = (struct loaded){ .policy = NULL };
    arena_init(&l->arena, 64 << 20, 1024);
    diags_init(&l->diags, &l->arena);
}

static inline void loaded_fini(struct loaded *l)
{
    policy_unref(l->policy);
    arena_fini(&l->arena);
}

/** Load from texts; expects that nothing is wrong. */
static inline void load_ok(struct loaded *l, const char *hba, const char *ident)
{
    struct memory memory = { hba, ident };
    const struct hba_lex_fs fs = { .read_file = memory_read, .ctx = &memory };
    struct policy_params params = memory_params(&fs);

    loaded_init(l);
    if (!ident)
        params.ident_file = STR("");
    l->code = policy_load(&params, &l->policy, &l->diags);
    if (l->code != OK)
        print_error("%.*s\n", STR_ARG(STAILQ_FIRST(&l->diags.list)->message));
    assert_int_equal(l->code, OK);
}

static inline void set_peer(struct conn_facts *facts, const char *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&facts->peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&facts->peer;

    memset(&facts->peer, 0, sizeof facts->peer);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        return;
    }
    assert_int_equal(inet_pton(AF_INET6, address, &v6->sin6_addr), 1);
    v6->sin6_family = AF_INET6;
}

#endif
