/**
 * The audit of one rule, and how a finding about it is reported.
 */
#ifndef PGSEAL_AUDIT_RULE_AUDIT_H
#define PGSEAL_AUDIT_RULE_AUDIT_H

#include "audit/finding.h"
#include "policy/reach.h"

struct rule_audit {
    struct audit *audit;
    const struct hba_rule *rule;
    struct str where;
    enum reach plain, sealed; /* from another machine, without TLS and with it */
    struct conn_facts plain_facts, sealed_facts;
    bool here_only; /* the gate or server listens on this machine only */
};

/** What the finding is about is the rule's text, which stays when lines are added above it. Returns `f`. */
struct finding *rule_audit_about(struct rule_audit *l, struct finding *f);
/**
 * Report `what` with the connection that shows it, without TLS or with it. NULL: there is none, and nothing is
 * reported.
 */
struct finding *rule_audit_report(struct rule_audit *l, enum check check, bool tls, const char *what);
/** The same, without TLS if that is possible, else with it. */
struct finding *rule_audit_report_any(struct rule_audit *l, enum check check, const char *what);

#endif
