#include "audit/profile.h"

#include "base/check.h"

enum {
    MAJOR_NEWEST = 18,
    SEVERITY_SAME = -1,
    SEVERITY_HIGH = FINDING_HIGH,
    SEVERITY_MEDIUM = FINDING_MEDIUM,
    SEVERITY_LOW = FINDING_LOW,
    SEVERITY_INFO = FINDING_INFO
};

static const char *const source_words[] = {
#define SOURCE(name, word, text) [SOURCE_##name] = word,
#include "audit_sources.def"
};

static const char *const source_titles[] = {
#define SOURCE(name, word, text) [SOURCE_##name] = text,
#include "audit_sources.def"
};

static const struct {
    enum audit_source source;
    unsigned from, to;
    const char *edition;
} editions[] = {
#define EDITION(source, from, to, edition) { SOURCE_##source, from, to, edition },
#include "audit_sources.def"
};

static const struct {
    const char *word;
    enum audit_source source;
    unsigned major;
} profiles[PROFILE_COUNT] = {
    [PROFILE_DEFAULT] = { "default", SOURCE_COUNT, 0 },
#define PROFILE(name, word, source, major) [PROFILE_##name] = { word, SOURCE_##source, major },
#include "audit_sources.def"
};

static const struct {
    enum check check;
    enum audit_source source;
    unsigned from, to;
    const char *number;
    int severity;
} rows[] = {
#define X(check, source, from, to, number, severity)                                                         \
    { CHECK_##check, SOURCE_##source, from, to, number, SEVERITY_##severity },
#include "check_sources.def"
#undef X
};

static const struct {
    enum check check;
    enum audit_source source;
    const char *text;
} notes[] = {
#define X(check, source, text) { CHECK_##check, SOURCE_##source, text },
#include "check_notes.def"
#undef X
};

bool profile_find(struct str word, enum audit_profile *out)
{
    for (size_t i = 0; i < COUNT_OF(profiles); i++)
        if (str_is(word, profiles[i].word)) {
            *out = (enum audit_profile)i;
            return true;
        }
    return false;
}

const char *profile_name(enum audit_profile profile)
{
    return profiles[profile].word;
}

/* The version whose numbers count. */
static unsigned major_of(enum audit_profile profile, unsigned major)
{
    unsigned wanted = profiles[profile].major ? profiles[profile].major : major;

    return wanted == 0 || wanted > MAJOR_NEWEST ? MAJOR_NEWEST : wanted;
}

static bool in_range(unsigned from, unsigned to, unsigned major)
{
    return (from == 0 && to == 0) || (major >= from && major <= to);
}

enum finding_severity profile_severity(enum audit_profile profile, enum check check, unsigned major)
{
    unsigned version = major_of(profile, major);

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].check == check && rows[i].source == profiles[profile].source &&
            in_range(rows[i].from, rows[i].to, version) && rows[i].severity != SEVERITY_SAME)
            return (enum finding_severity)rows[i].severity;
    return check_severity(check);
}

static const char *edition_of(enum audit_source source, unsigned major)
{
    for (size_t i = 0; i < COUNT_OF(editions); i++)
        if (editions[i].source == source && in_range(editions[i].from, editions[i].to, major))
            return editions[i].edition;
    return "";
}

static const char *note_of(enum check check, enum audit_source source)
{
    for (size_t i = 0; i < COUNT_OF(notes); i++)
        if (notes[i].check == check && notes[i].source == source)
            return notes[i].text;
    return NULL;
}

size_t check_sources(enum check check, enum audit_profile profile, unsigned major,
                     struct check_source out[CHECK_SOURCES_MAX])
{
    unsigned version = major_of(profile, major);
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(rows) && n < CHECK_SOURCES_MAX; i++)
        if (rows[i].check == check && in_range(rows[i].from, rows[i].to, version))
            out[n++] = (struct check_source){ source_words[rows[i].source], source_titles[rows[i].source],
                                              edition_of(rows[i].source, version), rows[i].number,
                                              note_of(check, rows[i].source) };
    return n;
}
