/**
 * A connection that goes out, by the words that it is made with: where to, and what is sure about it.
 */
#ifndef PGSEAL_AUDIT_LINK_H
#define PGSEAL_AUDIT_LINK_H

#include "client/meaning.h"

struct arena;
struct collected;
struct subject_connection;

struct subject_link {
    struct str endpoint; /* HOST:PORT, … without secrets; empty: a text that only mentions a connection */
    struct str mode;     /* "sslmode=prefer, the default" */
    enum pasted_driver driver;
    struct conn_meaning meaning;
    struct str changes;     /* what another version of the driver makes of it; empty: nothing known */
    struct str client_cert; /* sslcert; empty: none. Relative ones count from where nobody knows */
    bool local;             /* nothing crosses a network */
    bool root_unseen;       /* sslmode=require, and it is not known whether a root.crt makes it verify */
    bool has_password;      /* written there */
    bool readable;          /* … in a file that others may read */
    bool in_arguments;      /* it is in a command line, which every user sees */
};

/** E_NOMEM. */
MUST_CHECK enum code link_of_options(const struct conn_options *options, struct arena *arena,
                                     struct subject_link *out);
/** Read a text as the driver reads it. E_PARAM: it is refused, `e` says why without secrets; E_NOMEM. */
MUST_CHECK enum code link_of_text(struct str text, enum pasted_driver driver, struct arena *arena,
                                  struct subject_link *out, struct err *e);
/** The same where `beside` is what libpq is told beside the text: environment variables. */
MUST_CHECK enum code link_of_text_over(struct str text, enum pasted_driver driver,
                                       const struct conn_options *beside, struct arena *arena,
                                       struct subject_link *out, struct err *e);
/** The same as it would be here and now: with the process's own environment, service file and root.crt. */
MUST_CHECK enum code link_of_text_here(struct str text, enum pasted_driver driver, struct arena *arena,
                                       struct subject_link *out, struct err *e);
/** Add to the subject's connections. False when memory ran out. */
bool link_add(struct collected *collected, struct arena *arena, struct subject_connection connection,
              struct subject_link link);

#endif
