/**
 * docs/checks.md, for tabledoc.
 */
#ifndef PGSEAL_TOOLS_TABLEDOC_CHECKS_H
#define PGSEAL_TOOLS_TABLEDOC_CHECKS_H

struct buf;

/** Append the whole page. */
void checks_page(struct buf *out);

#endif
