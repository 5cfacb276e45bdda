/**
 * docs/views.md, for tabledoc.
 */
#ifndef PGSEAL_TOOLS_TABLEDOC_VIEWS_H
#define PGSEAL_TOOLS_TABLEDOC_VIEWS_H

struct buf;

/** Append the whole page. */
void views_page(struct buf *out);

#endif
