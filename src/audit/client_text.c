#include "audit/client_text.h"

#include "audit/client_items.h"
#include "base/check.h"
#include "client/pasted.h"

static const struct {
    const char *environment;
} options[CONN_OPTION_COUNT] = {
#define X(name, keyword, environment, value, secrecy) [CONN_##name] = { environment },
#include "conninfo.def"
#undef X
};

/* ---- what a connection string looks like ---- */

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '+';
}

/* A URL of a PostgreSQL driver begins here, after no other word. */
static bool begins_url(struct str s)
{
    static const struct str starts[] = { { "jdbc:postgresql:", 16 },
                                         { "r2dbc:postgresql:", 17 },
                                         { "r2dbc:pool:postgresql:", 22 } };
    enum pasted_driver ignored;
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(starts); i++)
        if (str_starts_nocase(s, starts[i]))
            return true;
    while (n < s.n && is_word_char(s.p[n]))
        n++;
    struct str base = str_first(str_first(s, n), str_find(str_first(s, n), '+'));
    return n > 0 && str_starts(str_from(s, n), STR("://")) && pasted_scheme(base, &ignored);
}

/* Npgsql's and ODBC's: the first words of a text in quotes, or of a value. */
static bool begins_list(struct str s)
{
    static const struct str starts[] = {
        { "host=", 5 }, { "server=", 7 }, { "data source=", 12 }, { "driver={postgresql", 18 }
    };

    for (size_t i = 0; i < COUNT_OF(starts); i++)
        if (str_starts_nocase(s, starts[i]) && str_find(s, ';') < s.n)
            return true;
    return false;
}

static bool is_placeholder(struct str s)
{
    return memmem(s.p, s.n, "${", 2) || memmem(s.p, s.n, "{{", 2) || memmem(s.p, s.n, "<%", 2);
}

static bool add_string(struct client_items *items, struct str name, struct str text, unsigned line,
                       enum pasted_driver driver)
{
    struct client_item *item = client_items_add(items, PURPOSE_APPLICATION, name, line);

    if (!item)
        return false;
    item->text = text;
    item->driver = driver;
    return true;
}

/* ---- files of environment variables ---- */

static struct str unquoted(struct str s)
{
    if (s.n > 0 && (s.p[0] == '"' || s.p[0] == '\''))
        return str_first(str_from(s, 1), str_find(str_from(s, 1), s.p[0]));
    for (size_t i = 1; i < s.n; i++) /* a comment after a value */
        if (s.p[i] == '#' && char_is_blank(s.p[i - 1]))
            return str_trim(str_first(s, i));
    return s;
}

static bool pg_option(struct str name, enum conn_option *out)
{
    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++)
        if (options[i].environment[0] && str_is(name, options[i].environment)) {
            *out = i;
            return true;
        }
    return false;
}

static bool next_variable(struct str *rest, unsigned *line, struct str *name, struct str *value)
{
    struct str text;

    while (str_split(rest, '\n', &text)) {
        (*line)++;
        text = str_trim(text);
        if (str_starts(text, STR("export ")))
            text = str_trim(str_from(text, 7));
        size_t equals = str_find(text, '=');
        if (equals == text.n || text.n == 0 || text.p[0] == '#')
            continue;
        *name = str_trim(str_first(text, equals));
        *value = unquoted(str_trim(str_from(text, equals + 1)));
        return true;
    }
    return false;
}

/* libpq takes the variables where a string says nothing; whose string it is was settled before. */
static void fill_from_variables(struct client_items *items, size_t variables)
{
    const struct conn_options *from = &items->items[variables].options;

    for (size_t i = 0; i < items->n; i++)
        if (i != variables && items->items[i].text.p && pasted_family(items->items[i].driver) == PASTED_LIBPQ)
            items->items[i].options = *from;
}

enum code client_text_environment(struct str text, enum pasted_driver driver, struct client_items *items)
{
    struct str rest = text, name, value;
    size_t variables = SIZE_MAX;
    unsigned line = 0;

    while (next_variable(&rest, &line, &name, &value)) {
        enum conn_option option;
        if (pg_option(name, &option)) {
            if (variables == SIZE_MAX) {
                if (!client_items_add(items, PURPOSE_APPLICATION, STR("PG* variables"), line))
                    return E_NOMEM;
                variables = items->n - 1;
            }
            items->items[variables].options.v[option] = value;
            if (option == CONN_SSLMODE || option == CONN_HOST)
                items->items[variables].line = line;
            if (option == CONN_SSLMODE)
                items->items[variables].mode_line = line;
        } else if (begins_url(value) || begins_list(value)) {
            if (!add_string(items, name, value, line, driver))
                return E_NOMEM;
        } else if (str_is(name, "NODE_TLS_REJECT_UNAUTHORIZED") && str_is(value, "0")) {
            struct client_item *item = client_items_add(items, PURPOSE_APPLICATION, name, line);
            if (!item)
                return E_NOMEM;
            *item = (struct client_item){ .purpose = PURPOSE_APPLICATION,
                                          .name = name,
                                          .line = line,
                                          .driver = PASTED_NODE,
                                          .no_verify = true };
            item->options.v[CONN_SSLMODE] = STR("verify-full");
        }
    }
    if (variables != SIZE_MAX)
        fill_from_variables(items, variables);
    return OK;
}

/* ---- any text ---- */

static enum pasted_driver driver_of_file(struct str name, enum pasted_driver otherwise)
{
    static const struct {
        const char *end;
        enum pasted_driver driver;
    } ends[] = {
        { ".js", PASTED_NODE },    { ".mjs", PASTED_NODE },      { ".cjs", PASTED_NODE },
        { ".ts", PASTED_NODE },    { ".prisma", PASTED_PRISMA }, { ".exs", PASTED_POSTGREX },
        { ".cr", PASTED_CRYSTAL }, { ".dart", PASTED_DART },     { ".swift", PASTED_POSTGRES_NIO },
    };

    for (size_t i = 0; otherwise == PASTED_LIBPQ && i < COUNT_OF(ends); i++)
        if (str_ends(name, str_c(ends[i].end)))
            return ends[i].driver;
    return otherwise;
}

/* Up to what cannot be in a URL; signs of the text around it are not its own. */
static struct str whole_url(struct str s)
{
    size_t n = 0;

    while (n < s.n && !char_is_blank(s.p[n]) && !strchr("\"'`<>\\|^", s.p[n]))
        n++;
    while (n > 0 && strchr(",;)]}.", s.p[n - 1]))
        n--;
    return str_first(s, n);
}

static bool is_told(struct str line, const char *word, const char *value)
{
    const char *at = line.n > 0 ? memmem(line.p, line.n, word, strlen(word)) : NULL;

    if (!at)
        return false;
    struct str rest = str_trim(str_from(line, (size_t)(at - line.p) + strlen(word)));
    while (rest.n > 0 && strchr("\"' :=>", rest.p[0]))
        rest = str_from(rest, 1);
    return str_starts(rest, str_c(value));
}

/* sslmode: require, 'sslmode' => 'require': of Rails, Django and others that hand it to libpq. */
static bool scan_sslmode(struct str line, unsigned number, struct client_items *items)
{
    for (enum sslmode mode = SSLMODE_VERIFY_FULL; mode <= SSLMODE_VERIFY_FULL; mode--) {
        if (is_told(line, "sslmode", sslmode_name(mode))) {
            struct client_item *item = client_items_add(items, PURPOSE_APPLICATION, STR("sslmode"), number);
            if (!item)
                return false;
            item->options.v[CONN_SSLMODE] = str_c(sslmode_name(mode));
            return true;
        }
        if (mode == SSLMODE_DISABLE)
            break;
    }
    return true;
}

static bool scan_node(struct str line, unsigned number, struct client_items *items)
{
    if (!is_told(line, "rejectUnauthorized", "false"))
        return true;
    struct client_item *item = client_items_add(items, PURPOSE_APPLICATION, STR("rejectUnauthorized"),
                                                number);
    if (!item)
        return false;
    item->driver = PASTED_NODE;
    item->no_verify = true;
    item->options.v[CONN_SSLMODE] = STR("verify-full");
    return true;
}

static bool is_comment(struct str line)
{
    return str_starts(line, STR("#")) || str_starts(line, STR("//")) || str_starts(line, STR("--"));
}

static bool scan_line(struct str line, unsigned number, enum pasted_driver driver, struct client_items *items)
{
    bool found = false;

    for (size_t i = 0; i < line.n; i++) {
        bool behind_word = i > 0 && is_word_char(line.p[i - 1]);
        struct str here = str_from(line, i), text = { 0 };
        if (behind_word)
            continue;
        if (begins_url(here))
            text = whole_url(here);
        else if (i > 0 && strchr("\"'", line.p[i - 1]) &&
                 begins_list(str_first(here, str_find(here, line.p[i - 1]))))
            text = str_first(here, str_find(here, line.p[i - 1]));
        if (!text.p)
            continue;
        if (!add_string(items, STR(""), text, number, driver))
            return false;
        if (is_placeholder(text)) {
            items->items[items->n - 1].error = STR("parts of it are filled in later");
            items->items[items->n - 1].elsewhere = true;
        }
        found = true;
        i += text.n;
    }
    return found || (scan_sslmode(line, number, items) && scan_node(line, number, items));
}

enum code client_text_scan(struct str name, struct str text, enum pasted_driver driver,
                           struct client_items *items)
{
    struct str rest = text, line;

    driver = driver_of_file(name, driver);
    for (unsigned number = 1; str_split(&rest, '\n', &line); number++)
        if (!is_comment(str_trim(line)) && !scan_line(line, number, driver, items))
            return E_NOMEM;
    return OK;
}
