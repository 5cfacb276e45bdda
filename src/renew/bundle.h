/**
 * The next set of roots: what a CA publishes now, and what it has published until lately.
 */
#ifndef PGSEAL_RENEW_BUNDLE_H
#define PGSEAL_RENEW_BUNDLE_H

#include "pki/cert.h"

struct arena;
struct buf;

enum bundle_what {
    BUNDLE_ADDED,
    BUNDLE_REMOVED,
    BUNDLE_KEPT,    /* no longer in the bundle; it goes away at `until_unix_s` */
    BUNDLE_EXPIRED, /* in the bundle, but not taken over */
    BUNDLE_NO_ROOT  /* the same: it is not self-signed, and OpenSSL takes none such for an anchor */
};
/** "added", "removed", "kept", "expired", "not a root". */
const char *bundle_what_name(enum bundle_what what);

/** One difference between the roots in use, those of the bundle, and the next ones. Texts live in the arena. */
struct bundle_change {
    enum bundle_what what;
    struct str subject;
    char sha256[CERT_SHA256_TEXT];
    int64_t not_after_unix_s;
    int64_t until_unix_s; /* BUNDLE_KEPT */
};

/** A root that is in use, and since when the bundle lacks it. */
struct bundle_kept {
    uint8_t sha256[CERT_SHA256_SIZE];
    int64_t since_unix_s;
};

struct bundle_past {
    struct bundle_kept *items;
    size_t n;
};

/**
 * What bundle_past_write() wrote: a line "SHA256 SECONDS" per root. Lines that cannot be read are passed over: a root
 * is then kept longer. E_NOMEM.
 */
MUST_CHECK enum code bundle_past_parse(struct str text, struct arena *arena, struct bundle_past *out,
                                       struct err *e);
/** Appended to `out`. */
void bundle_past_write(const struct bundle_past *past, struct buf *out);

/** All borrowed. */
struct bundle_facts {
    const struct cert_list *fetched; /* the bundle */
    const struct cert_list *running; /* the roots in use */
    const struct bundle_past *past;
    unsigned keep_days;
    int64_t now_unix_s;
};

struct bundle_plan {
    struct cert_list roots; /* owned; each once, those of the bundle first */
    struct bundle_change *changes;
    size_t n;
    struct bundle_past past; /* to be written when this is in force */
    bool differs;            /* from what is in use */
    bool loses;              /* a root that is in use goes away */
    int64_t next_unix_s;     /* the next end of a kept root, or of any; 0: none */
};

void bundle_plan_fini(struct bundle_plan *plan);

/** E_CONFIG: no valid root would be left. E_NOMEM. */
MUST_CHECK enum code bundle_plan_make(const struct bundle_facts *facts, struct arena *arena,
                                      struct bundle_plan *out, struct err *e);

#endif
