/**
 * One question over HTTPS, by libcurl. The library is loaded when it is needed: a gate, which is the same program, never
 * has it in its memory.
 */
#ifndef PGSEAL_RENEW_HTTPS_H
#define PGSEAL_RENEW_HTTPS_H

#include "base/err.h"

struct buf;

/**
 * GET an https:// address, verified with the system's trust store; no redirections; `timeout_s` seconds at
 * most, and never more than ten.
 *
 * out  the body of an answer with status 200, up to the buffer's limit.
 * E_CONNECT; E_UNSUPPORTED: libcurl is not installed.
 */
MUST_CHECK enum code https_get(const char *url, unsigned timeout_s, struct buf *out, struct err *e);

#endif
