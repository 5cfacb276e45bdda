/**
 * upstream_check_url: the address that each host of an upstream is asked at, and whether it can be used.
 */
#ifndef PGSEAL_GATE_LOAD_CHECK_URL_H
#define PGSEAL_GATE_LOAD_CHECK_URL_H

#include "base/err.h"

struct conn_host;
struct diags;
struct settings;
struct upstream;

enum {
    CHECK_URL_MAX = 1024,
    CHECK_URL_HOSTS_MAX = 32 /* of one upstream [choice: each costs a place on the pool while it is asked] */
};

/** The setting fits the upstreams of the settings' routes, its files are there, and libcurl is. */
MUST_CHECK enum code check_url_check(const struct settings *settings, const struct upstream *upstreams,
                                     struct diags *diags);
/** The address for one host: %h replaced. False: it is too long. */
MUST_CHECK bool check_url_for(struct str url, const struct conn_host *host, char out[CHECK_URL_MAX]);
/** The host's name, or its address where it has none, as it stands in a URL; then a colon and `port`, if not empty. */
MUST_CHECK bool check_url_host(struct str host, struct str port, char *out, size_t size);

#endif
