/* Settings → what tls/ wants to know. */
#include "gate/load/tls_params.h"

#include "base/check.h"
#include "conf/settings.h"

/* Texts of the settings end in a NUL: they live in an arena. */
static const char *file_text(const struct settings_file *file)
{
    return file->path ? file->path : "";
}

static enum tls_version tls_version_of(enum conf_tls_version version)
{
    switch (version) {
    case CONF_TLS_ANY:
        return TLS_ANY;
    case CONF_TLS_1_0:
        return TLS_1_0;
    case CONF_TLS_1_1:
        return TLS_1_1;
    case CONF_TLS_1_2:
        return TLS_1_2;
    case CONF_TLS_1_3:
        return TLS_1_3;
    }
    UNREACHABLE();
}

enum tls_records tls_params_records(const struct settings *settings)
{
    return settings->tls_record_layer == CONF_RECORDS_OWN ? TLS_RECORDS_OWN : TLS_RECORDS_OPENSSL;
}

struct tls_server_params tls_params_server(const struct settings *settings, struct secret *passphrase,
                                           bool reload)
{
    return (struct tls_server_params){
        .cert_file = file_text(&settings->ssl_cert_file),
        .key_file = file_text(&settings->ssl_key_file),
        .ca_file = file_text(&settings->ssl_ca_file),
        .crl_file = file_text(&settings->ssl_crl_file),
        .crl_dir = file_text(&settings->ssl_crl_dir),
        .dh_params_file = file_text(&settings->ssl_dh_params_file),
        .ciphers = settings->ssl_ciphers.p,
        .tls13_ciphers = settings->ssl_tls13_ciphers.p,
        .groups = settings->ssl_groups.p,
        .prefer_server_ciphers = settings->ssl_prefer_server_ciphers,
        .takes_cancels = settings->cancel_peers.n > 0,
        .reload = reload,
        .records = tls_params_records(settings),
        .min_version = tls_version_of(settings->ssl_min_protocol_version),
        .max_version = tls_version_of(settings->ssl_max_protocol_version),
        .passphrase = passphrase,
    };
}
