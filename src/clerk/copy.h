/**
 * COPY … TO STDOUT, text and csv.
 */
#ifndef PGSEAL_CLERK_COPY_H
#define PGSEAL_CLERK_COPY_H

#include "clerk/clerk_impl.h"

void copy_header(struct buf *out, const struct clerk_columns *columns, const struct copy_options *options);
/** One row as CopyData. */
void copy_row(struct buf *out, const struct copy_options *options, struct db_stmt *stmt,
              const struct clerk_columns *columns);

#endif
