/**
 * Classes of characters in the C collation: ASCII's, except that [[:cntrl:]] reaches to 0x9f as in the server.
 */
#ifndef PGSEAL_REGEX_REGEX_CLASS_H
#define PGSEAL_REGEX_REGEX_CLASS_H

#include "regex/regex_text.h"

bool regex_is_alpha(unsigned c);
bool regex_is_digit(unsigned c);
bool regex_is_space(unsigned c);
bool regex_is_alnum(unsigned c);
bool regex_is_word(unsigned c);
bool regex_is_upper(unsigned c);
/** The class of that name, as between [: and :]; NULL when there is none. */
regex_class_fn *regex_class_of(struct str name);

#endif
