/*
 * PgBouncer's userlist.txt.
 *
 * The file's bytes are kept once, quotes undoubled in place, so that the secrets in it have one address and
 * can be wiped there. Unlike PgBouncer's own reader a quoted text ends on its line: a forgotten quote is then
 * an error on that line and cannot swallow the next user [choice: fail closed].
 */
#include "auth/userlist.h"

#include "auth/verifier.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/secret.h"
#include "base/unseen.h"
#include "os/files.h"

#include <stdatomic.h>
#include <stdlib.h>

struct userlist {
    struct buf text; /* entries point into it */
    struct userlist_entry *entries;
    size_t n;
    size_t size;
    bool has_cleartext;
    _Atomic unsigned refs;
};

struct parser {
    struct userlist *list;
    struct str file;
    struct diags *diags;
    unsigned line;
};

struct userlist *userlist_ref(struct userlist *list)
{
    if (list)
        atomic_fetch_add_explicit(&list->refs, 1, memory_order_relaxed);
    return list;
}

void userlist_unref(struct userlist *list)
{
    if (!list || atomic_fetch_sub_explicit(&list->refs, 1, memory_order_acq_rel) != 1)
        return;
    buf_fini_secret(&list->text);
    free(list->entries);
    free(list);
}

void userlist_auto(struct userlist **list)
{
    userlist_unref(*list);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void skip_blanks(char **at, const char *end)
{
    while (*at < end && is_blank(**at))
        (*at)++;
}

/* A quoted text at *at, undoubled in place. False: no quote here, or none at its end. */
static bool take_quoted(char **at, const char *end, struct str *out)
{
    char *from = *at, *to;

    if (from >= end || *from != '"')
        return false;
    *out = str_of(to = ++from, 0);
    for (; from < end; from++) {
        if (*from == '"' && (from + 1 >= end || from[1] != '"')) {
            *at = from + 1;
            out->n = (size_t)(to - out->p);
            return true;
        }
        if (*from == '"')
            from++;
        *to++ = *from;
    }
    return false;
}

static bool userlist_add(struct userlist *list, struct userlist_entry entry)
{
    if (list->n == list->size) {
        size_t size = list->size ? list->size * 2 : 64;
        struct userlist_entry *grown = reallocarray(list->entries, size, sizeof *grown);
        if (!grown)
            return false;
        list->entries = grown;
        list->size = size;
    }
    list->entries[list->n++] = entry;
    return true;
}

static bool is_of_type(struct str secret, enum verifier_type type)
{
    AUTO(verifier) struct verifier verifier;

    verifier_parse(secret, &verifier);
    return secret.n > 0 && verifier.type == type;
}

static const char *parse_line(struct parser *p, char *at, const char *end)
{
    struct userlist_entry entry = { .line = p->line };

    skip_blanks(&at, end);
    if (at == end || *at == ';')
        return NULL;
    if (memchr(at, '\0', (size_t)(end - at)))
        return "null byte in line";
    if (*at != '"')
        return "user name must be in double quotes";
    if (!take_quoted(&at, end, &entry.user))
        return "unterminated quoted user name";
    skip_blanks(&at, end);
    if (at == end || *at != '"')
        return "secret in double quotes expected after user name";
    if (!take_quoted(&at, end, &entry.secret))
        return "unterminated quoted secret";
    if (entry.user.n == 0)
        return "user name is empty";
    if (entry.user.n > USERLIST_NAME_MAX)
        return "user name is too long";
    if (entry.secret.n > PASSWORD_MAX)
        return "secret is too long";
    p->list->has_cleartext = p->list->has_cleartext || is_of_type(entry.secret, VERIFIER_UNRECOGNIZED);
    if (!userlist_add(p->list, entry))
        p->diags->nomem = true;
    return NULL;
}

static int by_name_then_line(const void *a, const void *b)
{
    const struct userlist_entry *x = a, *y = b;
    int order = str_compare(x->user, y->user);

    if (order)
        return order;
    return x->line < y->line ? -1 : x->line > y->line;
}

/* Which of two secrets counts is nothing to guess about. */
static void report_twins(struct parser *p)
{
    const struct userlist *list = p->list;

    for (size_t i = 1; i < list->n; i++) {
        const struct userlist_entry *first = &list->entries[i - 1], *second = &list->entries[i];
        if (!str_equal(first->user, second->user))
            continue;
        (void)diags_add(p->diags, SEV_ERROR, E_SYNTAX, p->file, second->line,
                        "user \"%.*s\" is already listed on line %u", STR_ARG(second->user), first->line);
    }
}

static void userlist_complain(struct parser *p, struct str line, const char *problem)
{
    struct diag *row = diags_add(p->diags, SEV_ERROR, E_SYNTAX, p->file, p->line, "%s", problem);
    char unseen[UNSEEN_TEXT_MAX];

    if (unseen_describe(line, p->line == 1 ? UNSEEN_FIRST_LINE : UNSEEN_LINE, unseen))
        diags_hint(p->diags, row, "%s", unseen);
}

static void parse_text(struct parser *p)
{
    char *at = (char *)p->list->text.p;
    char *end = at + p->list->text.n;

    while (at < end) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *line_end = newline ? newline : end;
        p->line++;
        const char *problem = parse_line(p, at, line_end);
        if (problem)
            userlist_complain(p, str_of(at, (size_t)(line_end - at)), problem);
        at = newline ? newline + 1 : end;
    }
    if (p->list->n > 0)
        qsort(p->list->entries, p->list->n, sizeof p->list->entries[0], by_name_then_line);
    report_twins(p);
}

enum code userlist_parse(struct str file, struct bytes text, struct diags *diags, struct userlist **out)
{
    AUTO(userlist) struct userlist *list = calloc(1, sizeof *list);
    size_t errors = diags->errors;

    if (!list) {
        diags->nomem = true;
        return E_NOMEM;
    }
    atomic_init(&list->refs, 1);
    list->text = BUF_INIT(USERLIST_FILE_MAX);
    if (!buf_append(&list->text, text)) {
        (void)diags_add(diags, SEV_ERROR, E_LIMIT, file, 0, "auth file is too large");
        return E_LIMIT;
    }
    struct parser parser = { .list = list, .file = file, .diags = diags };
    parse_text(&parser);
    if (diags->nomem)
        return E_NOMEM;
    if (diags->errors != errors)
        return E_SYNTAX;
    *out = TAKE(list);
    return OK;
}

enum code userlist_load(const char *path, struct diags *diags, struct userlist **out)
{
    struct buf text = BUF_INIT(USERLIST_FILE_MAX);
    struct err e = { 0 };
    enum code code = os_check_secret_file(path, "auth file", &e);

    if (code == OK)
        code = os_read_file(path, &text, &e);
    if (code != OK)
        diags_add_err(diags, &e);
    else
        code = userlist_parse(str_c(path), buf_bytes(&text), diags, out);
    buf_fini_secret(&text);
    return code;
}

const struct userlist_entry *userlist_find(const struct userlist *list, struct str user)
{
    const struct userlist_entry *entries = list->entries;
    size_t low = 0, high = list->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(user, entries[middle].user);
        if (order == 0)
            return &entries[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool userlist_has_cleartext(const struct userlist *list)
{
    return list->has_cleartext;
}

size_t userlist_count(const struct userlist *list)
{
    return list->n;
}

const struct userlist_entry *userlist_first_md5(const struct userlist *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (is_of_type(list->entries[i].secret, VERIFIER_MD5))
            return &list->entries[i];
    return NULL;
}
