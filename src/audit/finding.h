/**
 * The findings of one audit, in the order found.
 */
#ifndef PGSEAL_AUDIT_FINDING_H
#define PGSEAL_AUDIT_FINDING_H

#include "audit/profile.h"
#include "audit/subject.h"
#include "base/arena.h"

/** A change of one line. */
struct finding_edit {
    struct str file; /* empty: there is no edit */
    unsigned line;   /* 0: `after` is to be appended */
    struct str before, after;
};

struct finding {
    enum check check;
    enum finding_severity severity;
    struct str where;   /* FILE:LINE, a file, or a setting */
    struct str what;    /* the evidence, one sentence */
    struct str witness; /* facts as `pgseal explain` takes them; empty: none */
    struct str fix;     /* what to do */
    struct str about;   /* what it is about, without numbers of lines and days: tells it again tomorrow */
    struct finding_edit edit;
};

struct findings {
    const struct finding *items;
    size_t n;
};

/** A certificate that was looked at, for reports to show. */
struct audit_certificate {
    struct str file, subject;
    int64_t not_before_unix_s, not_after_unix_s;
    bool leaf;                        /* the server's own */
    bool held;                        /* its key is used here: the server's, or a client's */
    uint8_t certificate[32], key[32]; /* SHA-256 of each */
};

/** A file whose lines are being edited. */
struct audit_lines {
    struct str file, text;
    unsigned line; /* which line begins at `at` */
    size_t at;
};

/** One audit under way. */
struct audit {
    const struct audit_subject *subject;
    enum audit_profile profile;
    struct arena *arena;
    struct finding *items; /* in the order found */
    size_t n, size;
    struct audit_certificate *certificates;
    size_t n_certificates, certificates_size;
    struct audit_lines lines;
    bool nomem;
};

/**
 * Add a finding; the words of `what` as printf. Good until the next one; NULL: memory ran out, which sticks.
 */
struct finding *audit_add(struct audit *a, enum check check, struct str where, const char *what, ...)
    PRINTF_LIKE(4, 5);
/** The same about a setting: `where` is its line, or its name where it is written nowhere. */
struct finding *audit_add_setting(struct audit *a, enum check check, const char *setting, const char *what,
                                  ...) PRINTF_LIKE(4, 5);
/** Keep a certificate for reports. */
void audit_show_certificate(struct audit *a, struct audit_certificate certificate);
/** FILE:LINE in the arena; FILE alone for line 0. */
struct str audit_place(struct audit *a, struct str file, unsigned line);
/**
 * A file that a connection names, absolute. NULL: there is none, it lies on another machine, it was not to be seen,
 * or it is not known from where it counts.
 */
const char *audit_connection_file(struct audit *a, const struct subject_connection *c, struct str path);
/** As arena_printf(), but what does not fit is remembered. */
struct str audit_text(struct audit *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
