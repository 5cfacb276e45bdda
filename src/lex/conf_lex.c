/*
 * Configuration files: tokens to entries, includes followed.
 *
 * A line is NAME [=] VALUE and nothing else. After a syntax error reading goes on at the next line, so that
 * one pass finds every error. Three names are orders to the reader itself: include, include_if_exists and
 * include_dir; they take effect where they stand, so what comes later wins over what they bring.
 */
#include "lex/conf_lex.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/unseen.h"
#include "lex/conf_token.h"
#include "lex/conninfo_hide.h"

#include <stdlib.h>

struct lexer {
    const struct conf_fs *fs;
    struct conf_entries *entries;
    struct diags *diags;
    size_t n_files;
};

/* The line that is being read, and who asked for its file. */
struct place {
    struct str file;
    unsigned line;
    unsigned depth;
    struct str text; /* the line itself; empty for what is not about its characters */
};

void conf_entries_init(struct conf_entries *entries, struct arena *arena)
{
    *entries = (struct conf_entries){ .arena = arena };
    STAILQ_INIT(&entries->list);
    STAILQ_INIT(&entries->files);
}

static struct conf_entry *add_entry(struct lexer *lx, const struct place *at)
{
    struct conf_entry *entry = ARENA_NEW(lx->entries->arena, struct conf_entry);

    if (!entry)
        return NULL;
    entry->file = at->file;
    entry->line = at->line;
    STAILQ_INSERT_TAIL(&lx->entries->list, entry, next);
    lx->entries->n++;
    return entry;
}

/* The short text of an error, for views; the long one goes to diags. */
static enum code add_error(struct lexer *lx, const struct place *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static enum code add_error(struct lexer *lx, const struct place *at, const char *fmt, ...)
{
    struct conf_entry *entry = add_entry(lx, at);
    va_list args;

    if (!entry)
        return E_NOMEM;
    va_start(args, fmt);
    bool ok = arena_vprintf(lx->entries->arena, &entry->error, fmt, args);
    va_end(args);
    return ok ? OK : E_NOMEM;
}

static bool note_path(struct lexer *lx, struct str path)
{
    struct conf_path *row = ARENA_NEW(lx->entries->arena, struct conf_path);

    if (!row || !arena_str(lx->entries->arena, path, &row->path))
        return false;
    STAILQ_INSERT_TAIL(&lx->entries->files, row, next);
    return true;
}

/* A path beside the file that names it. */
static bool path_beside(struct arena *arena, struct str file, struct str path, struct str *out)
{
    size_t slash = file.n;

    if (path.n > 0 && path.p[0] == '/')
        return arena_str(arena, path, out);
    while (slash > 0 && file.p[slash - 1] != '/')
        slash--;
    return arena_printf(arena, out, "%.*s%.*s", STR_ARG(str_first(file, slash)), STR_ARG(path));
}

/* ---- escapes ---- */

static char unescape_letter(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

static bool is_octal(struct str s, size_t i)
{
    return i < s.n && s.p[i] >= '0' && s.p[i] <= '7';
}

/*
 * [src: guc-file.l, DeescapeQuotedString] A token from match_string: quotes at both ends, complete escapes.
 */
static bool unquote_single(struct arena *arena, struct str token, struct str *out)
{
    struct str s = str_of(token.p + 1, token.n - 2);
    char *to = arena_alloc(arena, s.n + 1);
    size_t n = 0;

    if (!to)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && is_octal(s, i + 1)) {
            unsigned value = 0, digits = 0;
            for (; digits < 3 && is_octal(s, i + 1); digits++, i++)
                value = value * 8 + (unsigned)(s.p[i + 1] - '0');
            to[n++] = (char)(unsigned char)value;
        } else if (s.p[i] == '\\') {
            to[n++] = unescape_letter(s.p[++i]);
        } else {
            to[n++] = s.p[i];
            i += s.p[i] == '\'';
        }
    }
    /* An octal zero ends the text, as it does in PostgreSQL. */
    *out = str_first(str_of(to, n), str_find(str_of(to, n), '\0'));
    return true;
}

enum code conf_entry_set_name(struct arena *arena, struct str token, struct conf_entry *entry)
{
    size_t dot = str_find(token, '.'), n = 0;
    char *to = arena_alloc(arena, token.n + 1);

    if (!to)
        return E_NOMEM;
    bool quoted = dot + 1 < token.n && token.p[dot + 1] == '"';
    for (size_t i = 0; i < token.n; i++) {
        if (quoted && i > dot && token.p[i] == '"' && (i == dot + 1 || i == token.n - 1))
            continue;
        to[n++] = token.p[i];
        i += quoted && i > dot && token.p[i] == '"';
    }
    entry->name = str_of(to, n);
    if (dot < token.n)
        entry->sub = str_from(entry->name, dot + 1);
    return OK;
}

/* ---- files ---- */

static enum code read_file(struct lexer *lx, struct str path, const struct place *from, bool must_exist);

static bool is_blank_name(struct str name)
{
    return str_trim(name).n == 0;
}

static enum code include_file(struct lexer *lx, struct str name, const struct place *at, bool must_exist)
{
    struct str path;

    if (is_blank_name(name)) {
        (void)diags_add(lx->diags, SEV_ERROR, E_CONFIG, at->file, at->line,
                        "empty configuration file name: \"%.*s\"", STR_ARG(name));
        return add_error(lx, at, "empty configuration file name");
    }
    if (!path_beside(lx->entries->arena, at->file, name, &path))
        return E_NOMEM;
    return read_file(lx, path, at, must_exist);
}

struct names {
    struct arena *arena;
    struct str *at;
    size_t n;
    size_t size;
};

/* [src: conffiles.c, GetConfFilesInDir] */
static bool keep_conf_name(void *ctx, struct str name)
{
    struct names *names = ctx;

    if (name.n < sizeof "x.conf" - 1 || name.p[0] == '.' || !str_ends(name, STR(".conf")))
        return true;
    struct str *grown = arena_grow(names->arena, names->at, names->n, &names->size, sizeof *grown);
    if (!grown)
        return false;
    names->at = grown;
    return arena_str(names->arena, name, &names->at[names->n++]);
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static enum code include_dir(struct lexer *lx, struct str name, const struct place *at)
{
    struct names names = { .arena = lx->entries->arena };
    struct err e = { 0 };
    struct str dir;

    if (is_blank_name(name)) {
        (void)diags_add(lx->diags, SEV_ERROR, E_CONFIG, at->file, at->line,
                        "empty configuration directory name: \"%.*s\"", STR_ARG(name));
        return add_error(lx, at, "empty configuration directory name");
    }
    if (!path_beside(names.arena, at->file, name, &dir) || !note_path(lx, dir))
        return E_NOMEM;
    enum code code = lx->fs->list(lx->fs->ctx, dir.p, keep_conf_name, &names, &e);
    if (code == E_NOMEM)
        return code;
    if (code != OK) {
        (void)diags_add(lx->diags, SEV_ERROR, code, at->file, at->line,
                        "could not open configuration directory \"%.*s\": %s", STR_ARG(dir), err_text(&e));
        return add_error(lx, at, "could not open directory \"%.*s\"", STR_ARG(dir));
    }
    if (names.n)
        qsort(names.at, names.n, sizeof names.at[0], compare_names);
    for (size_t i = 0; i < names.n; i++) {
        struct str path;
        if (!arena_printf(names.arena, &path, "%.*s%s%.*s", STR_ARG(dir), str_ends(dir, STR("/")) ? "" : "/",
                          STR_ARG(names.at[i])))
            return E_NOMEM;
        TRY(read_file(lx, path, at, true));
    }
    return OK;
}

/* One complete NAME VALUE. */
static enum code take_pair(struct lexer *lx, struct str name, const struct conf_token *token,
                           const struct place *at)
{
    struct str value;

    bool ok = token->kind == CONF_TOKEN_STRING ? unquote_single(lx->entries->arena, token->text, &value)
                                               : arena_str(lx->entries->arena, token->text, &value);
    if (!ok)
        return E_NOMEM;
    if (str_equal_nocase(name, STR("include")))
        return include_file(lx, value, at, true);
    if (str_equal_nocase(name, STR("include_if_exists")))
        return include_file(lx, value, at, false);
    if (str_equal_nocase(name, STR("include_dir")))
        return include_dir(lx, value, at);
    struct conf_entry *entry = add_entry(lx, at);
    if (!entry)
        return E_NOMEM;
    entry->value = value;
    return conf_entry_set_name(lx->entries->arena, name, entry);
}

static bool ends_line(const struct conf_token *token)
{
    return token->kind == CONF_TOKEN_EOL || token->kind == CONF_TOKEN_EOF;
}

/* The token that did not fit, as an error may quote it: what follows a connection string may be a password's
 * second half, after a quote in it. */
static struct str shown_token(const struct lexer *lx, struct str name, const struct conf_token *token)
{
    if (token->text.p != name.p && str_starts_nocase(name, STR("upstream")))
        return STR(HIDDEN);
    return conninfo_hidden_word(lx->entries->arena, token->text);
}

/* `name`: the first token of the line. */
static enum code syntax_error(struct lexer *lx, struct str name, const struct conf_token *token,
                              const struct place *at)
{
    struct str shown = shown_token(lx, name, token);
    char unseen[UNSEEN_TEXT_MAX];
    bool has_unseen = unseen_describe(at->text, at->line == 1 ? UNSEEN_FIRST_LINE : UNSEEN_LINE, unseen);

    if (ends_line(token)) {
        struct diag *at_end = diags_add(lx->diags, SEV_ERROR, E_SYNTAX, at->file, at->line,
                                        "syntax error in file \"%.*s\" line %u, near end of line",
                                        STR_ARG(at->file), at->line);
        if (has_unseen)
            diags_hint(lx->diags, at_end, "%s", unseen);
        return add_error(lx, at, "syntax error");
    }
    struct diag *row = diags_add(lx->diags, SEV_ERROR, E_SYNTAX, at->file, at->line,
                                 "syntax error in file \"%.*s\" line %u, near token \"%.*s\"",
                                 STR_ARG(at->file), at->line, STR_ARG(shown));
    if (has_unseen)
        diags_hint(lx->diags, row, "%s", unseen);
    else if (token->kind == CONF_TOKEN_WORD && str_equal(shown, token->text) &&
             str_find(token->text, '.') < token->text.n)
        diags_hint(lx->diags, row, "A name with other characters is written in double quotes: %.*s.\"%.*s\".",
                   STR_ARG(str_first(token->text, str_find(token->text, '.'))),
                   STR_ARG(str_from(token->text, str_find(token->text, '.') + 1)));
    return add_error(lx, at, "syntax error");
}

/*
 * The rest of a line whose first token is `token`. Returns with `token` at its end, or at the token that
 * does not fit, and then *out_bad.
 */
static enum code parse_line(struct lexer *lx, struct conf_scan *scan, struct conf_token *token,
                            const struct place *at, bool *out_bad)
{
    struct str name = token->text;

    *out_bad = true;
    if (token->kind != CONF_TOKEN_ID && token->kind != CONF_TOKEN_QUALIFIED)
        return OK;
    *token = conf_token_next(scan);
    if (token->kind == CONF_TOKEN_EQUALS)
        *token = conf_token_next(scan);
    struct conf_token value = *token;
    if (value.kind != CONF_TOKEN_ID && value.kind != CONF_TOKEN_STRING && value.kind != CONF_TOKEN_WORD &&
        value.kind != CONF_TOKEN_INTEGER && value.kind != CONF_TOKEN_REAL)
        return OK;
    *token = conf_token_next(scan);
    if (!ends_line(token))
        return OK;
    *out_bad = false;
    return take_pair(lx, name, &value, at);
}

static enum code parse_text(struct lexer *lx, struct str text, struct str file, unsigned depth)
{
    struct conf_scan scan = { text, 1 };
    unsigned n_errors = 0;

    for (;;) {
        struct place at = { file, scan.line, depth, str_first(scan.left, str_find(scan.left, '\n')) };
        struct conf_token token = conf_token_next(&scan);
        struct str name = token.text;
        bool bad;
        if (token.kind == CONF_TOKEN_EOF)
            return OK;
        if (token.kind == CONF_TOKEN_EOL)
            continue;
        TRY(parse_line(lx, &scan, &token, &at, &bad));
        if (!bad)
            continue;
        TRY(syntax_error(lx, name, &token, &at));
        if (++n_errors == CONF_ERRORS_MAX) {
            (void)diags_add(lx->diags, SEV_ERROR, E_LIMIT, file, at.line,
                            "too many syntax errors found, abandoning file \"%.*s\"", STR_ARG(file));
            return OK;
        }
        while (!ends_line(&token))
            token = conf_token_next(&scan);
    }
}

/* Reasons not to open a file at all. Returns false when there is one; it is reported. */
static bool may_open(struct lexer *lx, struct str path, const struct place *from, enum code *out)
{
    struct str none = { NULL, 0 };

    if (from && from->depth >= CONF_NESTING_MAX) {
        (void)diags_add(lx->diags, SEV_ERROR, E_LIMIT, from->file, from->line,
                        "could not open configuration file \"%.*s\": maximum nesting depth exceeded",
                        STR_ARG(path));
        *out = add_error(lx, from, "nesting depth exceeded");
        return false;
    }
    if (from && str_equal(from->file, path)) {
        (void)diags_add(lx->diags, SEV_ERROR, E_CONFIG, from->file, from->line,
                        "configuration file recursion in \"%.*s\"", STR_ARG(path));
        *out = add_error(lx, from, "configuration file recursion");
        return false;
    }
    if (++lx->n_files > CONF_FILES_MAX) {
        (void)diags_add(lx->diags, SEV_ERROR, E_LIMIT, from ? from->file : none, from ? from->line : 0,
                        "could not open configuration file \"%.*s\": more than %d files", STR_ARG(path),
                        CONF_FILES_MAX);
        *out = E_LIMIT;
        return false;
    }
    return true;
}

/* `from` is NULL for the main file. */
static enum code read_file(struct lexer *lx, struct str path, const struct place *from, bool must_exist)
{
    AUTO(buf) struct buf text = BUF_INIT(CONF_FILE_MAX);
    struct err e = { 0 };
    enum code code;

    if (!may_open(lx, path, from, &code))
        return code;
    if (!note_path(lx, path))
        return E_NOMEM;
    code = lx->fs->read(lx->fs->ctx, path.p, &text, &e);
    if (code == E_NOMEM)
        return code;
    /* Only a file that is not there is skipped [choice: one that may not be read could hold what matters]. */
    if (code == E_NO_FILE && !must_exist) {
        (void)diags_add(lx->diags, SEV_LOG, OK, from->file, from->line,
                        "skipping missing configuration file \"%.*s\"", STR_ARG(path));
        return OK;
    }
    if (code != OK) {
        struct place nowhere = { .file = { "", 0 } };
        const struct place *at = from ? from : &nowhere;
        (void)diags_add(lx->diags, SEV_ERROR, code, at->file, at->line,
                        "could not open configuration file \"%.*s\": %s", STR_ARG(path), err_text(&e));
        TRY(add_error(lx, at, "could not open file \"%.*s\"", STR_ARG(path)));
        return from ? OK : code;
    }
    return parse_text(lx, buf_str(&text), path, from ? from->depth + 1 : 0);
}

enum code conf_lex_file(const struct conf_fs *fs, struct str path, struct conf_entries *entries,
                        struct diags *diags)
{
    struct lexer lx = { .fs = fs, .entries = entries, .diags = diags };
    size_t before = diags->errors;
    struct str copy;

    if (!arena_str(entries->arena, path, &copy))
        return E_NOMEM;
    TRY(read_file(&lx, copy, NULL, true));
    if (diags->nomem)
        return E_NOMEM;
    return diags->errors == before ? OK : E_CONFIG;
}
