#include "audit/finding.h"

static struct finding *finding_add(struct audit *a, struct finding finding, const char *what, va_list args)
    PRINTF_LIKE(3, 0);
static struct finding *finding_add(struct audit *a, struct finding finding, const char *what, va_list args)
{
    finding.severity = profile_severity(a->profile, finding.check, a->subject->version);
    finding.fix = str_c(check_fix(finding.check));
    struct finding *items = arena_grow(a->arena, a->items, a->n, &a->size, sizeof *items);
    if (items)
        a->items = items;
    if (!items || !arena_vprintf(a->arena, &finding.what, what, args)) {
        a->nomem = true;
        return NULL;
    }
    a->items[a->n] = finding;
    return &a->items[a->n++];
}

struct finding *audit_add(struct audit *a, enum check check, struct str where, const char *what, ...)
{
    va_list args;

    va_start(args, what);
    struct finding *f = finding_add(a, (struct finding){ .check = check, .where = where, .about = where },
                                    what, args);
    va_end(args);
    return f;
}

struct finding *audit_add_setting(struct audit *a, enum check check, const char *setting, const char *what,
                                  ...)
{
    struct finding finding = { .check = check, .where = str_c(setting), .about = str_c(setting) };
    struct str file;
    unsigned line;
    va_list args;

    subject_place(a->subject, setting, &file, &line);
    if (file.n > 0)
        finding.where = audit_place(a, file, line);
    va_start(args, what);
    struct finding *f = finding_add(a, finding, what, args);
    va_end(args);
    return f;
}

struct str audit_place(struct audit *a, struct str file, unsigned line)
{
    return line > 0 ? audit_text(a, "%.*s:%u", STR_ARG(file), line) : file;
}

struct str audit_text(struct audit *a, const char *fmt, ...)
{
    struct str text = STR("");
    va_list args;

    va_start(args, fmt);
    if (!arena_vprintf(a->arena, &text, fmt, args))
        a->nomem = true;
    va_end(args);
    return text;
}

void audit_show_certificate(struct audit *a, struct audit_certificate certificate)
{
    struct audit_certificate *certificates = arena_grow(a->arena, a->certificates, a->n_certificates,
                                                        &a->certificates_size, sizeof *certificates);

    if (!certificates) {
        a->nomem = true;
        return;
    }
    a->certificates = certificates;
    a->certificates[a->n_certificates++] = certificate;
}

const char *audit_connection_file(struct audit *a, const struct subject_connection *c, struct str path)
{
    if (path.n == 0 || str_has_nul(path) ||
        a->subject->live) /* what a live server names lies on its machine */
        return NULL;
    if (path.p[0] != '/' && (c->link || a->subject->dir.n == 0))
        return NULL;
    if (path.p[0] != '/')
        path = audit_text(a, "%.*s/%.*s", STR_ARG(a->subject->dir), STR_ARG(path));
    const char *file = arena_c(a->arena, path);
    return file && !subject_is_unseen(a->subject, file) ? file : NULL;
}
