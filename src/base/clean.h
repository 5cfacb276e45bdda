/**
 * Text that clients chose, made safe to show: on a terminal, on a page, in a row.
 *
 * Names are matched, and passed on, as they came; only what people read goes through here.
 */
#ifndef PGSEAL_BASE_CLEAN_H
#define PGSEAL_BASE_CLEAN_H

#include "base/err.h"

struct arena;

enum { CLEAN_GROWTH = 4 };

enum clean {
    CLEAN_ASCII, /* every byte outside printable ASCII as \xNN [src: PostgreSQL 18, pg_clean_ascii] */
    CLEAN_NAME   /* only what is not UTF-8, controls, and characters that hide or turn others around */
};

/** A text that needs no cleaning is returned as it is, borrowed; else a copy in `arena`. False: no memory. */
MUST_CHECK bool clean_text(enum clean how, struct str text, struct arena *arena, struct str *out);
/** The same into `room`, which holds CLEAN_GROWTH times the text. */
struct str clean_into(enum clean how, struct str text, char *room);
/** `max` bytes at most, and whole characters; a byte that begins none counts as one. */
struct str clean_cut(struct str text, size_t max);
/**
 * An application_name, cut and cleaned as PostgreSQL shows it: `max` bytes at most, before and after.
 * [src: PostgreSQL 18, GUC_IS_NAME, check_application_name, pgstat_report_appname]
 */
MUST_CHECK bool clean_application_name(struct str text, size_t max, struct arena *arena, struct str *out);

#endif
