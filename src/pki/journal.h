/**
 * The CA's journal: one line per event, fields separated by tabs. Text in, rows out, no files.
 *
 *   issued   TIME SERIAL USE NOTAFTER SHA256 SUBJECT
 *   revoked  TIME SERIAL REASON
 *   crl      TIME NUMBER
 *
 * Times are seconds since 1970, serials lower-case hex. The subject is in slash form, whose escapes leave no
 * control byte. Lines beginning with # are comments.
 */
#ifndef PGSEAL_PKI_JOURNAL_H
#define PGSEAL_PKI_JOURNAL_H

#include "pki/ca.h"

struct journal {
    struct ca_entry *entries; /* in the order of issue */
    size_t n;
    uint64_t crl_number; /* of the last CRL; 0: none was written yet */
};

/**
 * Parse the whole text. A line that cannot be read refuses it: a revocation must not be lost unnoticed.
 *
 * file  for messages only.
 * E_CONFIG with file and line, E_NOMEM.
 */
MUST_CHECK enum code journal_parse(struct str text, const char *file, struct arena *arena,
                                   struct journal *out, struct err *e);
/** The entry of this serial, or NULL. */
struct ca_entry *journal_find(const struct journal *journal, struct str serial_hex);

/** Append a line; ask buf_ok() afterwards. */
void journal_add_issued(struct buf *text, const struct ca_entry *entry);
void journal_add_revoked(struct buf *text, int64_t now_s, struct str serial_hex, enum ca_reason reason);
void journal_add_crl(struct buf *text, int64_t now_s, uint64_t number);

const char *ca_use_name(enum ca_use use); /* "server", "client", "both" */
bool ca_use_from_name(struct str name, enum ca_use *out);
const char *ca_reason_name(enum ca_reason reason); /* "unspecified", "keyCompromise", … */
bool ca_reason_from_name(struct str name, enum ca_reason *out);

#endif
