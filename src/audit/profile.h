/**
 * Profiles: the severities that a benchmark gives to findings, and where it asks for what a check looks for.
 *
 * A profile changes severities, never facts. [src: tables/check_sources.def]
 */
#ifndef PGSEAL_AUDIT_PROFILE_H
#define PGSEAL_AUDIT_PROFILE_H

#include "audit/checks.h"
#include "base/slice.h"

#include <stdbool.h>

enum audit_source {
#define SOURCE(name, word, text) SOURCE_##name,
#include "audit_sources.def"
    SOURCE_COUNT
};

enum audit_profile {
    PROFILE_DEFAULT,
#define PROFILE(name, word, source, major) PROFILE_##name,
#include "audit_sources.def"
    PROFILE_COUNT
};

/** One place of a source that asks for what a check looks for. */
struct check_source {
    const char *source;  /* "CIS" */
    const char *title;   /* "CIS PostgreSQL Benchmark" */
    const char *edition; /* "v1.1.0"; empty: it has none */
    const char *number;  /* "6.8"; empty: it has none */
    const char *note;    /* where its advice breaks or weakens; NULL: it does not */
};

enum { CHECK_SOURCES_MAX = 16 };

/** The profile of a word; false: there is none. */
bool profile_find(struct str word, enum audit_profile *out);
/** "cis-17". */
const char *profile_name(enum audit_profile profile);
/** The severity of a check; major version of the server, 0: not known. */
enum finding_severity profile_severity(enum audit_profile profile, enum check check, unsigned major);
/** Who else asks for it; at most CHECK_SOURCES_MAX. Returns how many. */
size_t check_sources(enum check check, enum audit_profile profile, unsigned major,
                     struct check_source out[CHECK_SOURCES_MAX]);

#endif
