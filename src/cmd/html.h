/**
 * Text for HTML: whatever bytes it holds, it stays text.
 */
#ifndef PGSEAL_CMD_HTML_H
#define PGSEAL_CMD_HTML_H

#include "base/buf.h"

/**
 * Append a text, good in an element and in a quoted attribute. Bytes that are not UTF-8 and control characters
 * as \xNN, characters that turn the direction of writing as \u{NNNN}.
 */
void html_text(struct buf *out, struct str text);
/** The same, cut after `most` characters with an ellipsis. */
void html_cut(struct buf *out, struct str text, size_t most);

#endif
