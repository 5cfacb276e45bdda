/**
 * One rule under the eyes of the audit, and how something about it is reported.
 */
#ifndef PGSEAL_AUDIT_LOOK_H
#define PGSEAL_AUDIT_LOOK_H

#include "audit/finding.h"
#include "policy/reach.h"

struct look {
    struct audit *audit;
    const struct hba_rule *rule;
    struct str where;
    enum reach plain, sealed; /* from another machine, without TLS and with it */
    struct conn_facts plain_facts, sealed_facts;
    bool here_only; /* the gate or server listens on this machine only */
};

/** What the finding is about is the rule's text, which stays when lines are added above it. Returns `f`. */
struct finding *look_about(struct look *l, struct finding *f);
/**
 * Report `what` with the connection that shows it, without TLS or with it. NULL: there is none, and nothing is
 * reported.
 */
struct finding *look_report(struct look *l, enum check check, bool tls, const char *what);
/** The same, without TLS if that is possible, else with it. */
struct finding *look_report_any(struct look *l, enum check check, const char *what);

#endif
