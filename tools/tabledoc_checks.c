/* The page of the audit's checks. */
#include "tabledoc_checks.h"

#include "base/buf.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *id, *subject, *severity, *title, *why, *fix;
    unsigned item;
} checks[] = {
#define X(name, id, subject, severity, item, title, why, fix)                                                \
    { id, #subject, #severity, title, why, fix, item },
#include "checks.def"
#undef X
};

static const char *const checklist[] = {
#define X(text) text,
#include "checklist.def"
#undef X
};

enum source {
#define SOURCE(name, word, text) SOURCE_##name,
#include "audit_sources.def"
};

static const char *const source_words[] = {
#define SOURCE(name, word, text) [SOURCE_##name] = word,
#include "audit_sources.def"
};

static const struct {
    const char *word, *source;
} profiles[] = {
#define PROFILE(name, word, source, major) { word, #source },
#include "audit_sources.def"
};

#define X(name, id, subject, severity, item, title, why, fix) static const char *const id_of_##name = id;
#include "checks.def"
#undef X

static const struct {
    const char *const *id;
    enum source source;
    unsigned from, to;
    const char *number, *severity;
} sources[] = {
#define X(check, source, from, to, number, severity)                                                         \
    { &id_of_##check, SOURCE_##source, from, to, number, #severity },
#include "check_sources.def"
#undef X
};

static const struct {
    const char *const *id;
    enum source source;
    const char *text;
} notes[] = {
#define X(check, source, text) { &id_of_##check, SOURCE_##source, text },
#include "check_notes.def"
#undef X
};

/* In the words of people. */
static const char *subject_text(const char *subject)
{
    return strcmp(subject, "ANY") == 0      ? ""
           : strcmp(subject, "GATE") == 0   ? "a gate only"
           : strcmp(subject, "CLIENT") == 0 ? "a client's side only"
                                            : "a server only";
}

static const struct {
    const char *word, *from, *before, *title, *unset, *ssl, *require, *reading, *binding, *direct, *again,
        *unless, *changes;
} drivers[] = {
#define X(name, driver, word, from, before, title, unset, ssl, require, reading, system, binding, direct,    \
          again, unless, changes)                                                                            \
    { word, from, before, title, unset, ssl, #require, #reading, binding, direct, #again, unless, changes },
#include "drivers.def"
#undef X
};

/* What `sslmode=require` makes sure of. */
static const char *require_text(const char *require, const char *reading)
{
    static const char *const texts[][2] = {
        { "FULL", "chain and name, as verify-full" },
        { "STRICT", "chain and name, as verify-full" },
        { "UNREAD", "nothing: sslmode is not read" },
        { "NEVER", "nothing; nor does any other value" },
        { "CARELESS", "nothing; nor does any other value, and no other insists on encryption" },
        { "NOTHING", "nothing" },
        { "ROOT", "the chain, where sslrootcert is given" },
        { "FILE", "the chain, where sslrootcert is given or ~/.postgresql/root.crt is there" },
        { "SYSTEM", "chain and name; the chain alone where a root certificate is given" },
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (strcmp(texts[i][0], reading) == 0 || strcmp(texts[i][0], require) == 0)
            return texts[i][1];
    abort();
}

/* When a changed file of roots is seen. */
static void again_text(struct buf *out, size_t i)
{
    static const char *const texts[][2] = {
        { "NEXT", "at the next connection" },
        { "RESTART", "never: restart the application" },
        { "UNKNOWN", "not known" },
    };

    for (size_t t = 0; t < COUNT_OF(texts); t++)
        if (strcmp(texts[t][0], drivers[i].again) == 0)
            buf_printf(out, " %s", texts[t][1]);
    if (*drivers[i].unless)
        buf_printf(out, "; %s", drivers[i].unless);
    buf_append_c(out, " |");
}

/* A version of the row. */
static void driver_word(struct buf *out, size_t i)
{
    buf_printf(out, "| `%s", drivers[i].word);
    if (*drivers[i].from)
        buf_printf(out, "@%s", drivers[i].from);
    buf_append_c(out, "`");
    if (*drivers[i].before)
        buf_printf(out, " before `@%s`", drivers[i].before);
}

static void drivers_table(struct buf *out)
{
    buf_append_c(
        out, "\n## How drivers read a connection string\n\n"
             "`pgseal audit`, `explain` and `probe` read a connection string as its driver does; `--driver` "
             "names the driver where the string does not show it, and its version: `--driver node@8.2`, "
             "`--driver pgjdbc@42.2.4`. Without one, it is the newest.\n\n"
             "| --driver | driver | without a TLS parameter | ssl=true | sslmode=require verifies | "
             "channel binding | direct TLS | a changed file of roots is seen | other versions |\n"
             "|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        driver_word(out, i);
        buf_printf(out, " | %s | %s | %s | %s | %s | %s |", drivers[i].title, drivers[i].unset,
                   drivers[i].ssl, require_text(drivers[i].require, drivers[i].reading), drivers[i].binding,
                   drivers[i].direct);
        again_text(out, i);
        buf_printf(out, " %s |\n", drivers[i].changes);
    }
}

static void lower(struct buf *out, const char *word)
{
    for (const char *c = word; *c; c++)
        buf_append_byte(out, (uint8_t)(*c | 0x20));
}

static void sources_part(struct buf *out)
{
    buf_append_c(out, "\n## Profiles\n\n`--profile` takes the severities of");
    for (size_t i = 0; i < COUNT_OF(profiles); i++)
        buf_printf(out, "%s `%s`", i ? "," : "", profiles[i].word);
    buf_append_c(
        out,
        ": it changes severities, and never what is found. Numbers depend on the server's major version; "
        "`cis-16` and the like use those of that version.\n\n"
        "| finding | source | PostgreSQL | number or chapter | severity in its profile |\n"
        "|---|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        buf_printf(out, "| `%s` | %s | ", *sources[i].id, source_words[sources[i].source]);
        if (sources[i].to > 0)
            buf_printf(out, "%u to %u", sources[i].from, sources[i].to);
        buf_printf(out, " | %s | ", sources[i].number);
        if (strcmp(sources[i].severity, "SAME") != 0)
            lower(out, sources[i].severity);
        buf_append_c(out, " |\n");
    }
    buf_append_c(out, "\n## Where following them does harm\n\n");
    for (size_t i = 0; i < COUNT_OF(notes); i++)
        buf_printf(out, "- `%s`, %s: %s\n", *notes[i].id, source_words[notes[i].source], notes[i].text);
}

void checks_page(struct buf *out)
{
    buf_append_c(out,
                 "<!-- Made by tools/tabledoc from tables/checks.def; edit that. -->\n"
                 "# What an audit looks for\n\n"
                 "`pgseal audit TARGET` shows what it finds in files, and `SELECT * FROM pgseal_findings` in "
                 "the status database what it finds in a gate's configuration in force.\n\n"
                 "## The checklist\n\n");
    for (size_t i = 0; i < COUNT_OF(checklist); i++)
        buf_printf(out, "%zu. %s\n", i + 1, checklist[i]);
    buf_append_c(out, "\n## The checks\n\n| id | severity | item | finding | why it matters | what to do |\n"
                      "|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        buf_printf(out, "| `%s` | ", checks[i].id);
        lower(out, checks[i].severity);
        buf_append_c(out, " | ");
        if (checks[i].item > 0)
            buf_printf(out, "%u", checks[i].item);
        const char *of = subject_text(checks[i].subject);
        buf_printf(out, " | %s%s%s%s | %s | %s |\n", checks[i].title, *of ? " (" : "", of, *of ? ")" : "",
                   checks[i].why, checks[i].fix);
    }
    drivers_table(out);
    sources_part(out);
}
