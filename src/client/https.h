/**
 * One question over HTTPS, by libcurl. The library is loaded when it is needed: a gate has it in its memory only while
 * `upstream_check_url` is set.
 */
#ifndef PGSEAL_CLIENT_HTTPS_H
#define PGSEAL_CLIENT_HTTPS_H

#include "base/err.h"

#include <stdatomic.h>

struct buf;

struct https_question {
    const char *url;
    unsigned timeout_ms;     /* over all */
    bool may_plain;          /* an http:// address will do as well */
    bool direct;             /* whatever the environment says of proxies */
    const char *connect_to;  /* the address to connect to instead of the one of the URL's host; NULL: none */
    const char *ca_file;     /* whom to trust; NULL: the system's trust store */
    const char *cert_file;   /* what to show when asked, with its key; NULL: nothing */
    const char *key_file;    /* NULL without cert_file */
    const atomic_bool *stop; /* set by another thread: give up within a second; NULL: never */
    struct buf *body; /* receives the answer's, whatever its status, up to the limit; NULL: nobody wants it */
};

/**
 * GET the address, verified with the trust store; no redirections.
 *
 * out_status  of the answer.
 * E_CONNECT; E_UNSUPPORTED: libcurl is not installed, or not supported by this build.
 */
MUST_CHECK enum code https_ask(const struct https_question *q, long *out_status, struct err *e);
/** Load the library now. E_UNSUPPORTED as above. */
MUST_CHECK enum code https_ready(struct err *e);

#endif
