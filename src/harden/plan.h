/**
 * What must change so that the findings of an audit are gone: edits of settings and rules, line by line.
 *
 * Nothing is written. The edited texts are audited again until no edit is left to make; what then is still found stays,
 * with the reason why.
 */
#ifndef PGSEAL_HARDEN_PLAN_H
#define PGSEAL_HARDEN_PLAN_H

#include "audit/audit.h"
#include "audit/collect_rules.h"
#include "harden/text.h"

enum harden_way {
    HARDEN_IN_PLACE,    /* where a setting is written, else in the main file */
    HARDEN_CONF_D,      /* in a file of its own in the included directory */
    HARDEN_ALTER_SYSTEM /* in postgresql.auto.conf */
};

enum { HARDEN_TEXTS_MAX = 64, HARDEN_CHECKS_MAX = 64, HARDEN_NOTES_MAX = 64 };

struct harden_checks {
    enum check items[HARDEN_CHECKS_MAX];
    size_t n;
};

struct harden_wish {
    const char *target; /* an absolute path; borrowed as long as the plan */
    int64_t now_unix_s;
    enum harden_way way;
    struct harden_checks only, keep; /* `only` empty: all that are low or worse */
    /* The certificate and key that take the place of one that no client can verify; NULL: there are none. The files
     * need not be there yet. */
    const char *cert_file, *key_file;
    const char *own_dir;              /* where pairs of harden's own lie; NULL: nowhere */
    bool names_given;                 /* a pair of harden's own that lacks them makes room for cert_file */
    const struct subject_role *roles; /* NULL: not seen */
    size_t n_roles;
    struct str operator_role; /* whose login must go on, by the account of the same name; empty: nobody's */
    struct arena *arena;      /* owns the plan */
};

/** A finding that stays. */
struct harden_left {
    const struct finding *finding;
    struct str why;
};

struct harden_plan {
    struct collected before, after; /* what was found, and what is proposed */
    struct audit_report was, is;
    struct harden_text *texts[HARDEN_TEXTS_MAX]; /* that were opened; see text->changed */
    size_t n_texts;
    struct harden_left *left; /* what was asked for and stays */
    size_t n_left;
    struct str notes[HARDEN_NOTES_MAX]; /* who loses what by an edit, in a sentence each */
    size_t n_notes;
    bool needs_pair; /* the settings name wish->cert_file */
    struct str
        managed_by; /* a program that writes the same files again, such as Ansible; empty: none is known */
    const char *auto_file;   /* postgresql.auto.conf; NULL: none */
    const char *conf_d_file; /* of HARDEN_CONF_D; NULL: no directory is included */
};

/**
 * Make the plan.
 *
 * out  set on OK; harden_plan_fini() when it has been told.
 *
 * E_UNSUPPORTED: the files are Patroni's or an operator's, and the hint says what to do there; or the target is
 * neither a gate nor a server. E_CONFIG: a server refuses the files as they are. E_NO_FILE, E_ACCESS and kin; E_NOMEM.
 */
MUST_CHECK enum code harden_plan_make(const struct harden_wish *wish, struct harden_plan *out, struct err *e);
void harden_plan_fini(struct harden_plan *plan);
/** Does any text change? */
bool harden_plan_changes(const struct harden_plan *plan);

#endif
