/* Single values: integers, TLS and protocol versions, require_auth, SCRAM keys. */

#include "client/conninfo_values.h"

#include "base/arena.h"
#include "base/base64.h"
#include "pgwire/hello.h"

enum { SCRAM_KEY_SIZE = 32 };

enum code conn_parse_int(struct str value, const char *keyword, int32_t *out, struct err *e)
{
    struct str digits = str_trim(value);
    bool plus = digits.n > 1 && digits.p[0] == '+' && digits.p[1] != '-';
    int64_t n;

    if (!str_to_i64(plus ? str_from(digits, 1) : digits, INT32_MIN, INT32_MAX, &n))
        return err_set(e, E_PARAM, "invalid integer value \"%.*s\" for connection option \"%s\"",
                       STR_ARG(value), keyword);
    *out = (int32_t)n;
    return OK;
}

static const char *const bounds[] = { "", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };

enum code conn_parse_tls_bound(struct str value, const char *keyword, enum tls_bound *out, struct err *e)
{
    for (unsigned i = TLS_BOUND_NONE; i <= TLS_BOUND_1_3; i++) {
        if (str_equal_nocase(value, str_c(bounds[i]))) {
            *out = (enum tls_bound)i;
            return OK;
        }
    }
    return err_set(e, E_PARAM, "invalid \"%s\" value: \"%.*s\"", keyword, STR_ARG(value));
}

static unsigned method_bit(struct str name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } methods[] = {
        { "password", AUTH_BIT_PASSWORD },   { "md5", AUTH_BIT_MD5 },     { "gss", AUTH_BIT_GSS },
        { "sspi", AUTH_BIT_SSPI },           { "oauth", AUTH_BIT_OAUTH }, { "none", AUTH_BIT_NONE },
        { "scram-sha-256", AUTH_BIT_SCRAM },
    };

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (str_is(name, methods[i].name))
            return methods[i].bit;
    }
    return 0;
}

/* One element. The first decides whether the list names what is allowed or what is not. */
static enum code require_one(struct str part, bool first, bool *negated, unsigned *allowed, struct err *e)
{
    bool bang = part.n > 0 && part.p[0] == '!';
    struct str method = str_from(part, bang ? 1 : 0);
    unsigned bit = method_bit(method);

    if (first) {
        *negated = bang;
        *allowed = bang ? AUTH_BIT_ALL : 0;
    } else if (bang && !*negated) {
        return err_set(e, E_PARAM,
                       "negative require_auth method \"%.*s\" cannot be mixed with non-negative methods",
                       STR_ARG(part));
    } else if (!bang && *negated) {
        return err_set(e, E_PARAM, "require_auth method \"%.*s\" cannot be mixed with negative methods",
                       STR_ARG(part));
    }
    if (bit == 0)
        return err_set(e, E_PARAM, "invalid require_auth value: \"%.*s\"", STR_ARG(method));
    if (((*allowed & bit) != 0) != *negated)
        return err_set(e, E_PARAM, "require_auth method \"%.*s\" is specified more than once", STR_ARG(part));
    *allowed ^= bit;
    return OK;
}

enum code conn_parse_require_auth(struct str list, unsigned *out, struct err *e)
{
    unsigned allowed = AUTH_BIT_ALL;
    bool negated = false, first = true;

    while (first ? list.n > 0 : list.p != NULL) {
        size_t comma = str_find(list, ',');
        TRY(require_one(str_first(list, comma), first, &negated, &allowed, e));
        list = comma < list.n ? str_from(list, comma + 1) : (struct str){ 0 };
        first = false;
    }
    *out = allowed;
    return OK;
}

static enum code parse_protocol(struct str value, const char *keyword, uint32_t *out, struct err *e)
{
    if (str_is(value, "3.0"))
        *out = PROTOCOL_3_0;
    else if (str_is(value, "3.2") || str_is(value, "latest"))
        *out = PROTOCOL_3_2;
    else
        return err_set(e, E_PARAM, "invalid %s value: \"%.*s\"", keyword, STR_ARG(value));
    return OK;
}

enum code conn_parse_protocols(struct str min, struct str max, uint32_t *out_min, uint32_t *out_max,
                               struct err *e)
{
    uint32_t low = PROTOCOL_3_0, high = PROTOCOL_3_0;

    if (min.p)
        TRY(parse_protocol(min, "min_protocol_version", &low, e));
    high = low;
    if (max.p)
        TRY(parse_protocol(max, "max_protocol_version", &high, e));
    if (low > high)
        return err_set(e, E_PARAM, "\"min_protocol_version\" is greater than \"max_protocol_version\"");
    *out_min = low;
    *out_max = high;
    return OK;
}

enum code conn_parse_scram_key(struct str value, const char *which, struct arena *arena, struct secret **out,
                               struct err *e)
{
    struct secret *key = value.p ? ARENA_NEW(arena, struct secret) : NULL;
    size_t n = 0;

    if (!value.p)
        return OK;
    if (!key)
        return err_set(e, E_NOMEM, "out of memory");
    if (!base64_decode(value, key->p, sizeof key->p, &n))
        return err_set(e, E_PARAM, "invalid SCRAM %s key", which);
    if (n != SCRAM_KEY_SIZE)
        return err_set(e, E_PARAM, "invalid SCRAM %s key length: %zu", which, n);
    key->n = n;
    *out = key;
    return OK;
}
