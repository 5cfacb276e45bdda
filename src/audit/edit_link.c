#include "audit/edit_link.h"

#include "audit/edit.h"
#include "audit/link.h"
#include "base/check.h"

#define VERIFIED "verify-full"

/* Where a word is in a line, any case; `n` is the line's length where it does not, or does twice. */
static size_t find_once(struct str line, const char *word)
{
    size_t at = line.n, n = strlen(word);

    for (size_t i = 0; i + n <= line.n; i++) {
        if (!str_equal_nocase(str_of(line.p + i, n), str_c(word)))
            continue;
        if (at < line.n)
            return line.n;
        at = i;
    }
    return at;
}

static bool is_value_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* sslmode=require, sslmode: require, 'sslmode' => 'require', SSL Mode=Require: the word after it. */
static bool find_value(struct str line, struct str *out)
{
    static const char *const names[] = { "sslmode", "ssl mode" };

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t at = find_once(line, names[i]);
        if (at == line.n)
            continue;
        struct str rest = str_from(line, at + strlen(names[i]));
        while (rest.n > 0 && strchr(" \t\"':=>", rest.p[0]))
            rest = str_from(rest, 1);
        size_t n = 0;
        while (n < rest.n && is_value_char(rest.p[n]))
            n++;
        *out = str_first(rest, n);
        return n > 0;
    }
    return false;
}

static bool has_word(struct str line)
{
    return find_once(line, "sslmode") < line.n || find_once(line, "ssl mode") < line.n ||
           memmem(line.p, line.n, "sslmode", 7);
}

/* Drivers that know verify-full, and do what it says. */
static bool takes_sslmode(enum pasted_driver driver)
{
    enum pasted_reading reading = pasted_reader(driver)->reading;

    return reading == PASTED_READING_WRITTEN || reading == PASTED_READING_TIGHT ||
           reading == PASTED_READING_CA || reading == PASTED_READING_STRICT || reading == PASTED_READING_FULL;
}

static bool is_of(const struct subject_connection *c, enum pasted_driver family)
{
    return pasted_family(c->link->driver) == family;
}

/* The end of the one URL of a line; SIZE_MAX: there is none, or several. */
static size_t url_end(struct str line)
{
    size_t at = find_once(line, "://"), end;

    if (at == line.n)
        return SIZE_MAX;
    for (end = at; end < line.n && !char_is_blank(line.p[end]) && !strchr("\"'`<>,;)]}", line.p[end]); end++)
        ;
    return end;
}

/* An edit shows the line that it changes: none of a line that holds a password, or may hold another secret. */
static bool may_show(const struct subject_connection *c, struct str line)
{
    static const char *const words[] = { "passw", "pwd", "secret", "token" };
    bool alone = c->mode_line > 0 && !memchr(line.p, '{', line.n);

    for (size_t w = 0; w < COUNT_OF(words); w++)
        for (size_t i = 0, n = strlen(words[w]); i + n <= line.n; i++)
            if (str_equal_nocase(str_of(line.p + i, n), str_c(words[w])))
                return false;
    return alone || !c->link->has_password || c->purpose == PURPOSE_SERVICE ||
           (c->purpose == PURPOSE_CLUSTER && !memchr(line.p, '{', line.n));
}

static void put(struct finding *f, const struct subject_connection *c, struct str before, struct str after)
{
    f->edit = (struct finding_edit){
        .file = c->file, .line = c->mode_line ? c->mode_line : c->line, .before = before, .after = after
    };
}

static void replace(struct audit *a, struct finding *f, const struct subject_connection *c, struct str line,
                    struct str value)
{
    size_t at = (size_t)(value.p - line.p);
    const char *word = is_of(c, PASTED_NPGSQL) ? "VerifyFull" : VERIFIED;

    put(f, c, line,
        audit_text(a, "%.*s%s%.*s", (int)at, line.p, word, STR_ARG(str_from(line, at + value.n))));
}

/* A setting of its own: under the section of a service, or beside the role of Patroni. */
static void add_line(struct audit *a, struct finding *f, const struct subject_connection *c, struct str line)
{
    struct str trimmed = str_trim(line);
    size_t indent = (size_t)(trimmed.p - line.p);

    if (c->purpose == PURPOSE_SERVICE && str_starts(trimmed, STR("[")))
        put(f, c, line, audit_text(a, "%.*s\nsslmode=" VERIFIED, STR_ARG(line)));
    else if (c->purpose == PURPOSE_CLUSTER && !memchr(trimmed.p, '{', trimmed.n) &&
             !memchr(trimmed.p, '-', 1))
        put(f, c, line, audit_text(a, "%.*s\n%.*ssslmode: " VERIFIED, STR_ARG(line), (int)indent, line.p));
    else if (c->purpose == PURPOSE_POOLER && str_equal_nocase(trimmed, STR("[pgbouncer]")))
        put(f, c, line, audit_text(a, "%.*s\nserver_tls_sslmode = " VERIFIED, STR_ARG(line)));
    else if (str_is(c->name, "PG* variables"))
        f->edit = (struct finding_edit){ .file = c->file,
                                         .after = str_starts(trimmed, STR("export "))
                                                      ? STR("export PGSSLMODE=" VERIFIED)
                                                      : STR("PGSSLMODE=" VERIFIED) };
}

/* primary_conninfo = '...': in front of the last quote. */
static void add_to_conninfo(struct audit *a, struct finding *f, const struct subject_connection *c,
                            struct str line)
{
    struct str trimmed = str_trim(line);

    if (str_ends(trimmed, STR("'")) && !memchr(line.p, '#', line.n))
        put(f, c, line,
            audit_text(a, "%.*s sslmode=" VERIFIED "'",
                       STR_ARG(str_first(line, (size_t)(trimmed.p - line.p) + trimmed.n - 1))));
}

static void add(struct audit *a, struct finding *f, const struct subject_connection *c, struct str line)
{
    size_t end = url_end(line);

    if (c->purpose != PURPOSE_APPLICATION && c->purpose != PURPOSE_STANDBY) {
        add_line(a, f, c, line);
        return;
    }
    if (end == SIZE_MAX && c->purpose == PURPOSE_STANDBY)
        add_to_conninfo(a, f, c, line);
    else if (end == SIZE_MAX)
        add_line(a, f, c, line);
    else if (!is_of(c, PASTED_NPGSQL))
        put(f, c, line,
            audit_text(a, "%.*s%s%s=" VERIFIED "%.*s", (int)end, line.p, memchr(line.p, '?', end) ? "&" : "?",
                       is_of(c, PASTED_R2DBC) ? "sslMode" : "sslmode", STR_ARG(str_from(line, end))));
}

void edit_sslmode(struct audit *a, struct finding *f, const struct subject_connection *c)
{
    struct str line, value;

    if (!f || c->file.n == 0 || c->fix.n > 0 || c->line == 0 || !takes_sslmode(c->link->driver) ||
        a->subject->live || !edit_line(a, c->file, c->mode_line ? c->mode_line : c->line, &line))
        return;
    if (!may_show(c, line) && !str_is(c->name, "PG* variables"))
        return;
    if (find_value(line, &value))
        replace(a, f, c, line, value);
    else if (!has_word(line))
        add(a, f, c, line);
}
