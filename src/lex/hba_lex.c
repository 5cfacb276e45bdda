/*
 * From the bytes of pg_hba.conf or pg_ident.conf to fields of tokens.
 *
 * Three steps per logical line: gather it (continuation lines, NUL bytes), cut it into fields (quotes,
 * comments, commas, `@file`), and, if it is an include record, replace it by the lines of other files. An
 * error ends the line it is found in, never the file. The corner cases follow the server's tokenizer to the
 * letter, because a line read differently is a door opened or closed by accident. [src: PostgreSQL 18, "The
 * pg_hba.conf File"; hba.c next_token, tokenize_auth_file]
 */
#include "lex/hba_lex.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/hba_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_CONTINUATION_VERSION = 14, FIRST_INCLUDE_VERSION = 16, VERSION_DEFAULT = 18 };

/* What is common to all files of one load. */
struct lex {
    const struct hba_lex_fs *fs;
    struct diags *diags;
    struct arena *arena;
    struct hba_lines *out;
    unsigned version;
    unsigned files; /* read so far */
};

/* A growing array of fixed-size elements, in a buf. */
#define VEC_LIMIT ((size_t)1 << 30)

/* One file being read. `lines` is where its lines go: an included file shares its includer's. */
struct reader {
    struct lex *lex;
    struct str file;
    struct bytes left;
    unsigned depth;
    unsigned line; /* of the logical line at hand */
    struct hba_lines *lines;
    struct buf raw;    /* the logical line */
    struct buf token;  /* a token that has quotes */
    struct buf tokens; /* struct hba_token of the line */
    struct buf fields; /* size_t: tokens up to the end of each field */
    struct buf error;  /* text for the view; empty: none */
};

static enum code read_file(struct lex *lex, struct str path, struct bytes text, unsigned depth,
                           struct hba_lines *lines);

/* ---- errors ---- */

static void hba_lex_complain(struct reader *r, enum severity severity, enum code code, struct str message)
{
    if (r->lex->diags)
        (void)diags_add(r->lex->diags, severity, code, r->file, r->line, "%.*s", STR_ARG(message));
}

/** Log the message, and make `view` the line's error. */
static enum code fail_line(struct reader *r, enum code code, struct str message, struct str view)
{
    hba_lex_complain(r, SEV_ERROR, code, message);
    buf_reset(&r->error);
    return buf_append_str(&r->error, view) ? OK : E_NOMEM;
}

static enum code note_path(struct lex *lex, struct str path, bool is_dir)
{
    struct hba_lex_path *entry;

    STAILQ_FOREACH (entry, &lex->out->paths, next)
        if (entry->is_dir == is_dir && str_equal(entry->path, path))
            return OK;
    entry = ARENA_NEW(lex->arena, struct hba_lex_path);
    if (!entry || !arena_str(lex->arena, path, &entry->path))
        return E_NOMEM;
    entry->is_dir = is_dir;
    STAILQ_INSERT_TAIL(&lex->out->paths, entry, next);
    return OK;
}

/* ---- step 1: a logical line ---- */

/**
 * Append the next physical line, newline included. A NUL hides the rest of its line and the newline with it.
 * False at the end of the file, when nothing was appended.
 */
static bool next_physical(struct reader *r)
{
    size_t before = r->raw.n;

    while (r->left.n > 0) {
        const uint8_t *newline = memchr(r->left.p, '\n', r->left.n);
        size_t n = newline ? (size_t)(newline - r->left.p) + 1 : r->left.n;
        const uint8_t *nul = memchr(r->left.p, '\0', n);
        size_t visible = nul ? (size_t)(nul - r->left.p) : n;
        (void)buf_append(&r->raw, bytes_of(r->left.p, visible));
        r->left = bytes_from(r->left, n);
        if (!nul && newline)
            return true;
    }
    return r->raw.n > before;
}

/**
 * Gather a logical line into r->raw; *out_physical counts its physical lines. False at the end of the file.
 */
static bool next_logical(struct reader *r, unsigned *out_physical)
{
    size_t tested = 0; /* up to here a backslash was dealt with */
    unsigned n = 0;

    buf_reset(&r->raw);
    bool any = r->left.n > 0;
    while (next_physical(r)) {
        n++;
        while (r->raw.n > 0 && (r->raw.p[r->raw.n - 1] == '\n' || r->raw.p[r->raw.n - 1] == '\r'))
            r->raw.n--;
        if (r->lex->version < FIRST_CONTINUATION_VERSION || r->raw.n <= tested ||
            r->raw.p[r->raw.n - 1] != '\\')
            break;
        tested = --r->raw.n;
    }
    *out_physical = n ? n : 1;
    return any;
}

/* ---- step 2: fields of tokens ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

struct token {
    struct str s;
    bool quoted;
    bool comma; /* a comma ended it: the field goes on */
};

/**
 * Cut the next token off `*rest`. False when there is none. A token without quotes is a view of the line, one
 * with quotes is put together in the arena (p == NULL when memory ran out).
 */
static bool next_token(struct reader *r, struct str *rest, struct token *out)
{
    struct str s = *rest;
    bool in_quote = false, was_quote = false, saw_quote = false, quoted = false, comma = false;
    size_t at = 0;

    while (at < s.n && (is_blank(s.p[at]) || s.p[at] == ','))
        at++;
    size_t start = at;
    buf_reset(&r->token);
    for (; at < s.n && (in_quote || !is_blank(s.p[at])); at++) {
        char c = s.p[at];
        if (!in_quote && (c == '#' || c == ','))
            break;
        if (c != '"' || was_quote)
            (void)buf_append_byte(&r->token, (uint8_t)c);
        was_quote = in_quote && c == '"' && !was_quote;
        if (c == '"') {
            in_quote = !in_quote;
            saw_quote = true;
            quoted |= r->token.n == 0;
        }
    }
    comma = at < s.n && s.p[at] == ',' && !in_quote;
    bool comment = at < s.n && s.p[at] == '#' && !in_quote;
    *rest = comment ? str_from(s, s.n) : str_from(s, at);
    if (!saw_quote && r->token.n == 0)
        return false;
    *out = (struct token){ str_of(s.p + start, at - start), quoted, comma };
    if (saw_quote && (r->token.failed || !arena_str(r->lex->arena, buf_str(&r->token), &out->s)))
        out->s = str_of(NULL, 0);
    return true;
}

static enum code add_token(struct reader *r, struct hba_token token)
{
    return buf_append(&r->tokens, bytes_of(&token, sizeof token)) ? OK : E_NOMEM;
}

static struct str dir_of(struct str file)
{
    size_t n = file.n;

    while (n > 0 && file.p[n - 1] != '/')
        n--;
    return str_first(file, n > 1 ? n - 1 : n);
}

/** The path a reference in this file means: relative ones start at the file's directory. */
static enum code locate(struct reader *r, struct str reference, struct str *out)
{
    if (str_starts(reference, STR("/")))
        return arena_str(r->lex->arena, reference, out) ? OK : E_NOMEM;
    return hba_lex_path(r->lex->arena, dir_of(r->file), reference, out) ? OK : E_NOMEM;
}

enum reference_kind { REFERENCE_AT, REFERENCE_INCLUDE, REFERENCE_IF_EXISTS };

struct reference {
    enum reference_kind kind;
    struct str written;
    struct str path;
};

/** What is said of a file that could not be opened or read. */
static bool file_problem(struct reader *r, const struct reference *ref, int problem, struct str *out)
{
    const char *why = problem ? strerrordesc_np(abs(problem)) : "maximum nesting depth exceeded";

    if (ref->kind == REFERENCE_AT && r->lex->version < FIRST_INCLUDE_VERSION && problem >= 0)
        return arena_printf(r->lex->arena, out,
                            "could not open secondary authentication file \"@%.*s\" as \"%.*s\": %s",
                            STR_ARG(ref->written), STR_ARG(ref->path), why);
    return arena_printf(r->lex->arena, out, "could not %s file \"%.*s\": %s", problem < 0 ? "read" : "open",
                        STR_ARG(ref->path), why);
}

/** A missing file that need not exist is only logged. */
static enum code skip_missing(struct reader *r, struct str path, struct str message)
{
    hba_lex_complain(r, SEV_LOG, E_NO_FILE, message);
    if (!arena_printf(r->lex->arena, &message, "skipping missing authentication file \"%.*s\"",
                      STR_ARG(path)))
        return E_NOMEM;
    hba_lex_complain(r, SEV_LOG, OK, message);
    return OK;
}

/** Read a file that this line refers to, one level deeper. What goes wrong becomes the line's error. */
static enum code read_reference(struct reader *r, enum reference_kind kind, struct str written,
                                struct hba_lines *lines)
{
    AUTO(buf) struct buf text = BUF_INIT(HBA_LEX_FILE_MAX);
    struct reference ref = { kind, written, { NULL, 0 } };
    struct str message;
    int problem = 0;

    TRY(locate(r, written, &ref.path));
    bool too_deep = r->depth + 1 > HBA_LEX_DEPTH_MAX;
    if (!too_deep) {
        if (++r->lex->files > HBA_LEX_FILES_MAX)
            return E_LIMIT;
        TRY(note_path(r->lex, ref.path, false));
        problem = r->lex->fs->read_file(r->lex->fs->ctx, ref.path.p, &text);
    }
    if ((too_deep || problem != 0) && !file_problem(r, &ref, problem, &message))
        return E_NOMEM;
    if (too_deep)
        return fail_line(r, E_CONFIG, message, message);
    if (problem == ENOENT && kind == REFERENCE_IF_EXISTS)
        return skip_missing(r, ref.path, message);
    if (problem > 0)
        return fail_line(r, code_from_errno(problem), message, message);
    if (problem < 0)
        hba_lex_complain(r, SEV_LOG, code_from_errno(-problem), message);
    return read_file(r->lex, ref.path, buf_bytes(&text), r->depth + 1, lines);
}

/** Put all tokens of a file in place of `@file`. */
static enum code expand_file(struct reader *r, struct str reference)
{
    struct hba_lines lines = { .n = 0 };
    struct hba_line *line;

    STAILQ_INIT(&lines.list);
    TRY(read_reference(r, REFERENCE_AT, reference, &lines));
    STAILQ_FOREACH (line, &lines.list, next) {
        if (line->error.n > 0)
            return buf_append_str(&r->error, line->error) ? OK : E_NOMEM;
        for (size_t f = 0; f < line->n; f++)
            for (size_t t = 0; t < line->fields[f].n; t++)
                TRY(add_token(r, line->fields[f].tokens[t]));
    }
    return OK;
}

/** Read one field; it vanishes if it has no token. */
static enum code next_field(struct reader *r, struct str *rest)
{
    size_t before = r->tokens.n;
    struct token token = { .comma = true };

    while (token.comma && r->error.n == 0 && next_token(r, rest, &token)) {
        if (!token.s.p)
            return E_NOMEM;
        if (!token.quoted && token.s.n > 1 && token.s.p[0] == '@')
            TRY(expand_file(r, str_from(token.s, 1)));
        else
            TRY(add_token(r, (struct hba_token){ token.s, token.quoted }));
    }
    if (r->tokens.n == before)
        return OK;
    size_t end = r->tokens.n / sizeof(struct hba_token);
    return buf_append(&r->fields, bytes_of(&end, sizeof end)) ? OK : E_NOMEM;
}

/** Copy what was gathered to the arena as the line's fields. */
static enum code store_fields(struct reader *r, struct hba_line *line)
{
    size_t n_fields = r->fields.n / sizeof(size_t), start = 0;
    struct hba_field *fields = arena_array(r->lex->arena, n_fields, sizeof *fields);
    struct hba_token *tokens = arena_alloc(r->lex->arena, r->tokens.n);

    if (!fields || !tokens)
        return E_NOMEM;
    if (r->tokens.n > 0)
        memcpy(tokens, r->tokens.p, r->tokens.n);
    for (size_t i = 0; i < n_fields; i++) {
        size_t end;
        memcpy(&end, r->fields.p + i * sizeof end, sizeof end);
        fields[i] = (struct hba_field){ tokens + start, end - start };
        start = end;
    }
    line->fields = fields;
    line->n = n_fields;
    return OK;
}

/* ---- step 3: include records ---- */

struct dir_names {
    struct arena *arena;
    struct buf names; /* struct str */
    bool nomem;
};

static void take_dir_name(void *arg, const char *name)
{
    struct dir_names *names = arg;
    struct str s = str_c(name), copy;

    if (s.n < 6 || s.p[0] == '.' || !str_ends(s, STR(".conf")))
        return;
    names->nomem |= !arena_str(names->arena, s, &copy) ||
                    !buf_append(&names->names, bytes_of(&copy, sizeof copy));
}

static int order_names(const void *a, const void *b)
{
    struct str x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return str_compare(x, y);
}

/**
 * Turn names into the paths of those that are not directories. A name that cannot be examined is the error.
 */
static enum code keep_files(struct reader *r, struct str dir, struct buf *names)
{
    size_t kept = 0, n = names->n / sizeof(struct str);
    struct str name, path, message, view;

    for (size_t i = 0; i < n; i++) {
        memcpy(&name, names->p + i * sizeof name, sizeof name);
        if (!hba_lex_path(r->lex->arena, dir, name, &path))
            return E_NOMEM;
        int is_dir = r->lex->fs->is_dir(r->lex->fs->ctx, path.p);
        if (is_dir < 0) {
            if (!arena_printf(r->lex->arena, &view, "could not stat file \"%.*s\"", STR_ARG(path)) ||
                !arena_printf(r->lex->arena, &message, "%.*s: %s", STR_ARG(view), strerrordesc_np(-is_dir)))
                return E_NOMEM;
            return fail_line(r, code_from_errno(-is_dir), message, view);
        }
        if (is_dir == 0) {
            memcpy(names->p + kept * sizeof path, &path, sizeof path);
            kept++;
        }
    }
    names->n = kept * sizeof path;
    return OK;
}

/** The files of an include_dir record, as struct str in `out`, in byte order. */
static enum code list_conf_files(struct reader *r, struct str reference, struct buf *out)
{
    struct dir_names names = { r->lex->arena, BUF_INIT(VEC_LIMIT), false };
    struct str dir, message, view;

    if (str_trim(reference).n == 0) {
        if (!arena_printf(r->lex->arena, &message, "empty configuration directory name: \"%.*s\"",
                          STR_ARG(reference)))
            return E_NOMEM;
        return fail_line(r, E_CONFIG, message, STR("empty configuration directory name"));
    }
    TRY(locate(r, reference, &dir));
    TRY(note_path(r->lex, dir, true));
    int problem = r->lex->fs->list_dir(r->lex->fs->ctx, dir.p, take_dir_name, &names);
    *out = names.names;
    if (names.nomem)
        return E_NOMEM;
    if (problem != 0) {
        if (!arena_printf(r->lex->arena, &view, "could not open directory \"%.*s\"", STR_ARG(dir)) ||
            !arena_printf(r->lex->arena, &message, "could not open configuration directory \"%.*s\": %s",
                          STR_ARG(dir), strerrordesc_np(problem)))
            return E_NOMEM;
        return fail_line(r, code_from_errno(problem), message, view);
    }
    if (out->n > 0)
        qsort(out->p, out->n / sizeof(struct str), sizeof(struct str), order_names);
    return keep_files(r, dir, out);
}

/**
 * All errors of a directory make one, joined by newlines. The server never forgets a file's error while it
 * goes on with the next files, so each later file, good or bad, adds a line; the view shows it, so we do the
 * same.
 */
static enum code include_dir(struct reader *r, struct str reference)
{
    AUTO(buf) struct buf files = BUF_INIT(VEC_LIMIT);
    AUTO(buf) struct buf all = BUF_INIT(HBA_LEX_FILE_MAX);
    struct str path;

    TRY(list_conf_files(r, reference, &files));
    if (r->error.n > 0)
        return OK;
    for (size_t i = 0; i < files.n / sizeof path; i++) {
        memcpy(&path, files.p + i * sizeof path, sizeof path);
        TRY(read_reference(r, REFERENCE_INCLUDE, path, r->lines));
        if (r->error.n > 0 && all.n > 0)
            (void)buf_append_byte(&all, '\n');
        (void)buf_append_str(&all, buf_str(&r->error));
    }
    buf_reset(&r->error);
    return buf_append_str(&r->error, buf_str(&all)) && buf_ok(&all) ? OK : E_NOMEM;
}

/** If the line is an include record, do it: *out_done, and r->error if it failed. */
static enum code include_record(struct reader *r, const struct hba_line *line, bool *out_done)
{
    *out_done = false;
    if (line->n != 2 || r->lex->version < FIRST_INCLUDE_VERSION)
        return OK;
    struct str word = line->fields[0].tokens[0].s, reference = line->fields[1].tokens[0].s;
    if (str_is(word, "include_dir")) {
        *out_done = true;
        return include_dir(r, reference);
    }
    bool if_exists = str_is(word, "include_if_exists");
    if (!if_exists && !str_is(word, "include"))
        return OK;
    *out_done = true;
    return read_reference(r, if_exists ? REFERENCE_IF_EXISTS : REFERENCE_INCLUDE, reference, r->lines);
}

/* ---- a whole file ---- */

static enum code read_line(struct reader *r)
{
    struct hba_line *line = NULL;
    bool done = false;
    struct str raw, rest;

    buf_reset(&r->tokens);
    buf_reset(&r->fields);
    buf_reset(&r->error);
    if (r->raw.failed || !arena_str(r->lex->arena, buf_str(&r->raw), &raw))
        return E_NOMEM;
    rest = raw;
    while (rest.n > 0 && r->error.n == 0)
        TRY(next_field(r, &rest));
    if (r->fields.n == 0 && r->error.n == 0)
        return OK;
    line = ARENA_NEW(r->lex->arena, struct hba_line);
    if (!line)
        return E_NOMEM;
    *line = (struct hba_line){ .file = r->file, .line = r->line, .raw = raw };
    TRY(store_fields(r, line));
    if (r->error.n == 0)
        TRY(include_record(r, line, &done));
    if (done && r->error.n == 0)
        return OK;
    if (r->error.failed || !arena_str(r->lex->arena, buf_str(&r->error), &line->error))
        return E_NOMEM;
    if (line->error.n > 0)
        r->lex->out->failed = true;
    STAILQ_INSERT_TAIL(&r->lines->list, line, next);
    r->lines->n++;
    return OK;
}

static enum code read_file(struct lex *lex, struct str path, struct bytes text, unsigned depth,
                           struct hba_lines *lines)
{
    struct reader r = {
        .lex = lex,
        .file = path,
        .left = text,
        .depth = depth,
        .line = 1,
        .lines = lines,
        .raw = BUF_INIT(HBA_LEX_FILE_MAX),
        .token = BUF_INIT(HBA_LEX_FILE_MAX),
        .tokens = BUF_INIT(VEC_LIMIT),
        .fields = BUF_INIT(VEC_LIMIT),
        .error = BUF_INIT(HBA_LEX_FILE_MAX),
    };
    enum code code = OK;
    unsigned physical;

    while (code == OK && next_logical(&r, &physical)) {
        code = read_line(&r);
        r.line += physical;
    }
    buf_fini(&r.raw);
    buf_fini(&r.token);
    buf_fini(&r.tokens);
    buf_fini(&r.fields);
    buf_fini(&r.error);
    return code;
}

static struct lex lex_begin(const struct hba_lex_params *params, struct arena *arena, struct hba_lines *out)
{
    *out = (struct hba_lines){ .n = 0 };
    STAILQ_INIT(&out->list);
    STAILQ_INIT(&out->paths);
    return (struct lex){
        .fs = params->fs ? params->fs : &hba_lex_disk,
        .diags = params->diags,
        .arena = arena,
        .out = out,
        .version = params->pg_version ? params->pg_version : VERSION_DEFAULT,
    };
}

/** The top file's name as PostgreSQL would have it: absolute and canonical. */
static enum code top_path(struct arena *arena, struct str path, struct str *out)
{
    char *cwd = str_starts(path, STR("/")) ? NULL : get_current_dir_name();
    bool ok = hba_lex_path(arena, cwd ? str_c(cwd) : STR("/"), path, out);

    free(cwd);
    return ok ? OK : E_NOMEM;
}

enum code hba_lex_file(const struct hba_lex_params *params, struct str path, struct arena *arena,
                       struct hba_lines *out, struct err *e)
{
    struct lex lex = lex_begin(params, arena, out);
    AUTO(buf) struct buf text = BUF_INIT(HBA_LEX_FILE_MAX);
    struct str top;

    TRY(top_path(arena, path, &top));
    TRY(note_path(&lex, top, false));
    int problem = lex.fs->read_file(lex.fs->ctx, top.p, &text);
    if (problem > 0)
        return err_set(e, code_from_errno(problem), "could not open file \"%.*s\": %s", STR_ARG(top),
                       strerrordesc_np(problem));
    if (problem < 0 && lex.diags)
        (void)diags_add(lex.diags, SEV_LOG, code_from_errno(-problem), top, 0,
                        "could not read file \"%.*s\": %s", STR_ARG(top), strerrordesc_np(-problem));
    enum code code = read_file(&lex, top, buf_bytes(&text), 0, out);
    if (code == E_LIMIT)
        return err_set(e, code, "file \"%.*s\" includes more than %d files", STR_ARG(top), HBA_LEX_FILES_MAX);
    return code;
}

enum code hba_lex_bytes(const struct hba_lex_params *params, struct str name, struct bytes text,
                        struct arena *arena, struct hba_lines *out)
{
    struct lex lex = lex_begin(params, arena, out);
    struct str copy;

    if (!arena_str(arena, name, &copy))
        return E_NOMEM;
    TRY(note_path(&lex, copy, false));
    return read_file(&lex, copy, text, 0, out);
}
