/**
 * What is wrong with a configuration, or weaker than it need be: the checks of tables/checks.def.
 *
 * An audit is a function from a loaded configuration, and the files it names, to findings. Nothing is claimed
 * that was not looked at: where a rule is said to let somebody in, policy_match() has agreed.
 */
#ifndef PGSEAL_AUDIT_AUDIT_H
#define PGSEAL_AUDIT_AUDIT_H

#include "base/err.h"

struct arena;
struct conninfo;
struct iface_source;
struct policy;
struct settings;
struct settings_route;

enum check {
#define X(name, id, severity, item, title, fix) CHECK_##name,
#include "checks.def"
#undef X
    CHECK_COUNT
};

enum finding_severity { FINDING_HIGH, FINDING_MEDIUM, FINDING_LOW, FINDING_INFO, FINDING_SEVERITIES };

/** "tls_off". */
const char *check_id(enum check check);
enum finding_severity check_severity(enum check check);
/** The point of the checklist that a finding leaves open; 0: none. */
unsigned check_item(enum check check);
/** One line that says what it is about. */
const char *check_title(enum check check);
/** What to do, in general. */
const char *check_fix(enum check check);
/** "high", "medium", "low", "info". */
const char *finding_severity_name(enum finding_severity severity);

struct finding {
    enum check check;
    struct str where;   /* FILE:LINE, a file, or a setting */
    struct str what;    /* one sentence */
    struct str witness; /* facts as `pgseal explain` takes them; empty: none */
};

struct findings {
    const struct finding *items; /* the worst first */
    size_t n;
};

/** A server behind, as its route has it. */
struct audit_upstream {
    const struct settings_route *route;
    const struct conninfo *info;
};

/** All borrowed. */
struct audit_subject {
    const struct settings *settings;
    const struct policy *policy;
    const struct audit_upstream *upstreams;
    size_t n_upstreams;
    struct bytes served; /* DER of the certificate that clients get; empty: not known */
    const struct iface_source *ifaces;
    int64_t now_unix_s;
};

/**
 * Look at everything.
 *
 * arena  borrowed; owns the findings.
 *
 * E_NOMEM. What cannot be read is a finding or, where another check says so, passed over. Reads files, else
 * never blocks.
 */
MUST_CHECK enum code audit_run(const struct audit_subject *subject, struct arena *arena,
                               struct findings *out);

#endif
