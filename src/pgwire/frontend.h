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

void frontend_ssl_request(struct buf *out);
void frontend_gssenc_request(struct buf *out);
/** The parameters as they stand; names and values hold no NUL. */
void frontend_startup(struct buf *out, uint32_t version, const struct parameter *parameters, size_t count);
void frontend_cancel(struct buf *out, uint32_t pid, struct bytes key);
/** 'p' with the password and a NUL. The buf then holds a secret. */
void frontend_password(struct buf *out, struct bytes password);
void frontend_sasl_response(struct buf *out, struct bytes data);
void frontend_query(struct buf *out, struct str sql);
void frontend_terminate(struct buf *out);

#endif
