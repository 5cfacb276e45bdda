/**
 * Which of several server contexts serves a client, by the name that it asks for.
 *
 * A context that chooses has a callback of its own for ClientHellos; others cost nothing by that.
 * [src: PostgreSQL 19, "SNI Configuration"; be-secure-openssl.c sni_clienthello_cb; RFC 6066 §3]
 */
#ifndef PGSEAL_TLS_HOSTS_H
#define PGSEAL_TLS_HOSTS_H

#include "tls/context.h"

/** Case does not matter in names. */
struct tls_host {
    struct str name;
    struct tls_context *context;
};

/** All borrowed: they must outlive every handshake of their contexts. */
struct tls_hosts {
    struct tls_host *names; /* in order, after tls_hosts_sort() */
    size_t n;
    struct tls_context *any; /* serves names that are not listed; NULL: they are refused, unrecognized_name */
    struct tls_context *none; /* serves clients that ask for no name; NULL: `any` does, or they are refused */
};

void tls_hosts_sort(struct tls_hosts *hosts);
/** Whoever begins with this context is served by the one of `hosts` that is for the name. False: out of memory. */
MUST_CHECK bool tls_hosts_apply(const struct tls_hosts *hosts, struct tls_context *context);

/** Extension of a ClientHello in which who checks a gate says so, where the name that he asks for cannot say it.
 * [choice: of the range for private use, RFC 8447 §7; servers ignore what they do not know] */
enum { TLS_EXTENSION_VISIT = 0xff50, TLS_VISIT_MAX = 128 };

#endif
