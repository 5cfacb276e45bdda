/** The reference page of /metrics, for tabledoc.c. */
#ifndef PGSEAL_TOOLS_TABLEDOC_METRICS_H
#define PGSEAL_TOOLS_TABLEDOC_METRICS_H

struct buf;

void metrics_page(struct buf *out);

#endif
