#include "audit/check_sni.h"

#include "conf/settings.h"
#include "policy/policy.h"

static bool has_name(const struct subject_host *host, const char *name)
{
    for (size_t i = 0; i < host->n_names; i++)
        if (str_is(host->names[i], name))
            return true;
    return false;
}

/* A line for everybody else, with the certificate that postgresql.conf names. */
static void put_edit(struct audit *a, struct finding *f)
{
    const struct settings *settings = a->subject->settings;

    if (!f || settings->ssl_cert_file.text.n == 0 || settings->ssl_key_file.text.n == 0)
        return;
    f->edit = (struct finding_edit){ .file = a->subject->hosts_file,
                                     .after = audit_text(a, "*  \"%.*s\"  \"%.*s\"",
                                                         STR_ARG(settings->ssl_cert_file.text),
                                                         STR_ARG(settings->ssl_key_file.text)) };
}

/* [src: PostgreSQL 19, "SNI Configuration"] */
static void check_gap(struct audit *a)
{
    const struct audit_subject *s = a->subject;
    bool any_name = false, no_name = false, some_name = false;

    for (size_t i = 0; i < s->n_hosts; i++) {
        any_name = any_name || has_name(&s->hosts[i], "*");
        no_name = no_name || has_name(&s->hosts[i], "/no_sni/");
        some_name = some_name || !has_name(&s->hosts[i], "/no_sni/");
    }
    if (any_name)
        return;
    if (!no_name)
        put_edit(a,
                 audit_add(a, CHECK_SNI_GAP, s->hosts_file,
                           "it has no line for * or /no_sni/: clients that connect by address, set sslsni=0, "
                           "or use libpq before 14 are refused"));
    else if (!some_name)
        put_edit(a, audit_add(a, CHECK_SNI_GAP, s->hosts_file,
                              "it has a line for /no_sni/ only: clients that connect by a name are refused"));
}

static bool asks_for_certificates(const struct policy *policy)
{
    for (size_t i = 0; policy && i < policy_rule_count(policy); i++)
        if (policy_rule(policy, i)->clientcert != CLIENTCERT_NONE)
            return true;
    return false;
}

/* The client says which name it wants, and so which CA its certificate is judged by. */
static void check_cas(struct audit *a)
{
    const struct audit_subject *s = a->subject;

    if (!asks_for_certificates(s->policy))
        return;
    for (size_t i = 1; i < s->n_hosts; i++) {
        const struct subject_host *first = &s->hosts[0], *host = &s->hosts[i];
        if (!first->ca && !host->ca)
            continue;
        if (first->ca && host->ca && strcmp(first->ca, host->ca) == 0)
            continue;
        struct finding *f = audit_add(
            a, CHECK_SNI_GAP, audit_place(a, host->file, host->line),
            "client certificates are verified with %s, and those of line %u with %s; the client chooses the name",
            host->ca ? host->ca : "no CA", first->line, first->ca ? first->ca : "no CA");
        if (f)
            f->about = audit_text(a, "%.*s %.*s", STR_ARG(host->file), STR_ARG(host->names[0]));
    }
}

void check_sni(struct audit *a)
{
    if (a->subject->n_hosts == 0) /* the pair of postgresql.conf serves all */
        return;
    check_gap(a);
    check_cas(a);
}
