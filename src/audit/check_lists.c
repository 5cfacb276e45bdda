#include "audit/check_lists.h"

#include "audit/finding.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "conf/settings.h"
#include "pki/expiry.h"
#include "pki/trust.h"

#include <inttypes.h>
#include <openssl/x509.h>

/* Where OpenSSL has lists from. A path is NULL where there is none, or it was not to be seen. */
struct sources {
    const char *const *cas; /* files of CAs, and of what lists are among them */
    size_t n_cas;
    const char *file, *dir;
};

static struct expiry life_of(const struct audit *a, const struct crl_info *info)
{
    return expiry_judge(info->last_update_unix_s, info->next_update_unix_s, a->subject->now_unix_s);
}

/* Among several lists of a CA OpenSSL takes one that is valid. */
static bool has_better(struct audit *a, X509_CRL *crl, const struct expiry *life, const struct crl_list *all)
{
    for (size_t i = 0; i < all->n; i++) {
        struct crl_info info;
        if (X509_NAME_cmp(X509_CRL_get_issuer(all->items[i]), X509_CRL_get_issuer(crl)) != 0 ||
            crl_describe(all->items[i], a->arena, &info, NULL) != OK)
            continue;
        struct expiry other = life_of(a, &info);
        if (!other.over && !other.not_yet && (life->over || life->not_yet || other.status == EXPIRY_OK))
            return true;
    }
    return false;
}

static void judge(struct audit *a, X509_CRL *crl, const struct crl_list *all, const char *where)
{
    struct finding *f = NULL;
    char text[EXPIRY_DATE_SIZE];
    struct crl_info info;

    if (crl_describe(crl, a->arena, &info, NULL) != OK)
        return;
    struct expiry life = life_of(a, &info);
    if (life.status == EXPIRY_OK || has_better(a, crl, &life, all))
        return;
    if (life.over)
        f = audit_add(a, CHECK_CRL_EXPIRED, str_c(where), "the revocation list of \"%.*s\" expired at %s",
                      STR_ARG(info.issuer), expiry_date(info.next_update_unix_s, text));
    else if (life.not_yet)
        f = audit_add(a, CHECK_CRL_NOT_YET, str_c(where),
                      "the revocation list of \"%.*s\" is not valid before %s", STR_ARG(info.issuer),
                      expiry_date(info.last_update_unix_s, text));
    else
        f = audit_add(a, CHECK_CRL_EXPIRING, str_c(where),
                      "the revocation list of \"%.*s\" expires in %" PRId64 " days, at %s",
                      STR_ARG(info.issuer), life.days_left, expiry_date(info.next_update_unix_s, text));
    if (f)
        f->about = audit_text(a, "%s %.*s", where, STR_ARG(info.issuer));
}

static void judge_file(struct audit *a, const char *file, const struct crl_list *all)
{
    AUTO(trust) struct trust trust = { 0 };

    if (!file || trust_load(file, &trust, NULL) != OK) /* that is reported already */
        return;
    for (size_t i = 0; i < trust.crls.n; i++)
        judge(a, trust.crls.items[i], all, file);
}

static bool add_file(const char *file, struct trust *out)
{
    return !file || trust_load(file, out, NULL) != E_NOMEM;
}

static bool add_dir(const struct sources *s, const struct cert_list *cas, struct crl_list *out)
{
    for (size_t i = 0; s->dir && i < cas->n; i++)
        if (trust_add_dir(s->dir, cas->items[i], out, NULL) != OK)
            return false;
    return true;
}

static void judge_sources(struct audit *a, const struct sources *s)
{
    AUTO(trust) struct trust all = { 0 };
    AUTO(trust) struct trust found = { 0 };
    bool fits = true;

    for (size_t i = 0; i < s->n_cas; i++)
        fits = fits && add_file(s->cas[i], &all);
    fits = fits && add_file(s->file, &all) && add_dir(s, &all.certs, &found.crls) &&
           add_dir(s, &all.certs, &all.crls);
    if (!fits) {
        a->nomem = true;
        return;
    }
    for (size_t i = 0; i < s->n_cas; i++)
        judge_file(a, s->cas[i], &all.crls);
    judge_file(a, s->file, &all.crls);
    for (size_t i = 0; i < found.crls.n; i++)
        judge(a, found.crls.items[i], &all.crls, s->dir);
}

/* ---- of clients, and of servers ---- */

/* A file that may be opened: what was not to be seen has been said. */
static const char *seen(const struct audit *a, const char *path)
{
    return path && path[0] && !subject_is_unseen(a->subject, path) ? path : NULL;
}

static void check_clients_lists(struct audit *a)
{
    const struct settings *settings = a->subject->settings;
    struct sources s = { .file = seen(a, settings->ssl_crl_file.path),
                         .dir = seen(a, settings->ssl_crl_dir.path) };
    size_t n = 0;

    if (!settings->ssl || (!settings->ssl_crl_file.path && !settings->ssl_crl_dir.path))
        return; /* PostgreSQL asks no lists then, not even those of ssl_ca_file */
    while (subject_client_ca(a->subject, n))
        n++;
    const char **cas = arena_array(a->arena, n + 1, sizeof *cas);
    if (!cas) {
        a->nomem = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const char *ca = seen(a, subject_client_ca(a->subject, i));
        if (ca && !(s.file && strcmp(ca, s.file) == 0))
            cas[s.n_cas++] = ca;
    }
    s.cas = cas;
    judge_sources(a, &s);
}

static void check_servers_lists(struct audit *a, const struct subject_connection *c)
{
    const struct str *options = c->info->options.v;
    const char *root = str_is(options[CONN_SSLROOTCERT], "system")
                           ? NULL
                           : audit_connection_file(a, c, options[CONN_SSLROOTCERT]);
    const struct sources s = { &root, 1, audit_connection_file(a, c, options[CONN_SSLCRL]),
                               audit_connection_file(a, c, options[CONN_SSLCRLDIR]) };

    if (c->info->sslmode >= SSLMODE_REQUIRE && root && (s.file || s.dir)) /* as libpq: of no other root */
        judge_sources(a, &s);
}

void check_lists(struct audit *a)
{
    check_clients_lists(a);
    for (size_t i = 0; i < a->subject->n_connections; i++)
        if (a->subject->connections[i].purpose == PURPOSE_UPSTREAM && a->subject->connections[i].info)
            check_servers_lists(a, &a->subject->connections[i]);
}
