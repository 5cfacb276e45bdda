/**
 * rotate.conf: where each pair's next certificate comes from.
 *
 *   server.source = acme
 *   server.arguments = '-h /usr/share/uacme/uacme.sh'
 *
 * The syntax is postgresql.conf's. All errors are found in one pass, and one refuses the file.
 */
#ifndef PGSEAL_RENEW_CONF_H
#define PGSEAL_RENEW_CONF_H

#include "pki/key.h"
#include "pki/name.h"

struct arena;
struct conf_fs;

enum renew_source { RENEW_CA, RENEW_ACME, RENEW_COMMAND, RENEW_BUNDLE };
/** "ca", "acme", "command", "bundle". */
const char *renew_source_name(enum renew_source source);

enum renew_setting {
#define X(id, name, sources, boot, help) RENEW_SET_##id,
#include "rotate.def"
#undef X
    RENEW_SETTINGS
};

/** Pairs that a gate shows besides those of its listeners. */
enum { RENEW_OWN_CANARY, RENEW_OWN_PEER, RENEW_OWN_CHECK, RENEW_OWN_MAX };
/** "canary", "cancel_peer", "upstream_check"; NULL after the last. */
const char *renew_own_name(size_t i);

/** What the file says of one pair. Texts live in the arena, with a NUL after them. */
struct renew_rule {
    struct str name;
    struct str v[RENEW_SETTINGS]; /* as written; a NULL `p`: not set, the default is empty */
    enum renew_source source;
    bool has_kind;
    enum key_kind kind;
    unsigned days;           /* 0: as the old one */
    unsigned renew_at;       /* percent; 0: the rule of due.h */
    unsigned timeout_s;      /* 1 and more */
    unsigned keep_days;      /* of a bundle */
    bool client;             /* of no file: a pair in clients/ */
    const struct san *names; /* n_names 0: those of the old one */
    size_t n_names;
};

struct renew_conf {
    struct renew_rule *rules; /* in the order of their first lines */
    size_t n;
};

enum { RENEW_RULES_MAX = 256, RENEW_WORDS_MAX = 128 };

/**
 * Read the file and all it includes.
 *
 * fs     NULL: the disk.
 * diags  a row per error.
 * E_CONFIG, E_NOMEM, E_LIMIT. A file that is not there is E_NO_FILE without a row.
 */
MUST_CHECK enum code renew_conf_load(const struct conf_fs *fs, const char *path, struct arena *arena,
                                     struct renew_conf *out, struct diags *diags);
/** The rule of this name, or NULL. */
const struct renew_rule *renew_conf_find(const struct renew_conf *conf, struct str name);
/** The rule of a pair that no file speaks of. */
struct renew_rule renew_rule_default(struct str name, enum renew_source source);

/**
 * A command line as words: blanks separate, double quotes keep together (\" and \\ inside them). Placeholders
 * stay as they are. E_PARAM for a quote without end and for no word; E_LIMIT.
 */
MUST_CHECK enum code renew_words(struct str text, struct arena *arena, struct str *out, size_t *out_n,
                                 struct err *e);

#endif
