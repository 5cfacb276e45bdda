/**
 * One value: text to member.
 */
#ifndef PGSEAL_CONF_VALUE_H
#define PGSEAL_CONF_VALUE_H

#include "conf/settings_impl.h"

struct buf;

/**
 * Understand one value.
 *
 * text    a NUL follows it.
 * member  where to write, of the type that goes with def->type; untouched on failure.
 *
 * E_PARAM with message, detail and hint in PostgreSQL's words; E_NOMEM.
 */
MUST_CHECK enum code value_parse(const struct setting_def *def, const struct value_params *params,
                                 struct str text, void *member, struct err *e);

/** "a, b, c": the words that a setting of type ENUM, FLAGS or LOGINS takes, without synonyms. */
void setting_words_list(const struct setting_def *def, struct buf *out);

#endif
