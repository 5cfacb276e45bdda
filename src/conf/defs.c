
#include "conf/defs.h"

#include "base/check.h"
#include "base/closest.h"
#include "conf/settings_impl.h"

/* Enumerations are written through int, see value_parse(). */
#define CHECK_SIZE(set) _Static_assert(sizeof(enum set) == sizeof(int), #set " is not an int wide");
SETTING_VALUE_SETS(CHECK_SIZE)

#define WORD(enumerator, word, shown) { word, enumerator, shown },
#define WORDS(set) static const struct setting_word words_##set[] = { VALUES_##set(WORD) };
SETTING_VALUE_SETS(WORDS)

#define WORD_CASE(enumerator, word, shown)                                                                   \
    case enumerator:                                                                                         \
        return word;
#define NAME_FUNCTION(set)                                                                                   \
    const char *set##_name(enum set value)                                                                   \
    {                                                                                                        \
        switch (value) {                                                                                     \
            VALUES_##set(WORD_CASE)                                                                          \
        }                                                                                                    \
        UNREACHABLE();                                                                                       \
    }
SETTING_VALUE_SETS(NAME_FUNCTION)

#define WORDS_OF_BOOL(values)                                                                                \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define WORDS_OF_INT(values)                                                                                 \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define WORDS_OF_SHARE(values)                                                                               \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define WORDS_OF_STRING(values)                                                                              \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define WORDS_OF_FILE(values)                                                                                \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define WORDS_OF_NAMES(values)                                                                               \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define WORDS_OF_DIRS(values)                                                                                \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define WORDS_OF_NETS(values)                                                                                \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define WORDS_OF_ENUM(values)                                                                                \
    {                                                                                                        \
        words_##values, COUNT_OF(words_##values)                                                             \
    }
#define WORDS_OF_FLAGS(values)                                                                               \
    {                                                                                                        \
        words_##values, COUNT_OF(words_##values)                                                             \
    }
#define WORDS_OF_LOGINS(values)                                                                              \
    {                                                                                                        \
        words_##values, COUNT_OF(words_##values)                                                             \
    }

const struct setting_def setting_defs[] = {
#define X(member, name, type, values, unit, min, max, boot, context, category, flags, short_desc, extra)     \
    { name,                                                                                                  \
      SETTING_##type,                                                                                        \
      offsetof(struct settings, member),                                                                     \
      WORDS_OF_##type(values),                                                                               \
      UNIT_##unit,                                                                                           \
      min,                                                                                                   \
      max,                                                                                                   \
      boot,                                                                                                  \
      SETTING_##context,                                                                                     \
      category,                                                                                              \
      flags,                                                                                                 \
      short_desc,                                                                                            \
      extra },
#include "settings.def"
#undef X
};
const size_t setting_n_defs = COUNT_OF(setting_defs);

const struct setting_def *setting_def_find(struct str name)
{
    static const struct {
        const char *old;
        const char *name;
    } aliases[] = {
#define ALIAS(old, name) { old, name },
        SETTING_ALIASES(ALIAS)
    };

    for (size_t i = 0; i < COUNT_OF(aliases); i++)
        if (str_equal_nocase(name, str_c(aliases[i].old)))
            name = str_c(aliases[i].name);
    for (size_t i = 0; i < setting_n_defs; i++)
        if (str_equal_nocase(name, str_c(setting_defs[i].name)))
            return &setting_defs[i];
    return NULL;
}

void setting_families(struct setting_family out[SETTING_N_FAMILIES])
{
    static const struct {
        const char *name;
        size_t offset;
        enum setting_of of;
        const char *short_desc;
    } families[] = {
#define FAMILY(of, member, name, type, values, short_desc)                                                   \
    { name, offsetof(struct settings_##of, member), SETTING_OF_##of, short_desc },
        SETTING_FAMILIES(FAMILY)
    };

    _Static_assert(COUNT_OF(families) == SETTING_N_FAMILIES, "every family has a row");
    for (size_t i = 0; i < SETTING_N_FAMILIES; i++)
        out[i] = (struct setting_family){ setting_def_find(str_c(families[i].name)), families[i].offset,
                                          families[i].of, families[i].short_desc };
}

struct str settings_nearest(struct str name)
{
    struct closest near = closest_begin(name);

    for (size_t i = 0; i < setting_n_defs; i++)
        closest_offer(&near, str_c(setting_defs[i].name));
    return near.best.p ? near.best : str_of("", 0);
}

const char *setting_source_name(enum setting_source source)
{
    switch (source) {
    case SETTING_FROM_DEFAULT:
        return "default";
    case SETTING_FROM_FILE:
        return "configuration file";
    case SETTING_FROM_COMMAND_LINE:
        return "command line";
    case SETTING_FROM_OVERRIDE:
        return "override";
    }
    UNREACHABLE();
}

const char *setting_context_name(enum setting_context context)
{
    switch (context) {
    case SETTING_INTERNAL:
        return "internal";
    case SETTING_POSTMASTER:
        return "postmaster";
    case SETTING_SIGHUP:
        return "sighup";
    }
    UNREACHABLE();
}
