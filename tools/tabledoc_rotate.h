/**
 * docs/rotate-settings.md, for tabledoc.
 */
#ifndef PGSEAL_TOOLS_TABLEDOC_ROTATE_H
#define PGSEAL_TOOLS_TABLEDOC_ROTATE_H

struct buf;

/** Append the whole page. */
void rotate_page(struct buf *out);

#endif
