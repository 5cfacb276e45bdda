/**
 * One line of a settings file, in the syntax of postgresql.conf.
 */
#ifndef PGSEAL_HARDEN_SETTING_LINE_H
#define PGSEAL_HARDEN_SETTING_LINE_H

#include "base/slice.h"

struct arena;

/** Where name and value are in a line. */
struct setting_line {
    struct str name, value; /* views of the line; the value with its quotes */
};

/** False for a line that sets nothing. */
bool setting_line_parse(struct str line, struct setting_line *out);
/** The same for a default that is commented out: "#ssl = off". */
bool setting_line_commented(struct str line, struct setting_line *out);
/** The line with another value; comment and blanks stay. False when memory ran out. */
bool setting_line_set(struct str line, const struct setting_line *parts, struct str value,
                      struct arena *arena, struct str *out);
/** A value in quotes, as it is in a file. */
bool setting_value_quoted(struct str value, struct arena *arena, struct str *out);

#endif
