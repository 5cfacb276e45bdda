/**
 * The value of http_listen, understood.
 */
#ifndef PGSEAL_CONF_HTTP_PLACE_H
#define PGSEAL_CONF_HTTP_PLACE_H

#include "base/slice.h"

enum http_kind { HTTP_OFF, HTTP_UNIX, HTTP_TCP };

/** Texts are borrowed from the value. */
struct http_place {
    enum http_kind kind;
    struct str path; /* of the unix socket; a relative one starts at the gate's directory */
    struct str host; /* without brackets; "*" is every address */
    unsigned port;
    bool loopback; /* nobody but this machine can reach it, as far as the text alone tells */
};

/**
 * "off" or "" · host:port, with an IPv6 address in brackets · a path, known by its slash.
 *
 * False: neither. Only `localhost`, 127.0.0.0/8 and ::1 count as loopback: what another name means is known
 * when it is looked up, and until then the careful answer is the right one.
 */
bool http_place_parse(struct str text, struct http_place *out);

#endif
