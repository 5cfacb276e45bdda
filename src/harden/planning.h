/**
 * A plan under way: what the parts of the planner share.
 */
#ifndef PGSEAL_HARDEN_PLANNING_H
#define PGSEAL_HARDEN_PLANNING_H

#include "harden/plan.h"

struct reach_search;

enum edit_kind { EDIT_REPLACE, EDIT_INSERT, EDIT_REMOVE };

struct edit {
    enum edit_kind kind;
    struct harden_text *text;
    unsigned line;
    struct str content, why;
    struct str note;             /* what it costs somebody; empty: nothing */
    size_t order;                /* of those at one line */
    const struct finding *owner; /* set by planning_edit() */
};

struct planning {
    const struct harden_wish *wish;
    struct harden_plan *plan;
    const struct audit_subject *subject; /* as the texts are now */
    struct reach_search *search;         /* of its policy; NULL: there is none */
    struct edit *edits;                  /* of this round */
    size_t n_edits, edits_size;
    const struct finding *finding; /* that is being cleared */
    bool nomem;
};

/** What becomes of one finding: an edit, or a reason why not. `why` empty: it is settled, or needs no word. */
struct fix {
    bool edited;
    struct str why;
};

#define FIX_LEFT(text) ((struct fix){ false, STR(text) })

/** The text of a file, read when it is first asked for. NULL: it cannot be read, or memory ran out. */
struct harden_text *planning_text(struct planning *p, struct str path);
/** Note an edit for the end of the round. Of several findings about one line the first gets its way; the others have
 * theirs in the next round. */
void planning_edit(struct planning *p, struct edit edit);
/** Shall findings of this check and severity go? */
bool planning_wants(const struct planning *p, enum check check, enum finding_severity severity);
/** Make all edits, from the last line to the first, so that numbers of lines stay true meanwhile. */
void planning_finish(struct planning *p);
struct str planning_print(struct planning *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
