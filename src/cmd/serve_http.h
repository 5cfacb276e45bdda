/**
 * What a serving gate shows over HTTP: the pages of watch/ over the facts of gate/, which do not know each
 * other.
 */
#ifndef PGSEAL_CMD_SERVE_HTTP_H
#define PGSEAL_CMD_SERVE_HTTP_H

struct gate_http;

/** For gate_params. */
extern const struct gate_http serve_http;

#endif
