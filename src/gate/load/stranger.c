#include "gate/load/stranger.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "pki/issue.h"

#include <openssl/x509v3.h>

enum { STRANGER_DAYS = 825 };

static enum code make_ca(struct stranger *s, enum key_kind kind, const struct env *env, struct arena *arena,
                         struct err *e)
{
    struct ca_params ca = { .key = kind, .days = STRANGER_DAYS, .path_length = 0 };
    struct issuer self = { .env = env };
    uint32_t number;

    if (s->ca)
        return OK;
    if (!env_random(env, &number, sizeof number) ||
        !arena_printf(arena, &ca.common_name, "pgseal canary %08x", number))
        return err_set(e, E_NOMEM, "out of memory");
    if (!s->ca_key)
        TRY(key_generate(kind, &s->ca_key, e));
    if (!s->key)
        TRY(key_generate(kind, &s->key, e));
    self.key = s->ca_key;
    return issue_ca(&ca, &self, &s->ca, e);
}

static enum code names_like(X509 *own, struct arena *arena, struct ca_request *out, struct err *e)
{
    struct cert_names names;
    size_t n = 0;

    TRY(cert_names_of(own, arena, &names, e));
    for (size_t i = 0; i < names.n_sans; i++)
        if (names.sans[i].type != SAN_OTHER) /* no client compares them with a host */
            names.sans[n++] = names.sans[i];
    *out = (struct ca_request){ .use = CA_USE_SERVER,
                                .subject = X509_get_subject_name(own),
                                .sans = names.sans,
                                .n_sans = n,
                                .days = STRANGER_DAYS };
    return OK;
}

enum code strangers_issue(struct strangers *strangers, X509 *own, const struct env *env, struct arena *arena,
                          struct tls_pair *out, struct err *e)
{
    struct issuer issuer = { .env = env };
    struct ca_request leaf;
    enum key_kind kind;

    if (!key_kind_of(X509_get0_pubkey(own), &kind))
        kind = KEY_P256;
    if (kind == KEY_RSA_3072 || kind == KEY_RSA_4096)
        kind = KEY_RSA_2048; /* made at each load */
    struct stranger *s = &strangers->of[kind];
    TRY(make_ca(s, kind, env, arena, e));
    TRY(names_like(own, arena, &leaf, e));
    issuer.cert = s->ca;
    issuer.key = s->ca_key;
    *out = (struct tls_pair){ .issuer = s->ca, .key = s->key };
    return issue_leaf(&leaf, s->key, &issuer, &out->cert, e);
}

void strangers_fini(struct strangers *strangers)
{
    for (size_t i = 0; i < COUNT_OF(strangers->of); i++) {
        cert_free(strangers->of[i].ca);
        key_free(strangers->of[i].ca_key);
        key_free(strangers->of[i].key);
    }
    *strangers = (struct strangers){ .of = { { NULL, NULL, NULL } } };
}
