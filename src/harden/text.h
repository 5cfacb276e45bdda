/**
 * A file whose lines are being edited: what it was, what it is to be, and why, line by line.
 *
 * Comments, order and line ends stay as they are. Lines are numbered from 1, as the edited file is read.
 */
#ifndef PGSEAL_HARDEN_TEXT_H
#define PGSEAL_HARDEN_TEXT_H

#include "base/err.h"

struct arena;
struct buf;

struct harden_line {
    struct str before, after; /* with their ends; p is NULL: there was or is no such line */
    struct str why;           /* of a line that changes: reasons, a line each */
};

struct harden_text {
    struct str path; /* absolute */
    bool is_new;     /* the file is to be made */
    bool changed;
    struct harden_line *lines;
    size_t n, size;
    struct arena *arena;
    bool nomem;
};

/** Both borrowed as long as the text. E_NOMEM. */
MUST_CHECK enum code harden_text_init(struct harden_text *text, struct str path, struct str content,
                                      struct arena *arena);

/** A line without its end; p is NULL: there is no such line. */
struct str harden_text_line(const struct harden_text *text, unsigned number);
unsigned harden_text_count(const struct harden_text *text);

/* The new line is given without an end, and gets that of its neighbours. Memory that runs out sticks, in `nomem`. */
void harden_text_replace(struct harden_text *text, unsigned number, struct str line, struct str why);
/** Before line `number`; beyond the last: at the end. */
void harden_text_insert(struct harden_text *text, unsigned number, struct str line, struct str why);
void harden_text_remove(struct harden_text *text, unsigned number, struct str why);

/** The file as it is to be, and as it was. */
void harden_text_after(const struct harden_text *text, struct buf *out);
void harden_text_before(const struct harden_text *text, struct buf *out);
/** Append the reasons of these lines, each once, with semicolons between. */
void harden_text_reasons(const struct harden_line *lines, size_t n, struct buf *out);
/** A unified diff as patch(1) takes it; each hunk's heading says why. Nothing where nothing changes. */
void harden_text_diff(const struct harden_text *text, struct buf *out);

#endif
