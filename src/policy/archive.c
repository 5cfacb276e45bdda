/*
 * Reading rules through a recorder, and again from what it kept.
 *
 * A record is one line, `KIND NUMBER PATH-LENGTH CONTENT-LENGTH`, then path, content and a line end. KIND is
 * `file` (NUMBER: what reading returned), `dir` (content: names, each with a NUL), `kind` (NUMBER: whether it
 * is a directory); the head comes first: `rules` (NUMBER: generation, path: hba file, content: ident file)
 * and `flags`.
 */
#include "policy/archive.h"

#include "base/arena.h"
#include "base/buf.h"
#include "lex/hba_lex.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

enum { FLAG_SSL = 1, FLAG_ROLES = 2, NAMES_MAX = 1 << 20 };

struct record {
    struct str kind;
    int number;
    struct str path;
    struct str content;
    STAILQ_ENTRY(record) next;
};

struct archive {
    struct hba_lex_fs fs;
    const struct hba_lex_fs *source; /* what is recorded; NULL: a replay */
    bool nomem;
    struct arena arena;
    STAILQ_HEAD(, record) records;
};

static struct record *archive_find(const struct archive *a, struct str kind, const char *path)
{
    struct record *r;

    STAILQ_FOREACH (r, &a->records, next)
        if (str_equal(r->kind, kind) && str_is(r->path, path))
            return r;
    return NULL;
}

static struct record *archive_add(struct archive *a)
{
    struct record *r = ARENA_NEW(&a->arena, struct record);

    if (r)
        STAILQ_INSERT_TAIL(&a->records, r, next);
    else
        a->nomem = true;
    return r;
}

static void archive_keep(struct archive *a, struct str kind, int number, const char *path, struct str content)
{
    struct record *r = archive_find(a, kind, path);

    if (r && a->source == &hba_lex_disk)
        return;
    r = r ? r : archive_add(a);
    if (!r)
        return;
    r->kind = kind;
    r->number = number;
    if (!arena_str(&a->arena, str_c(path), &r->path) || !arena_str(&a->arena, content, &r->content))
        a->nomem = true;
}

/* ---- recording and replaying ---- */

static int fs_read_file(void *ctx, const char *path, struct buf *out)
{
    struct archive *a = ctx;
    const struct record *r = archive_find(a, STR("file"), path);

    if (!a->source) {
        if (r && !buf_append_str(out, r->content))
            return -EFBIG;
        return r ? r->number : ENOENT;
    }
    size_t before = out->n;
    int result = a->source->read_file(a->source->ctx, path, out);
    archive_keep(a, STR("file"), result, path, str_from(buf_str(out), before));
    return result;
}

struct listing {
    struct buf names;
    void (*entry)(void *arg, const char *name);
    void *arg;
};

static void note_entry(void *arg, const char *name)
{
    struct listing *listing = arg;

    buf_append_c(&listing->names, name);
    buf_append_byte(&listing->names, 0);
    listing->entry(listing->arg, name);
}

static int fs_list_dir(void *ctx, const char *path, void (*entry)(void *arg, const char *name), void *arg)
{
    struct archive *a = ctx;
    const struct record *r = archive_find(a, STR("dir"), path);

    if (a->source) {
        struct listing listing = { BUF_INIT(NAMES_MAX), entry, arg };
        int result = a->source->list_dir(a->source->ctx, path, note_entry, &listing);
        a->nomem |= !buf_ok(&listing.names);
        archive_keep(a, STR("dir"), result, path, buf_str(&listing.names));
        buf_fini(&listing.names);
        return result;
    }
    if (!r)
        return ENOENT;
    struct str rest = r->content, name;
    while (str_split(&rest, '\0', &name)) {
        char text[NAME_MAX + 1];
        if (str_to_c(name, text, sizeof text))
            entry(arg, text);
    }
    return r->number;
}

static int fs_is_dir(void *ctx, const char *path)
{
    struct archive *a = ctx;
    const struct record *r = archive_find(a, STR("kind"), path);

    if (!a->source)
        return r ? r->number : -ENOENT;
    int result = a->source->is_dir(a->source->ctx, path);
    archive_keep(a, STR("kind"), result, path, STR(""));
    return result;
}

/* ---- life ---- */

struct archive *archive_new(void)
{
    struct archive *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->fs = (struct hba_lex_fs){ fs_read_file, fs_list_dir, fs_is_dir, a };
    a->source = &hba_lex_disk;
    arena_init(&a->arena, ARCHIVE_MAX, 4096);
    STAILQ_INIT(&a->records);
    return a;
}

void archive_free(struct archive *archive)
{
    if (!archive)
        return;
    arena_fini(&archive->arena);
    free(archive);
}

const struct hba_lex_fs *archive_fs(struct archive *archive)
{
    return &archive->fs;
}

void archive_read_from(struct archive *archive, const struct hba_lex_fs *source)
{
    archive->source = source;
}

/* ---- as bytes ---- */

static void write_record(struct buf *out, const struct record *r)
{
    buf_printf(out, "%.*s %d %zu %zu\n", STR_ARG(r->kind), r->number, r->path.n, r->content.n);
    buf_append_str(out, r->path);
    buf_append_str(out, r->content);
    buf_append_byte(out, '\n');
}

enum code archive_write(const struct archive *archive, const struct archive_head *head, struct buf *out)
{
    const struct record rules = {
        STR("rules"), (int)head->generation, head->hba_file, head->ident_file, { 0 }
    };
    const struct record flags = { STR("flags"),
                                  (head->ssl_on ? FLAG_SSL : 0) | (head->roles_known ? FLAG_ROLES : 0),
                                  STR(""),
                                  STR(""),
                                  { 0 } };
    const struct record *r;

    write_record(out, &rules);
    write_record(out, &flags);
    STAILQ_FOREACH (r, &archive->records, next)
        write_record(out, r);
    return archive->nomem || !buf_ok(out) ? E_NOMEM : OK;
}

/* Take one record off the front of `rest`. */
static bool read_record(struct str *rest, struct record *out)
{
    struct str line, number, lengths[2];
    int64_t value;
    uint32_t path_n, content_n;

    if (!str_split(rest, '\n', &line) || !str_split(&line, ' ', &out->kind) ||
        !str_split(&line, ' ', &number) || !str_split(&line, ' ', &lengths[0]) ||
        !str_split(&line, ' ', &lengths[1]) || line.n > 0)
        return false;
    if (!str_to_i64(number, INT_MIN, INT_MAX, &value) || !str_to_u32(lengths[0], 0, ARCHIVE_MAX, &path_n) ||
        !str_to_u32(lengths[1], 0, ARCHIVE_MAX, &content_n) || (size_t)path_n + content_n >= rest->n)
        return false;
    out->number = (int)value;
    out->path = str_first(*rest, path_n);
    out->content = str_first(str_from(*rest, path_n), content_n);
    *rest = str_from(*rest, (size_t)path_n + content_n);
    if (rest->p[0] != '\n')
        return false;
    *rest = str_from(*rest, 1);
    return true;
}

static bool read_head(struct str *rest, struct archive_head *head)
{
    struct record r;

    if (!read_record(rest, &r) || !str_is(r.kind, "rules") || r.number < 0)
        return false;
    *head = (struct archive_head){ .generation = (unsigned)r.number,
                                   .hba_file = r.path,
                                   .ident_file = r.content };
    if (!read_record(rest, &r) || !str_is(r.kind, "flags"))
        return false;
    head->ssl_on = r.number & FLAG_SSL;
    head->roles_known = r.number & FLAG_ROLES;
    return true;
}

enum code archive_open(struct bytes bytes, struct archive **out, struct archive_head *head, struct err *e)
{
    struct archive *a = archive_new();
    struct str rest = str_from_bytes(bytes);
    bool good;

    if (!a)
        return err_set(e, E_NOMEM, "out of memory");
    a->source = NULL;
    good = read_head(&rest, head);
    while (good && rest.n > 0) {
        struct record *r = archive_add(a);
        good = r && read_record(&rest, r);
    }
    if (!good) {
        enum code code = a->nomem ? E_NOMEM : E_SYNTAX;
        archive_free(a);
        return err_set(e, code, code == E_NOMEM ? "out of memory" : "not an archive of rules");
    }
    *out = a;
    return OK;
}
