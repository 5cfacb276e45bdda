/* What the next generation of a CA is made of. */
#include "pki/ca_next.h"

#include "base/arena.h"
#include "base/check.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { DAY_S = 86400, GENERATION_MAX = 9999, SUFFIX_ROOM = 8 };

static enum code next_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- the name ---- */

/* The first value of an attribute, in UTF-8; empty: there is none. */
static enum code attribute(const X509_NAME *name, int nid, struct arena *arena, struct str *out,
                           struct err *e)
{
    unsigned char *text = NULL;
    int at = X509_NAME_get_index_by_NID(name, nid, -1);

    *out = STR("");
    if (at < 0)
        return OK;
    int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (n < 0)
        return err_set(e, E_TLS, "the CA's name cannot be read");
    bool ok = arena_str(arena, str_of((const char *)text, (size_t)n), out);
    OPENSSL_free(text);
    return ok ? OK : next_nomem(e);
}

/* "Acme CA G2" is "Acme CA" and 2; a name without a number is the first. */
static struct str split_generation(struct str name, uint32_t *out)
{
    size_t n = name.n;

    *out = 1;
    while (n > 0 && name.p[n - 1] >= '0' && name.p[n - 1] <= '9')
        n--;
    if (n < 3 || name.p[n - 1] != 'G' || name.p[n - 2] != ' ' ||
        !str_to_u32(str_from(name, n), 1, GENERATION_MAX, out))
        return name;
    return str_first(name, n - 2);
}

/* Cut between characters: a common name has at most CA_NAME_MAX of them. */
static struct str cut_name(struct str name)
{
    size_t n = 0, characters = 0;

    while (n < name.n && (characters < CA_NAME_MAX - SUFFIX_ROOM || ((uint8_t)name.p[n] & 0xc0) == 0x80)) {
        characters += ((uint8_t)name.p[n] & 0xc0) != 0x80;
        n++;
    }
    return str_first(name, n);
}

static bool is_taken(const struct cert_list *taken, struct str common_name, struct arena *arena)
{
    struct err ignored;
    struct str other;

    for (size_t i = 0; taken && i < taken->n; i++)
        if (attribute(X509_get_subject_name(taken->items[i]), NID_commonName, arena, &other, &ignored) ==
                OK &&
            str_equal(other, common_name))
            return true;
    return false;
}

static enum code next_name(X509 *old, const struct cert_list *taken, struct arena *arena, struct str *out,
                           struct err *e)
{
    struct str name;
    uint32_t generation;

    TRY(attribute(X509_get_subject_name(old), NID_commonName, arena, &name, e));
    struct str base = cut_name(split_generation(name.n > 0 ? name : STR("CA"), &generation));
    do {
        if (!arena_printf(arena, out, "%.*s G%u", STR_ARG(base), ++generation))
            return next_nomem(e);
    } while (is_taken(taken, *out, arena));
    return OK;
}

/* ---- name constraints ---- */

static bool san_of(const GENERAL_NAME *name, enum san_type *out)
{
    switch (name->type) {
    case GEN_DNS:
        *out = SAN_DNS;
        return true;
    case GEN_IPADD:
        *out = SAN_IP;
        return true;
    case GEN_URI:
        *out = SAN_URI;
        return true;
    case GEN_EMAIL:
        *out = SAN_EMAIL;
        return true;
    default: /* types that issue.c does not write */
        return false;
    }
}

struct constraints {
    struct ca_constraint *items;
    size_t n;
};

static enum code add_subtrees(const STACK_OF(GENERAL_SUBTREE) * trees, bool excluded, struct arena *arena,
                              struct constraints *all, struct err *e)
{
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(trees); i++) {
        const GENERAL_NAME *name = sk_GENERAL_SUBTREE_value(trees, i)->base;
        struct ca_constraint *one = &all->items[all->n];
        if (all->n == CA_LIST_MAX || !san_of(name, &one->type))
            return err_set(e, E_UNSUPPORTED, "the CA has name constraints of an unsupported type");
        const ASN1_STRING *text = name->type == GEN_IPADD ? name->d.iPAddress : name->d.ia5;
        one->excluded = excluded;
        if (!arena_bytes(arena, bytes_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)),
                         &one->value))
            return next_nomem(e);
        all->n++;
    }
    return OK;
}

static enum code take_constraints(X509 *old, struct arena *arena, struct ca_params *params, struct err *e)
{
    NAME_CONSTRAINTS *found = X509_get_ext_d2i(old, NID_name_constraints, NULL, NULL);
    struct constraints all = { .n = 0 };

    if (!found)
        return OK;
    all.items = arena_array(arena, CA_LIST_MAX, sizeof *all.items);
    enum code code = all.items ? OK : next_nomem(e);
    if (code == OK)
        code = add_subtrees(found->permittedSubtrees, false, arena, &all, e);
    if (code == OK)
        code = add_subtrees(found->excludedSubtrees, true, arena, &all, e);
    NAME_CONSTRAINTS_free(found);
    params->constraints = all.items;
    params->n_constraints = all.n;
    return code;
}

/* ---- */

enum code ca_params_next(X509 *old, const struct cert_list *taken, struct arena *arena, struct ca_params *out,
                         struct err *e)
{
    struct ca_params params = { .key = KEY_P256 };
    struct cert_info info;

    TRY(cert_describe(old, arena, &info, e));
    TRY(next_name(old, taken, arena, &params.common_name, e));
    TRY(attribute(X509_get_subject_name(old), NID_organizationName, arena, &params.organization, e));
    TRY(take_constraints(old, arena, &params, e));
    int64_t days = (info.not_after_unix_s - info.not_before_unix_s) / DAY_S;
    params.days = days < 1 ? 1 : days > CA_DAYS_MAX ? CA_DAYS_MAX : (unsigned)days;
    params.path_length = info.path_length;
    if (!key_kind_of(X509_get0_pubkey(old), &params.key))
        params.key = KEY_P256;
    *out = params;
    return OK;
}
