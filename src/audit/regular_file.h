/**
 * Regular files of an audited server: a name that leads to a pipe or a device is not read, as that might never end.
 */
#ifndef PGSEAL_AUDIT_REGULAR_FILE_H
#define PGSEAL_AUDIT_REGULAR_FILE_H

#include "base/err.h"
#include "lex/conf_lex.h"
#include "lex/hba_lex.h"

struct buf;

/** A file as it is proposed, instead of the one on the disk. */
struct regular_file_draft {
    struct str path; /* absolute */
    struct str text;
};

/** All of them; NULL wherever one is taken: none. Borrowed. */
struct regular_file_drafts {
    const struct regular_file_draft *items;
    size_t n;
};

/** True for what is there and is neither a regular file nor a directory, links followed. */
bool regular_file_is_special(const char *path);
/** As os_read_file(); E_IO for a special file. */
MUST_CHECK enum code regular_file_read(const char *path, struct buf *out, struct err *e);
/** The disk without its special files, drafts over it. A new file in an included directory is listed there. */
struct conf_fs regular_file_conf_fs(const struct regular_file_drafts *drafts);
struct hba_lex_fs regular_file_hba_fs(const struct regular_file_drafts *drafts);

#endif
