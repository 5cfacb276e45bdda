/**
 * Rolling a CA over: from the old one to a new one, with both in force in between.
 *
 *   DIR/rollover/          0700  lock, journal (renew/rollover_past.h), old.crt, new.crt: the roots
 *   CA, CA.next, CA.old    the CA in use; the new one before its certificates are served; the old one after that
 *
 * `start` makes the new CA and puts its root beside the old one wherever the gate's settings have that; `servers` has
 * the new CA issue what the old one has issued; `finish` takes the old root away. `abort` goes back to the old CA. Each
 * step can be taken again, so a run that was killed is brought to its end by the same command, or taken back.
 *
 * Who is ready is not judged here (renew/rollover_ready.h): `cmd` asks the gate first.
 */
#ifndef PGSEAL_RENEW_ROLLOVER_H
#define PGSEAL_RENEW_ROLLOVER_H

#include "renew/rollover_past.h"
#include "renew/rollover_text.h"
#include "renew/rotate.h"

/** A file that the settings name, and what it holds. */
struct rollover_file {
    struct str path;    /* as the settings have it */
    struct str setting; /* "ssl_ca_file", "upstream: sslrootcert", … */
    char real[OS_PATH_MAX];
    bool lists; /* of revocation lists; else of roots */
    struct rollover_holds holds;
};

enum rollover_issuer { ROLLOVER_ISSUER_OLD, ROLLOVER_ISSUER_NEXT, ROLLOVER_ISSUER_OTHER };

/** A certificate of the gate's own. */
struct rollover_pair {
    struct str name; /* of its rule: "server", "http", … */
    struct str cert, key;
    enum rollover_issuer issuer;
    bool client;                   /* shown to an upstream server */
    const struct renew_rule *rule; /* of rotate.conf; NULL: none */
    int64_t not_after_unix_s;
};

struct rollover {
    struct renew_target target;
    struct renew_conf conf;
    const struct renew_hooks *hooks;
    const struct env *env;
    struct arena *arena;
    struct os_lock lock;
    char dir[OS_PATH_MAX], journal[OS_PATH_MAX];
    struct rollover_past past;
    char ca_dir[OS_PATH_MAX];
    struct cert_list old, next; /* the roots; both empty before the first start */
    struct rollover_file *files;
    size_t n_files;
    struct rollover_pair *pairs;
    size_t n_pairs;
    bool server_side;        /* clients verify the gate, or the gate an upstream server, with this CA */
    bool client_side;        /* the gate verifies clients with it */
    bool no_probe;           /* rollover_cert_file is not set: the gate knows no chain of the new CA */
    bool foreign_probe;      /* rollover_cert_file is set, and was not issued by the new CA */
    char aside[OS_PATH_MAX]; /* where finish or abort has put a CA */
    bool apart;              /* the CA was named: other gates may have it, too */
    bool busy;               /* another process is at work (of a look) */
};

/** All borrowed. */
struct rollover_params {
    const char *dir;    /* the gate's directory */
    const char *ca_dir; /* NULL: that of the rollover under way, else DIR/ca */
    const struct renew_hooks *hooks;
    const struct env *env;
    struct arena *arena;
    bool look; /* take no lock, make nothing */
};

/**
 * Read the state.
 *
 * out  for rollover_close(), also on failure.
 *
 * E_EXISTS: another process is at work. E_NO_FILE: not a gate's directory. E_CONFIG: settings or rotate.conf do not load.
 */
MUST_CHECK enum code rollover_open(const struct rollover_params *params, struct rollover *out, struct err *e);
void rollover_close(struct rollover *r);
void rollover_auto(struct rollover *r);

/** Read the files again: what holds what, and who has issued which pair. */
MUST_CHECK enum code rollover_look(struct rollover *r, struct err *e);
/** Which of the two has issued a certificate, or what follows it in `chain`? */
enum rollover_issuer rollover_issuer_of(const struct rollover *r, const struct cert_list *chain);
/** The directory of the old CA, or of the new one, wherever they are now; false: it is in none of the places. */
bool rollover_find_ca(const struct rollover *r, bool next, char out[OS_PATH_MAX]);
/** CA.next, CA.old. E_LIMIT. */
MUST_CHECK enum code rollover_beside(const struct rollover *r, const char *ending, char out[OS_PATH_MAX],
                                     struct err *e);
/** The pair that a probed handshake presents, beside the server's certificate. E_LIMIT. */
MUST_CHECK enum code rollover_pair_paths(const struct rollover *r, char cert[OS_PATH_MAX],
                                         char key[OS_PATH_MAX], struct err *e);

#endif
