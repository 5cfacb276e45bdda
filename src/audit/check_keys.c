#include "audit/check_keys.h"

#include "audit/check_certs.h"
#include "audit/link.h"
#include "audit/public_cas.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "conf/files.h"

/* ---- certificates of clients ---- */

static struct finding *add_client(struct audit *a, const char *file, const struct cert_info *info,
                                  const char *what)
{
    struct finding *f = audit_add(a, CHECK_CLIENT_FROM_PUBLIC_CA, str_c(file), "\"%.*s\" %s",
                                  STR_ARG(info->subject), what);

    if (f)
        f->about = audit_text(a, "%s %.*s", file, STR_ARG(info->subject));
    return f;
}

static void judge_client(struct audit *a, const char *file)
{
    AUTO(cert_list) struct cert_list chain = { 0 };
    AUTO(cert_list) struct cert_list roots = { 0 };
    struct cert_info info;

    if (cert_chain_load(file, &chain, NULL) != OK ||
        cert_describe(chain.items[0], a->arena, &info, NULL) != OK)
        return; /* libpq goes on without a file that is not there, and refuses to connect with a bad one */
    check_certificates_of_client(a, &chain, file);
    if (!(info.eku & (CERT_EKU_CLIENT | CERT_EKU_ANY)))
        add_client(a, file, &info, "is used by a client, and its extended key usage lacks clientAuth");
    public_cas_load(&roots);
    if (public_cas_issued(chain.items[chain.n - 1], &roots))
        add_client(a, file, &info, "is used by a client, and was issued by a public CA");
}

static const char *client_file(struct audit *a, const struct subject_connection *c)
{
    struct str path = c->link ? c->link->client_cert : c->info ? c->info->options.v[CONN_SSLCERT] : STR("");

    return audit_connection_file(a, c, path);
}

static bool is_judged(const struct audit *a, const char *file)
{
    for (size_t i = 0; i < a->n_certificates; i++)
        if (a->certificates[i].held && !a->certificates[i].leaf && str_is(a->certificates[i].file, file))
            return true;
    return false;
}

/* Those that the gate shows to its peers, and to who is asked for the primary. */
static void check_named_clients(struct audit *a)
{
    const struct settings *settings = a->subject->settings;
    struct settings_file_use use;
    const char *path;

    for (size_t i = 0; !a->subject->live && settings_file_listed(settings, i, &use, &path); i++)
        if (path && use.audit == FILE_AUDITED && str_ends(str_c(use.kind), STR(" client")) &&
            settings_reads(settings, use.reader) && !subject_is_unseen(a->subject, path) &&
            !is_judged(a, path))
            judge_client(a, path);
}

void check_client_certificates(struct audit *a)
{
    check_named_clients(a);
    for (size_t i = 0; i < a->subject->n_connections; i++) {
        const char *file = client_file(a, &a->subject->connections[i]);
        if (file && !is_judged(a, file))
            judge_client(a, file);
    }
}

/* ---- keys in use twice ---- */

static bool is_same(const uint8_t x[32], const uint8_t y[32])
{
    return memcmp(x, y, 32) == 0;
}

static void report_key(struct audit *a, const struct audit_certificate *c, struct str other)
{
    struct finding *f = audit_add(a, CHECK_KEY_REUSED, c->file, "\"%.*s\" has the key of %.*s",
                                  STR_ARG(c->subject), STR_ARG(other));

    if (f)
        f->about = audit_text(a, "%.*s %.*s", STR_ARG(c->file), STR_ARG(c->subject));
}

static void check_key(struct audit *a, size_t at)
{
    const struct audit_certificate c = a->certificates[at];

    for (size_t i = 0; i < a->n_certificates; i++) {
        const struct audit_certificate *other = &a->certificates[i];
        bool told = other->held && i > at; /* each pair once */
        if (i == at || told || !is_same(c.key, other->key) || is_same(c.certificate, other->certificate))
            continue;
        report_key(a, &c, audit_text(a, "\"%.*s\" in %.*s", STR_ARG(other->subject), STR_ARG(other->file)));
        return;
    }
    for (size_t i = 0; i < a->subject->n_others; i++) {
        const struct subject_key *other = &a->subject->others[i];
        if (!is_same(c.key, other->key) || str_equal(c.file, other->file))
            continue;
        report_key(a, &c,
                   audit_text(a, "\"%.*s\" in %.*s of %.*s", STR_ARG(other->subject), STR_ARG(other->file),
                              STR_ARG(other->target)));
        return;
    }
}

void check_key_reuse(struct audit *a)
{
    for (size_t i = 0; i < a->n_certificates && !a->subject->live; i++)
        if (a->certificates[i].held)
            check_key(a, i);
}
