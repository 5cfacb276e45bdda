/**
 * What people are told about a decision: the refusal in PostgreSQL's words, and why a rule did not fit.
 */
#ifndef PGSEAL_POLICY_MATCH_TEXT_H
#define PGSEAL_POLICY_MATCH_TEXT_H

#include "policy/match.h"

struct hba_rule;

/** "type", "address", "database", "user"; "" for FIELD_NONE. */
const char *match_field_name(enum match_field field);
/**
 * One sentence on why a field of a rule does not fit, for people: into `out`, cut to its size.
 *
 * failed  not FIELD_NONE.
 */
void policy_explain_field(const struct hba_rule *rule, const struct conn_facts *facts,
                          enum match_field failed, char *out, size_t size);
/**
 * The refusal that the client gets for `reject` or for no rule: E_AUTH (28000) with PostgreSQL's text.
 * `e->detail` is for the log only: the state of the name lookup [src: PostgreSQL 18, HOSTNAME_LOOKUP_DETAIL].
 */
enum code policy_refusal(const struct conn_facts *facts, const struct decision *decision, struct err *e);
/** The numeric peer address as in messages, `[local]` for a unix socket, `???` if unknown. */
void conn_facts_host(const struct conn_facts *facts, char *out, size_t size);
/** True when one of the addresses of the peer's own name is the peer's: for those who look names up. */
bool peer_address_equal(const struct sockaddr_storage *peer, const struct sockaddr *candidate);

#endif
