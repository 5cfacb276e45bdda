/* Directories of CAs. */
#include "cmd/ca_where.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/cmd.h"
#include "cmd/gate_dir.h"
#include "os/owner.h"
#include "pki/trust.h"
#include "renew/rollover_text.h"

#include <openssl/x509.h>
#include <stdio.h>

enum { FACTS_ARENA_LIMIT = 1 << 22, FACTS_ARENA_FIRST = 4096 };

enum code ca_place_find(const char *gate_dir, const char *ca_dir, struct ca_place *out, struct err *e)
{
    struct ca_place place = { .apart = ca_dir != NULL, .passphrase = { .what = "the CA's key" } };

    if (!gate_dir && !ca_dir)
        return err_set(e, E_USAGE,
                       "no CA given: name the gate's directory with -D, or the CA's own directory");
    if (gate_dir)
        TRY(os_path("", gate_dir, place.gate_dir, e));
    if (ca_dir)
        TRY(os_path("", ca_dir, place.ca_dir, e));
    else
        TRY(os_path(gate_dir, "ca", place.ca_dir, e));
    *out = place;
    return OK;
}

const char *ca_place_owner(const struct ca_place *place)
{
    return place->gate_dir[0] && !place->apart ? place->gate_dir : place->ca_dir;
}

/* A CA that is not where the gate is may be on another machine: a second one would help nobody. */
static void hint_where(const struct ca_place *place, struct err *e)
{
    char path[OS_PATH_MAX], root[OS_PATH_MAX];
    struct err ignored;

    if (os_path(place->ca_dir, "ca.crt", path, &ignored) == OK && os_exists(path)) {
        err_hint(
            e,
            "Its key is kept elsewhere: name the CA's directory there with --ca (pgseal cert), or after the "
            "verb (pgseal ca).");
        return;
    }
    if (place->gate_dir[0] && os_path(place->gate_dir, "tls/ca.crt", root, &ignored) == OK && os_exists(root))
        err_hint(
            e,
            "The CA of \"%s\" is kept elsewhere: name its directory with --ca (pgseal cert), or after the "
            "verb (pgseal ca).",
            root);
    else if (place->gate_dir[0])
        err_hint(e, "Make one with: pgseal ca init -D %s", place->gate_dir);
    else
        err_hint(e, "Make one with: pgseal ca init %s", place->ca_dir);
}

enum code ca_place_open(struct ca_place *place, enum ca_access access, const struct env *env, struct ca **out,
                        struct err *e)
{
    struct key_passphrase passphrase = passphrase_for(&place->passphrase);
    enum code code = ca_open(&(struct ca_where){ place->ca_dir, &passphrase, env }, access, out, e);

    if (code == E_NO_FILE)
        hint_where(place, e);
    return code;
}

bool ca_place_replaces_issuer(const struct ca_place *place, X509 *cert)
{
    AUTO(cert_list) struct cert_list found = { .n = 0 };
    const struct str next = STR(".next");
    struct str base = str_c(place->ca_dir);
    char path[OS_PATH_MAX];
    struct err ignored;

    int n = str_ends(base, next)
                ? snprintf(path, sizeof path, "%.*s/ca.crt", STR_ARG(str_first(base, base.n - next.n)))
                : snprintf(path, sizeof path, "%.*s.old/ca.crt", STR_ARG(base));
    return n < (int)sizeof path && os_exists(path) && cert_chain_load(path, &found, &ignored) == OK &&
           cert_issued_by(cert, found.items[0]);
}

enum code ca_place_root(const struct ca_place *place, char out[OS_PATH_MAX], struct err *e)
{
    char path[OS_PATH_MAX];

    if (place->gate_dir[0]) {
        TRY(os_path(place->gate_dir, "tls/ca.crt", path, e));
        if (os_exists(path))
            return os_path("", path, out, e);
    }
    return os_path(place->ca_dir, "ca.crt", out, e);
}

/* The CA, and during a rollover the other one beside it: CA, CA.next, CA.old. */
static enum code find_siblings(const struct ca_place *place, X509 *authority, struct cert_list *out)
{
    static const char *const endings[] = { "", ".next", ".old" };
    struct str base = str_c(place->ca_dir);
    char path[OS_PATH_MAX];
    struct err ignored;

    for (size_t i = 1; i < COUNT_OF(endings); i++)
        if (str_ends(base, str_c(endings[i])))
            base = str_first(base, base.n - strlen(endings[i]));
    TRY(cert_list_add(out, authority));
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        AUTO(cert_list) struct cert_list found = { .n = 0 };
        int n = snprintf(path, sizeof path, "%.*s%s/ca.crt", STR_ARG(base), endings[i]);
        if (n < (int)sizeof path && os_exists(path) && cert_chain_load(path, &found, &ignored) == OK &&
            X509_cmp(found.items[0], authority) != 0)
            TRY(cert_list_add(out, found.items[0]));
    }
    return OK;
}

/* Does the file hold nothing but lists of these? */
static bool is_ours(const char *path, const struct cert_list *authorities)
{
    AUTO(trust) struct trust found = { 0 };
    struct err ignored;

    if (!os_exists(path))
        return true;
    if (trust_load(path, &found, &ignored) != OK || found.certs.n > 0)
        return false;
    for (size_t i = 0; i < found.crls.n; i++) {
        bool known = false;
        for (size_t j = 0; j < authorities->n; j++)
            known = known || X509_NAME_cmp(X509_CRL_get_issuer(found.crls.items[i]),
                                           X509_get_subject_name(authorities->items[j])) == 0;
        if (!known)
            return false;
    }
    return true;
}

/* In the place of this CA's list; the other one's stays. */
static enum code put_list(const char *path, X509 *authority, struct str list, struct err *e)
{
    AUTO(buf) struct buf before = BUF_INIT(OS_FILE_LIMIT), after = BUF_INIT(OS_FILE_LIMIT);
    const struct cert_list own = { &authority, 1 };

    if (os_exists(path))
        TRY(os_read_file(path, &before, e));
    TRY(rollover_text_put_lists(buf_str(&before), &own, list, &after, e));
    return os_write_file(path, buf_bytes(&after), 0644, OS_WRITE_REPLACE, e);
}

/* Where the gate reads its list; without settings that can be read, where init put it. */
static enum code find_gate_crl(struct ca_place *place, struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct gate_facts facts;

    arena_init(&arena, FACTS_ARENA_LIMIT, FACTS_ARENA_FIRST);
    TRY(os_path(place->gate_dir, "tls/ca.crl", place->gate_crl, e));
    facts = gate_facts_read(place->gate_dir, &arena);
    if (facts.crl_file)
        return os_path("", facts.crl_file, place->gate_crl, e);
    if (facts.known && !os_exists(place->gate_crl))
        place->copied = CA_COPY_UNSET;
    return OK;
}

/* The list is the CA's to read and the gate's to write. */
static enum code copy_crl(struct ca_place *place, const struct ca *ca, struct os_owner *as, struct err *e)
{
    AUTO(cert_list) struct cert_list authorities = { .n = 0 };
    AUTO(buf) struct buf crl = BUF_INIT(OS_FILE_LIMIT);
    X509 *authority = ca_certificate(ca);
    char from[OS_PATH_MAX];

    TRY(os_path(place->ca_dir, "ca.crl", from, e));
    TRY(os_read_file(from, &crl, e));
    if (find_siblings(place, authority, &authorities) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    if (place->apart) {
        os_owner_leave(as);
        TRY(os_owner_enter(place->gate_dir, as, e));
    }
    place->copied = CA_COPY_DONE;
    TRY(find_gate_crl(place, e));
    if (place->copied == CA_COPY_UNSET)
        return OK;
    if (is_ours(place->gate_crl, &authorities))
        return authorities.n == 1 ? os_write_file(place->gate_crl, buf_bytes(&crl), 0644, OS_WRITE_REPLACE, e)
                                  : put_list(place->gate_crl, authority, buf_str(&crl), e);
    place->copied = CA_COPY_FOREIGN;
    return OK;
}

enum code ca_place_write_crl(struct ca_place *place, struct ca *ca, unsigned days, struct os_owner *as,
                             struct err *e)
{
    TRY(ca_write_crl(ca, days, e));
    place->copied = CA_COPY_NONE;
    return place->gate_dir[0] ? copy_crl(place, ca, as, e) : OK;
}

void ca_place_explain_crl(const struct ca_place *place, const struct cmd *cmd, struct arena *arena)
{
    const char *crl = place->ca_dir;
    struct diag *row = NULL;
    struct diags diags;

    diags_init(&diags, arena);
    switch (place->copied) {
    case CA_COPY_DONE:
        return;
    case CA_COPY_NONE:
        row = diags_add(&diags, SEV_WARNING, E_CONFIG, str_c(""), 0,
                        "no gate has the new revocation list yet");
        diags_hint(&diags, row,
                   "Copy \"%s/ca.crl\" to the ssl_crl_file of each gate, or name the gate with -D.", crl);
        break;
    case CA_COPY_UNSET:
        row = diags_add(&diags, SEV_WARNING, E_CONFIG, str_c(""), 0,
                        "the gate in \"%s\" uses no revocation list: ssl_crl_file is not set",
                        place->gate_dir);
        diags_hint(&diags, row, "Copy \"%s/ca.crl\" to \"%s\" and set ssl_crl_file = 'tls/ca.crl'.", crl,
                   place->gate_crl);
        break;
    case CA_COPY_FOREIGN:
        row = diags_add(&diags, SEV_WARNING, E_CONFIG, str_c(""), 0,
                        "file \"%s\" contains more than this CA's revocation list, and was not changed",
                        place->gate_crl);
        diags_hint(&diags, row, "Replace this CA's list in it with \"%s/ca.crl\".", crl);
        break;
    }
    (void)cmd_diags(cmd, &diags);
}
