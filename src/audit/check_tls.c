#include "audit/check_tls.h"

#include "audit/finding.h"
#include "conf/settings.h"
#include "tls/ciphers.h"

static void check_versions(struct audit *a)
{
    const struct settings *settings = a->subject->settings;

    if (settings->ssl_min_protocol_version < CONF_TLS_1_2)
        audit_add_setting(a, CHECK_TLS_VERSION_OLD, "ssl_min_protocol_version",
                          "clients may use %s, which is broken",
                          conf_tls_version_name(settings->ssl_min_protocol_version));
    if (settings->ssl_max_protocol_version != CONF_TLS_ANY &&
        settings->ssl_max_protocol_version < CONF_TLS_1_3)
        audit_add_setting(a, CHECK_TLS_VERSION_MAXIMUM, "ssl_max_protocol_version",
                          "no client gets anything newer than %s, and one that demands TLSv1.3 gets nothing",
                          conf_tls_version_name(settings->ssl_max_protocol_version));
}

/* ssl_ciphers has no say in TLS 1.3, whose suites are all good. */
static void check_ciphers(struct audit *a)
{
    const struct settings *settings = a->subject->settings;
    struct tls_cipher_survey survey;

    if (settings->ssl_min_protocol_version >= CONF_TLS_1_3)
        return;
    if (tls_ciphers_survey(settings->ssl_ciphers.p, a->arena, &survey) != OK) {
        a->nomem = true;
        return;
    }
    if (survey.n_weak > 0)
        audit_add_setting(a, CHECK_CIPHERS_WEAK, "ssl_ciphers", "%zu weak ciphers are offered: %.*s",
                          survey.n_weak, STR_ARG(survey.weak));
    if (survey.n_static > 0 && !settings->ssl_prefer_server_ciphers)
        audit_add_setting(
            a, CHECK_CIPHER_ORDER, "ssl_prefer_server_ciphers",
            "a TLSv1.2 client decides the cipher, and %zu of ssl_ciphers are without forward secrecy",
            survey.n_static);
}

void check_tls(struct audit *a)
{
    const struct settings *settings = a->subject->settings;

    if (!a->subject->settings_seen)
        return;
    if (settings->ssl) {
        check_versions(a);
        check_ciphers(a);
    } else if (settings->listen_addresses.n > 0) {
        audit_add_setting(a, CHECK_TLS_OFF, "ssl", "no client can encrypt its connection");
    }
}
