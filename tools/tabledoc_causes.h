/**
 * docs/causes.md, for tabledoc.
 */
#ifndef PGSEAL_TOOLS_TABLEDOC_CAUSES_H
#define PGSEAL_TOOLS_TABLEDOC_CAUSES_H

struct buf;

/** Append the whole page. */
void causes_page(struct buf *out);

#endif
