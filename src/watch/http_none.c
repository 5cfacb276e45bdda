/* A program that was built without HTTP (-Dhttp=disabled): it refuses http_listen, and nothing else comes here. */
#include "base/check.h"
#include "conf/http_place.h"
#include "conf/settings.h"
#include "watch/http.h"

enum code http_open(const struct http_params *params, struct http **out, struct err *e)
{
    struct http_place place;

    *out = NULL;
    if (!http_place_parse(params->settings->http_listen, &place) || place.kind == HTTP_OFF)
        return OK;
    return err_set(e, E_UNSUPPORTED, "HTTP is not supported by this build");
}

bool http_set_access(struct http *http, const struct http_access *access)
{
    (void)http;
    (void)access;
    return true;
}

void http_sockets(const struct http *http, struct socket_set *out)
{
    (void)http;
    (void)out;
    UNREACHABLE();
}

void http_leave(struct http *http)
{
    (void)http;
    UNREACHABLE();
}

void http_shut(struct http *http)
{
    (void)http;
}

void http_close(struct http *http)
{
    (void)http;
}

void http_reply_header(struct http_reply *reply, const char *name, const char *value)
{
    (void)reply;
    (void)name;
    (void)value;
    UNREACHABLE();
}

void http_reply_send(struct http_reply *reply, unsigned status, const char *content_type, struct bytes body)
{
    (void)reply;
    (void)status;
    (void)content_type;
    (void)body;
    UNREACHABLE();
}
