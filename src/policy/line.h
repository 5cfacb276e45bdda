/**
 * Complaints about the line at hand.
 */
#ifndef PGSEAL_POLICY_LINE_H
#define PGSEAL_POLICY_LINE_H

#include "policy/policy_impl.h"

/**
 * Log a fault of the line at hand and make it the view's error; returns `code`. `hint` may be NULL.
 */
enum code line_bad(struct line_parser *p, enum code code, const char *hint, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/** The same where PostgreSQL's view shows nothing. */
enum code line_bad_hidden(struct line_parser *p, enum code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
#ifdef __clang_analyzer__ /* as err_set() */
#define line_bad(p, code, ...) (line_bad(p, code, __VA_ARGS__), (code))
#endif
/** Only log (SEV_LOG). */
void line_log(struct line_parser *p, const char *hint, const char *fmt, ...) PRINTF_LIKE(3, 4);
/** The method of the record needs an argument that is not given. */
enum code hba_option_missing(struct line_parser *p, const struct hba_rule *rule, const char *argument);

#endif
