/**
 * Endpoints to be asked, and what their answers say.
 */
#ifndef PGSEAL_MONITOR_ASK_H
#define PGSEAL_MONITOR_ASK_H

#include "monitor/target.h"

struct conninfo;
struct host_line;

/** What an endpoint showed; borrowed. */
struct monitor_answer {
    bool tls;         /* `chain` was shown, leaf first */
    bool refused;     /* nobody listens */
    bool without_tls; /* it said that it has no TLS */
    const char *how;  /* how it was asked, in a word */
    const struct cert_list *chain;
    const char *why; /* where there is no TLS */
};

/** The target is an endpoint of its own: HOST and port. */
MUST_CHECK enum code monitor_ask_endpoint(struct monitor_target *target, struct str host, struct str hostaddr,
                                          unsigned port, struct err *e);
/** A listener of this machine. */
struct monitor_listener {
    struct str address; /* as in listen_addresses, one of them */
    unsigned port;
    bool plain_tls;               /* it is no PostgreSQL */
    const struct host_line *host; /* to ask as its clients do; NULL: it has one certificate for all */
};
/** Does it serve the certificate of `leaf`? NULL: there is nothing to compare with, nobody is asked. */
MUST_CHECK enum code monitor_ask_served(struct monitor_target *target, struct monitor_row *leaf,
                                        const struct monitor_listener *listener, struct err *e);
/**
 * The servers of a connection string, if they are asked for TLS; what it verifies is verified. Files that it
 * names (CA, client certificate) are rows. setting: where it was written.
 */
MUST_CHECK enum code monitor_ask_upstream(struct monitor_target *target, const struct conninfo *info,
                                          const char *setting, struct err *e);
/** Rows and judgments from an answer. */
MUST_CHECK enum code monitor_ask_answer(struct monitor_target *target, struct monitor_ask *ask,
                                        const struct monitor_answer *answer, struct err *e);

#endif
