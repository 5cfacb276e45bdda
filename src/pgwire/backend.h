/**
 * Messages that a server sends, written into a buf.
 *
 * Failure sticks in the buf: ask buf_ok() once. [src: PostgreSQL 18, "Message Formats"]
 */
#ifndef PGSEAL_PGWIRE_BACKEND_H
#define PGSEAL_PGWIRE_BACKEND_H

#include "base/err.h"

struct buf;
struct startup;

enum auth_code {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_MD5 = 5,
    AUTH_GSS = 7,
    AUTH_GSS_CONTINUE = 8,
    AUTH_SSPI = 9,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12
};

/** 'R' with a code and a payload unchanged (empty for AUTH_OK; mechanism list for AUTH_SASL). */
void backend_auth(struct buf *out, enum auth_code code, struct bytes payload);
/** 'R' 10: the mechanisms as C strings and a final NUL. */
void backend_auth_sasl(struct buf *out, const struct str *mechanisms, size_t count);
void backend_parameter_status(struct buf *out, struct str name, struct str value);
/** key: 4…256 bytes. */
void backend_key_data(struct buf *out, uint32_t pid, struct bytes key);
/** state: 'I', 'T' or 'E'. */
void backend_ready(struct buf *out, char state);
/** 'v': the version that will be spoken and the unknown protocol options. */
void backend_negotiate(struct buf *out, const struct startup *startup);
/** 'E' with severity FATAL, SQLSTATE, message and, where present, detail and hint. */
void backend_fatal(struct buf *out, const struct err *e);
/** 'E' (SEV_ERROR, SEV_FATAL) or 'N' (SEV_NOTICE, SEV_WARNING, …); position in characters from 1, 0: none. */
void backend_report(struct buf *out, enum severity severity, const struct err *e, unsigned position);
/** The format of protocol 2: "E", "FATAL:  message\n", NUL; no length. */
void backend_fatal_v2(struct buf *out, const struct err *e);

#endif
