/*
 * postmaster.opts: the command line with which a server was last started.
 *
 *   /usr/lib/postgresql/15/bin/postgres "-D" "/var/lib/postgresql/15/main" "-c" "ssl=on"
 *
 * The server writes each argument between double quotes and escapes nothing, so an argument that holds `" "`
 * cannot be told from two. Letters take their value from the same argument or from the next one, as
 * getopt(3) does; in a long option and in -c a dash in the name is an underscore.
 */
#include "lex/postmaster_opts.h"

#include "base/arena.h"

enum { OPTS_MAX = 4096 };

struct reader {
    struct arena *arena;
    struct str rest;
    struct postmaster_opt *items;
    struct postmaster_opts opts;
};

/* The next argument; false at the end. A quote that is not closed sets *broken. */
static bool next_argument(struct reader *r, struct str *out, bool *broken)
{
    size_t begin = str_find(r->rest, '"');

    if (begin == r->rest.n)
        return false;
    r->rest = str_from(r->rest, begin + 1);
    for (size_t i = 0; i < r->rest.n; i++) {
        bool last = i + 1 == r->rest.n || r->rest.p[i + 1] == ' ' || r->rest.p[i + 1] == '\n';
        if (r->rest.p[i] != '"' || !last)
            continue;
        *out = str_first(r->rest, i);
        r->rest = str_from(r->rest, i + 1);
        return true;
    }
    *broken = true;
    return false;
}

static bool postmaster_opts_add(struct reader *r, struct str name, struct str value)
{
    char *copy = arena_c(r->arena, name);

    if (!copy || r->opts.n == OPTS_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (copy[i] == '-')
            copy[i] = '_';
    r->items[r->opts.n++] = (struct postmaster_opt){ str_of(copy, name.n), value };
    return true;
}

/* NAME=VALUE; a name alone is a switch. */
static bool add_pair(struct reader *r, struct str pair)
{
    size_t equals = str_find(pair, '=');

    return postmaster_opts_add(r, str_first(pair, equals),
                               equals < pair.n ? str_from(pair, equals + 1) : STR("true"));
}

/* A letter and its value. */
static bool add_letter(struct reader *r, char letter, struct str value)
{
    switch (letter) {
    case 'c':
        return add_pair(r, value);
    case 'D':
        r->opts.data_directory = value;
        return true;
    case 'h':
        return postmaster_opts_add(r, STR("listen_addresses"), value);
    case 'k':
        return postmaster_opts_add(r, STR("unix_socket_directories"), value);
    case 'N':
        return postmaster_opts_add(r, STR("max_connections"), value);
    case 'p':
        return postmaster_opts_add(r, STR("port"), value);
    default: /* nothing that an audit asks about */
        return true;
    }
}

/* Those of one argument, such as -il; the value of the last may be the next argument. */
static bool add_letters(struct reader *r, struct str argument, bool *broken)
{
    static const char with_value[] = "BCDdfhkNoprStvWc";

    for (size_t i = 1; i < argument.n; i++) {
        char letter = argument.p[i];
        struct str value = str_from(argument, i + 1);
        if (letter == 'i' && !postmaster_opts_add(r, STR("listen_addresses"), STR("*")))
            return false;
        if (letter == 'l' && !postmaster_opts_add(r, STR("ssl"), STR("on")))
            return false;
        if (!memchr(with_value, letter, sizeof with_value - 1))
            continue;
        if (value.n == 0 && !next_argument(r, &value, broken))
            return true;
        return add_letter(r, letter, value);
    }
    return true;
}

enum code postmaster_opts_parse(struct str text, struct arena *arena, struct postmaster_opts *out,
                                struct err *e)
{
    struct reader r = { .arena = arena, .rest = text };
    bool broken = false;
    struct str argument;

    r.items = arena_array(arena, OPTS_MAX, sizeof *r.items);
    if (!r.items)
        return E_NOMEM;
    r.opts.program = str_trim(str_first(str_first(text, str_find(text, '\n')), str_find(text, '"')));
    while (next_argument(&r, &argument, &broken)) {
        bool is_long = str_starts(argument, STR("--"));
        bool added = is_long                          ? add_pair(&r, str_from(argument, 2))
                     : str_starts(argument, STR("-")) ? add_letters(&r, argument, &broken)
                                                      : true;
        if (!added)
            return r.opts.n == OPTS_MAX ? err_set(e, E_CONFIG, "it has more than %d options", OPTS_MAX)
                                        : E_NOMEM;
    }
    if (broken)
        return err_set(e, E_CONFIG, "the last argument has no closing quote");
    r.opts.items = r.items;
    *out = r.opts;
    return OK;
}
