/**
 * The certificates that many endpoints serve, fetched side by side on one loop.
 *
 * An endpoint is asked as PostgreSQL clients ask: SSLRequest first; one that answers it with neither S nor N is
 * asked with direct TLS (ALPN `postgresql`), and then with TLS as anybody speaks it. Nothing is verified, and
 * the connection ends after the handshake, before a StartupMessage. Everything belongs to the loop's thread.
 */
#ifndef PGSEAL_PROBE_FETCH_H
#define PGSEAL_PROBE_FETCH_H

#include "base/err.h"
#include "pki/cert.h"

struct fetcher;
struct loop;

enum fetch_how { FETCH_AUTO, FETCH_POSTGRES, FETCH_DIRECT, FETCH_TLS };
/** "auto", "postgres", "direct", "tls". */
const char *fetch_how_name(enum fetch_how how);
bool fetch_how_find(struct str word, enum fetch_how *out);

enum {
    FETCH_CHAIN_MAX = 32,
    FETCH_OPEN_MAX = 400 /* connections at once; further endpoints stand in line, their time does not run */
};

/** What an endpoint showed; borrowed for the time of the call. */
struct fetch_result {
    bool tls;           /* `chain` was shown, leaf first; it may be empty anyway */
    bool refused;       /* nobody listens there */
    bool without_tls;   /* the answer to SSLRequest was N */
    enum fetch_how how; /* what it was shown to */
    struct cert_list chain;
    const struct err *err; /* where there is no TLS */
};

typedef void fetch_fn(void *arg, const struct fetch_result *result);

/** Texts are copied. */
struct fetch_request {
    struct str host;     /* for SNI, and to look up */
    struct str sni;      /* to ask for instead; empty: as above */
    bool nameless;       /* to ask for none */
    struct str visit;    /* what to say of this check (tls/hosts.h); empty: nothing */
    struct str hostaddr; /* where to connect; empty: where `host` leads */
    unsigned port;
    enum fetch_how how;
    fetch_fn *fn;
    void *arg;
};

/** timeout_ms: of each endpoint, from look-up to handshake. NULL when memory ran out. */
struct fetcher *fetcher_new(struct loop *loop, int64_t timeout_ms);
/** Nothing must be under way. NULL is fine. */
void fetcher_free(struct fetcher *fetcher);
/**
 * `fn` is called once, later, at the latest when the time is over. False when memory ran out: never.
 */
MUST_CHECK bool fetch_start(struct fetcher *fetcher, const struct fetch_request *request);

#endif
