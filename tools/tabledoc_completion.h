/**
 * Completions of three shells, for tabledoc.
 */
#ifndef PGSEAL_TOOLS_TABLEDOC_COMPLETION_H
#define PGSEAL_TOOLS_TABLEDOC_COMPLETION_H

struct buf;

/** Append a whole file. */
void completion_bash(struct buf *out);
void completion_zsh(struct buf *out);
void completion_fish(struct buf *out);

#endif
