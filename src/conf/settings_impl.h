/**
 * What the files of conf/ share: rows of tables/settings.def, parsing of one value, and its rendering.
 */
#ifndef PGSEAL_CONF_SETTINGS_IMPL_H
#define PGSEAL_CONF_SETTINGS_IMPL_H

#include "base/arena.h"
#include "conf/settings.h"
#include "lex/conf_lex.h"

#include <stdatomic.h>

enum {
    SETTINGS_ARENA_MAX = 64 << 20,
    SETTINGS_ARENA_FIRST = 16 << 10,
    SETTING_NAME_MAX = 63, /* bytes of an identifier [src: PostgreSQL 18, NAMEDATALEN] */
};

enum setting_type {
    SETTING_BOOL,
    SETTING_INT,
    SETTING_SHARE,
    SETTING_STRING,
    SETTING_FILE,
    SETTING_ENUM,
    SETTING_NAMES,
    SETTING_DIRS,
    SETTING_FLAGS,
    SETTING_LOGINS,
    SETTING_NETS,
};

enum setting_unit { UNIT_NONE, UNIT_S };

struct setting_word {
    const char *word;
    int value;
    int shown; /* differs from `value` for a synonym */
};

struct setting_words {
    const struct setting_word *at;
    size_t n;
};

struct setting_def {
    const char *name;
    enum setting_type type;
    size_t offset; /* in struct settings; a family has one of its own */
    struct setting_words words;
    enum setting_unit unit;
    int min;
    int max;
    const char *boot;
    enum setting_context context;
    const char *category;
    unsigned flags;
    const char *short_desc;
    const char *extra_desc;
};

extern const struct setting_def setting_defs[];
extern const size_t setting_n_defs;
/* What the NAME of KEY.NAME is: a database, or a user. */
enum setting_of { SETTING_OF_route, SETTING_OF_user };

/* Families hold a position in setting_defs for everything but the offset. */
struct setting_family {
    const struct setting_def *def;
    size_t offset; /* in struct settings_route, or settings_user */
    enum setting_of of;
    const char *short_desc;
};
enum { SETTING_N_FAMILIES = 5 };

/** Where one setting's value came from. */
struct setting_state {
    struct str raw;
    struct str sourcefile;
    unsigned sourceline;
    enum setting_source source;
    bool pending_restart;
};

struct settings_core {
    struct settings settings;
    _Atomic unsigned refs;
    struct arena arena;
    struct setting_state *states;       /* one per row of setting_defs */
    struct setting_state *route_states; /* SETTING_N_FAMILIES per route; SETTING_FROM_DEFAULT: inherited */
    struct setting_state *user_states;  /* and per user */
};

struct value_params {
    struct arena *arena;
    struct str dir;         /* relative paths start there */
    const char *shown_name; /* in messages */
};

/** Comma lists in the three ways PostgreSQL reads them. False: the syntax is wrong. */
enum list_style {
    LIST_GUC,        /* names as they are [src: varlena.c, SplitGUCList] */
    LIST_IDENTIFIER, /* folded to lower case unless quoted [src: SplitIdentifierString] */
    LIST_DIRECTORY,  /* blanks inside are kept [src: SplitDirectoriesString] */
};

/** A member and the text it was made of. */
struct value_view {
    const void *member;
    struct str raw;
};

#endif
