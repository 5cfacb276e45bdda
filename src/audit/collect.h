/**
 * A target of `pgseal audit`, whatever it is, as a subject.
 */
#ifndef PGSEAL_AUDIT_COLLECT_H
#define PGSEAL_AUDIT_COLLECT_H

#include "audit/collect_rules.h"
#include "client/pasted_words.h"

struct arena;

struct collect_params {
    const char
        *target; /* a path or a connection string as the user wrote it; borrowed as long as the subject */
    unsigned version;          /* of rule files that stand alone; 0: the newest */
    enum pasted_driver driver; /* of connection strings where nothing tells whose they are */
    int64_t now_unix_s;
    const struct regular_file_drafts
        *drafts;         /* files of a gate or a server as they are proposed; NULL: none */
    struct arena *arena; /* owns what is found */
};

/**
 * Find out what the target is, and read it.
 *
 * out  set on OK; collected_fini() when the report has been told.
 *
 * E_NO_FILE, E_ACCESS and kin, E_CONFIG: it cannot be judged, `e` says why; E_NOMEM.
 */
MUST_CHECK enum code collect_target(const struct collect_params *params, struct collected *out,
                                    struct err *e);

#endif
