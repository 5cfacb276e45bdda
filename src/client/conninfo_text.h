/**
 * Syntax of connection strings: `keyword = value` lists and postgresql:// URIs.
 */
#ifndef PGSEAL_CLIENT_CONNINFO_TEXT_H
#define PGSEAL_CLIENT_CONNINFO_TEXT_H

#include "client/conninfo.h"

struct arena;

/** "sslmode" and its like; never NULL. */
const char *conn_option_keyword(enum conn_option option);
/** The option of a keyword, as libpq spells it. */
bool conn_option_find(struct str keyword, enum conn_option *out);
/**
 * Syntax only: a `keyword = value` string, or a postgresql:// URI, whichever it looks like.
 *
 * arena  receives copies of the values.
 * out    options that are not in the text stay unset.
 *
 * E_PARAM with libpq's text, in which HIDDEN (lex/conninfo_hide.h) stands for secrets and for what may be a
 * piece of one. A URI with an @ where an unencoded password leaves one is refused (conninfo_uri_leftover()).
 * [src: PostgreSQL 18, PQconninfoParse]
 */
MUST_CHECK enum code conn_options_parse(struct str text, struct arena *arena, struct conn_options *out,
                                        struct err *e);
/** Set one option by its keyword as libpq's parser does; E_PARAM `invalid connection option "X"`. */
MUST_CHECK enum code conn_options_set(struct conn_options *options, struct str keyword, struct str value,
                                      struct arena *arena, struct err *e);

#endif
