/**
 * What a step of a TLS session works on, and what comes of it.
 */
#ifndef PGSEAL_TLS_IO_H
#define PGSEAL_TLS_IO_H

#include "base/slice.h"

/** What a worker lends for one step. */
struct tls_io {
    struct bytes in; /* what the socket gave; consumed from the front */
    bool eof;        /* the peer has closed its side after `in` */
    uint8_t *out;    /* room for what is to be sent */
    size_t out_n;
    size_t out_size;
};

enum tls_status {
    TLS_DONE,       /* did what was asked */
    TLS_WANT_INPUT, /* all input is consumed, more is needed */
    TLS_WANT_ROOM,  /* `out` is full: send it, then go on */
    TLS_CLOSED,     /* the peer said close_notify */
    TLS_FAILED      /* `e` says why; what is in `out` (an alert) is still to be sent */
};

#endif
