/* First bytes from the client's side. */
#include "client/negotiate.h"

#include "client/conninfo.h"
#include "pgwire/frontend.h"

void negotiate_hello(enum conn_method method, struct buf *out)
{
    if (method == METHOD_TLS)
        frontend_ssl_request(out);
}

enum negotiate_verdict negotiate_reply(struct bytes in, enum attempt_event *event, struct err *e)
{
    if (in.n == 0)
        return NEGOTIATE_MORE;
    *event = EVENT_REPLY_BAD;
    switch (in.p[0]) {
    case 'S':
        if (in.n == 1)
            return NEGOTIATE_TLS;
        (void)err_set(e, E_PROTOCOL, "received unencrypted data after SSL response");
        return NEGOTIATE_FAIL;
    case 'N':
        *event = EVENT_TLS_REFUSED;
        (void)err_set(e, E_UNSUPPORTED, "server does not support SSL, but SSL was required");
        return NEGOTIATE_FAIL;
    case 'E':
        /* Whoever sent it has not proved to be the server: not a word of it is passed on. */
        (void)err_set(e, E_PROTOCOL, "server sent an error response during SSL exchange");
        return NEGOTIATE_FAIL;
    default:
        (void)err_set(e, E_PROTOCOL, "received invalid response to SSL negotiation: %c", in.p[0]);
        return NEGOTIATE_FAIL;
    }
}

enum code negotiate_alpn(enum conn_method method, struct str selected, struct err *e)
{
    if (selected.n == 0 && method == METHOD_DIRECT_TLS)
        return err_set(e, E_TLS,
                       "direct SSL connection was established without ALPN protocol negotiation extension");
    if (selected.n > 0 && !str_is(selected, "postgresql"))
        return err_set(e, E_TLS, "SSL connection was established with unexpected ALPN protocol");
    return OK;
}

/* Addresses are no names [src: RFC 6066, section 3]; what consists of digits and dots counts as one. */
struct str negotiate_sni(const struct conninfo *info, const struct conn_host *host)
{
    struct str name = host->host;
    bool digits = true;

    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == ':')
            return STR("");
        digits = digits && (name.p[i] == '.' || (name.p[i] >= '0' && name.p[i] <= '9'));
    }
    return info->sslsni && !digits ? name : STR("");
}
