/**
 * Files of somebody else's server: a name that leads to a pipe or a device is not read, for that might never end.
 */
#ifndef PGSEAL_AUDIT_CAREFUL_H
#define PGSEAL_AUDIT_CAREFUL_H

#include "base/err.h"
#include "lex/conf_lex.h"
#include "lex/hba_lex.h"

struct buf;

/** A file as it is proposed, instead of the one on the disk. */
struct careful_draft {
    struct str path; /* absolute */
    struct str text;
};

/** All of them; NULL wherever one is taken: none. Borrowed. */
struct careful_drafts {
    const struct careful_draft *items;
    size_t n;
};

/** True for what is there and is neither a regular file nor a directory, links followed. */
bool careful_is_special(const char *path);
/** As os_read_file(); E_IO for a special file. */
MUST_CHECK enum code careful_read(const char *path, struct buf *out, struct err *e);
/** The disk without its special files, drafts over it. A new file in an included directory is listed there. */
struct conf_fs careful_conf_fs(const struct careful_drafts *drafts);
struct hba_lex_fs careful_hba_fs(const struct careful_drafts *drafts);

#endif
