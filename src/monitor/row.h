/**
 * One certificate or revocation list that a target has, and how it stands.
 */
#ifndef PGSEAL_MONITOR_ROW_H
#define PGSEAL_MONITOR_ROW_H

#include "pki/crl.h"
#include "pki/expiry.h"

struct arena;

enum monitor_status { MONITOR_OK, MONITOR_WARNING, MONITOR_UNKNOWN, MONITOR_CRITICAL }; /* from good to bad */
/** "ok", "warning", "critical", "unknown". */
const char *monitor_status_name(enum monitor_status status);

enum monitor_served { SERVED_NOT_CHECKED, SERVED_MATCHES, SERVED_DIFFERS };

/** Texts live in the arena of its target. */
struct monitor_row {
    const char *kind;    /* "server", "chain", "client ca", … */
    struct str where;    /* the file, or the endpoint it was seen at */
    struct str deployed; /* the setting that names the file, or how the endpoint was asked; empty: neither */
    X509 *cert;          /* NULL: a revocation list, or nothing that could be read; owned */
    bool is_crl;
    bool seen;             /* a client has shown it: only its end is known, and it is nobody's alarm */
    struct cert_info info; /* of `cert`; a list has subject, issuer and serial (its number) of its own */
    struct str *path;      /* issuers, from the certificate's own to the root */
    size_t n_path;
    int64_t not_before_s, not_after_s; /* both 0: nothing could be read */
    struct expiry life;
    enum monitor_status status;
    struct str error; /* whatever is wrong but for its dates; empty: nothing */
    enum monitor_served served;
    STAILQ_ENTRY(monitor_row) next;
};

STAILQ_HEAD(monitor_rows, monitor_row);

/** False where nothing was read: it has no dates. */
bool monitor_row_is_dated(const struct monitor_row *row);
/** Worsen the status and say why; several reasons are joined. False when memory ran out. */
MUST_CHECK bool monitor_row_blame(struct monitor_row *row, struct arena *arena, enum monitor_status status,
                                  const char *fmt, ...) PRINTF_LIKE(4, 5);
void monitor_rows_fini(struct monitor_rows *rows);

#endif
