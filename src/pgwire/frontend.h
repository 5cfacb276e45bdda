/**
 * Messages that a client sends, written into a buf.
 *
 * Failure sticks in the buf: ask buf_ok() once. [src: PostgreSQL 18, "Message Formats"]
 */
#ifndef PGSEAL_PGWIRE_FRONTEND_H
#define PGSEAL_PGWIRE_FRONTEND_H

#include "base/slice.h"

struct buf;
struct parameter;

/** SSLRequest. */
void frontend_ssl_request(struct buf *out);
/** GSSENCRequest. */
void frontend_gssenc_request(struct buf *out);
/** The parameters as they stand; names and values hold no NUL. */
void frontend_startup(struct buf *out, uint32_t version, const struct parameter *parameters, size_t count);
/** CancelRequest. The key has 4 bytes, or up to 256 with protocol 3.2. */
void frontend_cancel(struct buf *out, uint32_t pid, struct bytes key);
/** 'p' with the password and a NUL. The buf then holds a secret. */
void frontend_password(struct buf *out, struct bytes password);
/** 'p' with the next message of the mechanism. */
void frontend_sasl_response(struct buf *out, struct bytes data);
/** 'Q'; the text holds no NUL. */
void frontend_query(struct buf *out, struct str sql);
/** 'X': the session ends. */
void frontend_terminate(struct buf *out);

#endif
