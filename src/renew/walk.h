/**
 * One way from "due" to "done", step by step, whatever is renewed: the steps that all have in common, and the state of
 * one renewal for those that differ.
 */
#ifndef PGSEAL_RENEW_WALK_H
#define PGSEAL_RENEW_WALK_H

#include "base/secret.h"
#include "renew/rotate.h"
#include "renew/swap.h"

struct walk;
struct bundle_work;
struct pair_shown;

/** A pair (walk_pair.c), or a file of roots (walk_bundle.c). */
struct walk_kind {
    bool may_be_forced; /* renewed when it is not due, too */
    /** Where the files are: into w->swap. */
    enum code (*find_files)(struct walk *w, struct err *e);
    /** What is in force on the disk: into w->old and the report. */
    enum code (*load)(struct walk *w, struct err *e);
    /** Is it due? Into report->due. */
    enum code (*judge)(struct walk *w, struct err *e);
    /** What a dry run of something that is due looks at besides; NULL: nothing. */
    enum code (*rehearse)(struct walk *w, struct err *e);
    /** Whom verify() will ask, and do they answer now? */
    enum code (*look_around)(struct walk *w, struct err *e);
    /** All up to a generation w->next that is whole on the disk, w->before being the one in force. */
    enum code (*prepare)(struct walk *w, struct err *e);
    /** The target has loaded what is in force on the disk: is it what it is to be? */
    enum code (*verify)(struct walk *w, struct err *e);
    /** The same when the old files are back. reloaded: what became of the reload, told in `e`. */
    enum code (*verify_back)(struct walk *w, enum code reloaded, struct err *e);
    /** All is done. */
    enum code (*finish)(struct walk *w, struct err *e);
    void (*fini)(struct walk *w);
};

struct walk {
    const struct walk_kind *kind;
    const struct renew_params *params;
    const struct renew_rule *rule;
    const struct renew_target *target;
    struct arena *arena;
    struct renew_report *report;
    char journal[OS_PATH_MAX];
    struct swap swap;
    struct renew_past past;
    struct cert_list old; /* in force when the walk began; of a pair the leaf first */
    bool runs;
    bool verifies; /* look_around() found somebody whom verify() will ask */
    bool loaded;   /* the target took the new files */
    bool unused;   /* the target does not read the files: others do */
    enum renew_event step;
    char before[RENEW_GENERATION_MAX], next[RENEW_GENERATION_MAX];
    /* of a pair */
    struct leaf leaf;       /* the new key; its certificate is chain.items[0] */
    struct cert_list chain; /* the new one */
    struct leaf_files files;
    struct secret passphrase;
    struct served_check listeners;
    struct pair_shown *shown; /* to whom; NULL: nobody */
    /* of a bundle */
    struct bundle_work *bundle;
};

/** Renew one pair or file, or finish what a killed run began. The report has the result. */
void renew_walk(const struct walk_kind *kind, const struct renew_params *params,
                const struct renew_rule *rule, struct arena *arena, struct renew_report *out);

/* ---- for the kinds ---- */

/** Write a line of the journal; from now on a failure is one of this step. A dry run has no journal. */
MUST_CHECK enum code walk_enter(struct walk *w, enum renew_event step, const char *generation,
                                const char *words, struct err *e);
/** Names for a generation to come, and the one in force, which is made of the files where there is none yet. */
MUST_CHECK enum code walk_generations(struct walk *w, struct err *e);

#endif
