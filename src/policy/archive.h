/**
 * What a load of the rules has read, kept so that the same rules can be read again later, as they were.
 *
 * The gate leaves the archive of the generation in force in its directory; `pgseal explain --running` reads
 * it, so that its answer is about the running gate even where the files have changed since.
 */
#ifndef PGSEAL_POLICY_ARCHIVE_H
#define PGSEAL_POLICY_ARCHIVE_H

#include "base/err.h"

struct archive;
struct buf;
struct hba_lex_fs;

/** Name of the file in the gate's directory. */
#define ARCHIVE_FILE "pgseal.running"
enum { ARCHIVE_MAX = 256 * 1024 * 1024 };

/** What else the rules depended on. Texts are borrowed. */
struct archive_head {
    unsigned generation;
    bool ssl_on;
    bool roles_known;
    struct str hba_file;
    struct str ident_file;
};

/**
 * An empty archive over the real disk: what is read through archive_fs() is kept. NULL when memory ran out.
 */
struct archive *archive_new(void);
/**
 * An archive as archive_write() made it: archive_fs() then reads from it alone.
 *
 * bytes  borrowed, must outlive the archive.
 * head   set on OK; texts live as long as `bytes`.
 *
 * E_SYNTAX: not an archive. E_NOMEM.
 */
MUST_CHECK enum code archive_open(struct bytes bytes, struct archive **out, struct archive_head *head,
                                  struct err *e);
void archive_free(struct archive *archive);
/** Borrowed; for policy_params.fs. One thread at a time. */
const struct hba_lex_fs *archive_fs(struct archive *archive);
/**
 * For an archive of archive_new(): from here on read `source` (borrowed, must outlive what is read) instead of
 * the disk, and forget what was read before of each path that is read again.
 */
void archive_read_from(struct archive *archive, const struct hba_lex_fs *source);
/**
 * Append everything that was read. Failure sticks in `out`; memory that ran out while recording is E_NOMEM.
 */
MUST_CHECK enum code archive_write(const struct archive *archive, const struct archive_head *head,
                                   struct buf *out);

#endif
