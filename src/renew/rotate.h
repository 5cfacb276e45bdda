/**
 * Renewing certificates: whole, or not at all.
 *
 * For each pair that is due: a key, a certificate for it, checks, the exchange of the files in one step, a reload,
 * and a look at what every listener serves. Whatever fails before the exchange changes nothing; whatever fails
 * after it puts the old pair back. The journal tells each step before it is taken, so that a run that was killed
 * is brought to its end by the next one.
 */
#ifndef PGSEAL_RENEW_ROTATE_H
#define PGSEAL_RENEW_ROTATE_H

#include "renew/bundle.h"
#include "renew/due.h"
#include "renew/journal.h"
#include "renew/source.h"

enum renew_outcome {
    RENEW_NOT_DUE,
    RENEW_WOULD,     /* it is due, and this is a dry run */
    RENEW_RENEWED,   /* the new pair is in force, and served where the target runs */
    RENEW_FINISHED,  /* a run that was killed had exchanged the files; the rest is done now */
    RENEW_WAITING,   /* the last attempt failed: the next one is not yet */
    RENEW_KEPT,      /* failed; the old pair is in force */
    RENEW_UNSETTLED, /* failed, and the old pair could not be put back or is not served again */
};
/** "not due", "would be renewed", … for programs and people. */
const char *renew_outcome_name(enum renew_outcome outcome);
/** Does the outcome mean that all is well? */
bool renew_outcome_ok(enum renew_outcome outcome);

struct renew_server;

/** What became of one pair, or of one file of roots. Texts live in the arena. */
struct renew_report {
    struct str name;
    enum renew_source source;
    enum renew_outcome outcome;
    enum renew_event step; /* RENEW_KEPT, RENEW_UNSETTLED, RENEW_WAITING: where it failed */
    struct err why;        /* … and why; RENEW_WAITING: of the last attempt */
    struct due due;
    bool other_ca; /* due because another CA than the source has issued it */
    /* Of the certificate in force now, 0: none could be read; of the root that ends first. */
    int64_t not_before_unix_s, not_after_unix_s;
    char sha256[CERT_SHA256_TEXT]; /* of the certificate, or of the file of roots */
    bool served;     /* listeners were asked and serve it; a client certificate: servers took it */
    bool client;     /* a pair in clients/ */
    struct str file; /* the certificate's; empty: not known */
    /* RENEW_BUNDLE */
    const struct bundle_change *changes;
    size_t n_changes;
    const struct renew_server *servers; /* whom the roots are to verify, asked if it was to change */
    size_t n_servers;
};

struct renew_params {
    const struct renew_target *target;
    const struct renew_conf *conf;
    const struct renew_hooks *hooks;
    const struct env *env;
    const struct str *only; /* names of pairs; n_only 0: all */
    size_t n_only;
    bool clients; /* the pairs in clients/, too */
    bool force, dry_run;
};

/**
 * All pairs that rotate.conf names, and those of the settings that the own CA has issued.
 *
 * out  one report per pair, in the arena.
 *
 * E_EXISTS: another run is at work. E_NO_FILE: there is nothing to renew. E_UNDEFINED: `only` names an unknown pair.
 * What happens to a pair is a report, not a failure.
 */
MUST_CHECK enum code renew_all(const struct renew_params *params, struct arena *arena,
                               struct renew_report **out, size_t *out_n, struct err *e);

#endif
