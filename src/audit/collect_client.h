/**
 * A client as the subject of an audit: one connection string, or a file in which connections stand.
 */
#ifndef PGSEAL_AUDIT_COLLECT_CLIENT_H
#define PGSEAL_AUDIT_COLLECT_CLIENT_H

#include "base/err.h"
#include "client/pasted_words.h"

struct arena;
struct client_item;
struct collected;
struct subject_link;

struct client_params {
    enum pasted_driver driver; /* whose strings they are where nothing tells */
    int64_t now_unix_s;
    struct arena *arena;
};

/** True for what no path looks like: a URL, a list with semicolons, `keyword = value`. */
bool collect_is_string(struct str target);
/**
 * Read a string as its driver reads it here: with libpq the service file, the environment and root.crt count.
 *
 * E_PARAM: the driver would refuse it; E_NOMEM.
 */
MUST_CHECK enum code collect_string(struct str text, const struct client_params *params,
                                    struct collected *out, struct err *e);
/**
 * Read a file, of which the text is at hand.
 *
 * path  absolute.
 * text  borrowed; what is kept of it lives in params->arena.
 *
 * E_CONFIG: nothing of a client is in it; E_NOMEM.
 */
MUST_CHECK enum code collect_client(const char *path, struct str text, const struct client_params *params,
                                    struct collected *out, struct err *e);
/** A subject of which nothing but the client's side is seen. E_NOMEM. */
MUST_CHECK enum code collect_client_begin(const struct client_params *params, struct collected *out);
/** What an item of a file amounts to. E_PARAM: it cannot be read, and `e` says why; E_NOMEM. */
MUST_CHECK enum code collect_client_link(const struct client_item *item, struct arena *arena,
                                         struct subject_link *out, struct err *e);

#endif
