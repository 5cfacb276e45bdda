/* TLS and token of http_listen. [src: RFC 6750] */
#include "gate/load/http_access.h"

#include "base/buf.h"
#include "conf/files.h"
#include "conf/settings.h"
#include "os/files.h"
#include "tls/context.h"
#include "tls/self_test.h"
#include "tls/server_context.h"

#include <ctype.h>

/* [choice: what nobody guesses over a network, even when made by hand] */
enum { TOKEN_MIN = 16 };

bool http_access_wants_tls(const struct settings *settings)
{
    return settings_reads(settings, FILE_READER_HTTP);
}

bool http_access_wants_token(const struct settings *settings)
{
    return settings_reads(settings, FILE_READER_HTTP_TOKEN);
}

const char *http_access_cert_file(const struct settings *settings)
{
    return settings->http_cert_file.path ? settings->http_cert_file.path : settings->ssl_cert_file.path;
}

const char *http_access_key_file(const struct settings *settings)
{
    return settings->http_key_file.path ? settings->http_key_file.path : settings->ssl_key_file.path;
}

static enum code load_tls(const struct settings *settings, struct tls_library *library,
                          struct tls_server_params params, struct http_access *out, struct diags *diags)
{
    const char *cert_file = http_access_cert_file(settings), *key_file = http_access_key_file(settings);
    struct err e;

    params.cert_file = cert_file ? cert_file : "";
    params.key_file = key_file ? key_file : "";
    params.ca_file = params.crl_file = params.crl_dir = "";
    params.protocol = TLS_PROTOCOL_HTTP;
    params.takes_cancels = false;
    params.min_version = params.min_version == TLS_1_3 ? TLS_1_3 : TLS_1_2;
    params.max_version = TLS_ANY;
    enum code code = tls_server_context_new(library, &params, &out->tls, diags, &e);
    if (code == OK)
        code = tls_context_self_test(library, &params, out->tls, NULL, &e);
    if (code == OK)
        return OK;
    err_hint(&e, "http_listen = '%.*s' is served with TLS: see http_cert_file and http_key_file.",
             STR_ARG(settings->http_listen));
    diags_add_err(diags, &e);
    return code;
}

/* b64token [src: RFC 6750 §2.1] */
static bool is_token(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!isalnum((unsigned char)text.p[i]) && !strchr("-._~+/=", text.p[i]))
            return false;
    return text.n >= TOKEN_MIN && text.n <= SECRET_MAX && !str_has_nul(text);
}

static enum code read_token(const char *path, const char *what, struct secret *out, struct err *e)
{
    struct buf content = BUF_INIT((size_t)2 * SECRET_MAX);

    TRY(os_check_secret_file(path, what, e));
    enum code code = os_read_file(path, &content, e);
    struct str token = str_trim(buf_str(&content));
    if (code == OK && !is_token(token))
        code = err_set(e, E_CONFIG,
                       "%s \"%s\" must hold one token of %d to %d letters, digits and -._~+/=", what, path,
                       TOKEN_MIN, SECRET_MAX);
    if (code == OK)
        code = secret_set(out, str_bytes(token));
    buf_fini_secret(&content);
    return code;
}

static enum code load_token(const struct settings *settings, struct http_access *out, struct diags *diags)
{
    const char *path = settings->http_token_file.path;
    struct err e;

    enum code code = path ? read_token(path, "HTTP token file", &out->token, &e)
                          : err_set(
                                &e, E_CONFIG,
                                "http_listen = '%.*s' is not a loopback address: it requires http_token_file",
                                STR_ARG(settings->http_listen));
    if (code == OK)
        return OK;
    if (!path)
        err_hint(&e,
                 "Write a token, such as the output of \"openssl rand -hex 32\", to a file with mode 0600.");
    diags_add_err(diags, &e);
    return code;
}

enum code http_access_load(const struct settings *settings, struct tls_library *library,
                           const struct tls_server_params *params, struct http_access *out,
                           struct diags *diags)
{
    enum code token = http_access_wants_token(settings) ? load_token(settings, out, diags) : OK;
    enum code tls = http_access_wants_tls(settings) ? load_tls(settings, library, *params, out, diags) : OK;

    return token != OK ? token : tls;
}

enum code http_access_load_cancels(const struct settings *settings, struct http_access *out,
                                   struct diags *diags)
{
    const char *path = settings->cancel_secret_file.path;
    struct err e;

    enum code code = path ? read_token(path, "cancel secret file", &out->cancels, &e) : OK;
    if (code != OK)
        diags_add_err(diags, &e);
    return code;
}

void http_access_fini(struct http_access *access)
{
    tls_context_free(access->tls);
    access->tls = NULL;
    secret_wipe(&access->token);
    secret_wipe(&access->cancels);
}
