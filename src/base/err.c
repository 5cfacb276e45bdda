/* Codes, single errors, lists of errors. */
#include "base/err.h"

#include "base/arena.h"
#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    const char *sqlstate;
    const char *text;
    int exit_status;
} codes[] = {
    [OK] = { "OK", "00000", "success", 0 },
#define X(name, sqlstate, exit_status, text) [name] = { #name, sqlstate, text, exit_status },
#include "errors.def"
#undef X
};

const char *code_name(enum code code)
{
    return codes[code].name;
}

const char *code_sqlstate(enum code code)
{
    return codes[code].sqlstate;
}

int code_exit(enum code code)
{
    return codes[code].exit_status;
}

const char *code_text(enum code code)
{
    return codes[code].text;
}

enum code code_from_errno(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
        return E_NO_FILE;
    case EACCES:
    case EPERM:
    case EROFS:
        return E_ACCESS;
    case EEXIST:
        return E_EXISTS;
    case ENOSPC:
        return E_DISK_FULL;
    case ENOMEM:
        return E_NOMEM;
    default:
        return E_IO;
    }
}

#undef err_set
enum code err_set(struct err *e, enum code code, const char *fmt, ...)
{
    va_list args;

    if (!e)
        return code;
    *e = (struct err){ .code = code };
    va_start(args, fmt);
    (void)vsnprintf(e->message, sizeof e->message, fmt, args);
    va_end(args);
    return code;
}

void err_detail(struct err *e, const char *fmt, ...)
{
    va_list args;

    if (!e)
        return;
    va_start(args, fmt);
    (void)vsnprintf(e->detail, sizeof e->detail, fmt, args);
    va_end(args);
}

void err_sqlstate_set(struct err *e, struct str sqlstate)
{
    bool fits = e && sqlstate.n == sizeof e->sqlstate - 1;

    for (size_t i = 0; fits && i < sqlstate.n; i++)
        fits = (sqlstate.p[i] >= '0' && sqlstate.p[i] <= '9') ||
               (sqlstate.p[i] >= 'A' && sqlstate.p[i] <= 'Z');
    if (fits)
        memcpy(e->sqlstate, sqlstate.p, sqlstate.n);
}

const char *err_sqlstate(const struct err *e)
{
    return e->sqlstate[0] ? e->sqlstate : code_sqlstate(e->code);
}

void err_detail_log(struct err *e, const char *fmt, ...)
{
    va_list args;

    if (!e)
        return;
    va_start(args, fmt);
    (void)vsnprintf(e->detail, sizeof e->detail, fmt, args);
    va_end(args);
    e->detail_is_for_log = true;
}

void err_hint(struct err *e, const char *fmt, ...)
{
    va_list args;

    if (!e)
        return;
    va_start(args, fmt);
    (void)vsnprintf(e->hint, sizeof e->hint, fmt, args);
    va_end(args);
}

void err_where(struct err *e, struct str file, unsigned line)
{
    if (!e)
        return;
    if (!str_to_c(str_first(file, sizeof e->file - 1), e->file, sizeof e->file))
        e->file[0] = '\0';
    e->line = line;
}

const char *err_text(const struct err *e)
{
    return e->message[0] ? e->message : code_text(e->code);
}

const char *severity_name(enum severity severity)
{
    static const char *const names[] = {
        [SEV_DEBUG] = "DEBUG", [SEV_INFO] = "INFO", [SEV_NOTICE] = "NOTICE", [SEV_WARNING] = "WARNING",
        [SEV_ERROR] = "ERROR", [SEV_LOG] = "LOG",   [SEV_FATAL] = "FATAL",   [SEV_PANIC] = "PANIC",
    };

    return names[severity];
}

void diags_init(struct diags *diags, struct arena *arena)
{
    *diags = (struct diags){ .arena = arena };
    STAILQ_INIT(&diags->list);
}

struct diag *diags_add(struct diags *diags, enum severity severity, enum code code, struct str file,
                       unsigned line, const char *fmt, ...)
{
    va_list args;
    struct diag *row = ARENA_NEW(diags->arena, struct diag);

    if (severity >= SEV_ERROR && severity != SEV_LOG)
        diags->errors++;
    if (!row) {
        diags->nomem = true;
        return NULL;
    }
    *row = (struct diag){ .severity = severity, .code = code, .line = line };
    va_start(args, fmt);
    bool ok = arena_vprintf(diags->arena, &row->message, fmt, args) &&
              arena_str(diags->arena, file, &row->file);
    va_end(args);
    diags->nomem |= !ok;
    STAILQ_INSERT_TAIL(&diags->list, row, next);
    return row;
}

void diags_hint(struct diags *diags, struct diag *row, const char *fmt, ...)
{
    va_list args;

    if (!row)
        return;
    va_start(args, fmt);
    diags->nomem |= !arena_vprintf(diags->arena, &row->hint, fmt, args);
    va_end(args);
}

void diags_detail(struct diags *diags, struct diag *row, const char *fmt, ...)
{
    va_list args;

    if (!row)
        return;
    va_start(args, fmt);
    diags->nomem |= !arena_vprintf(diags->arena, &row->detail, fmt, args);
    va_end(args);
}

void diags_add_err(struct diags *diags, const struct err *e)
{
    struct diag *row = diags_add(diags, SEV_ERROR, e->code, str_c(e->file), e->line, "%s", err_text(e));

    if (e->detail[0])
        diags_detail(diags, row, "%s", e->detail);
    if (e->hint[0])
        diags_hint(diags, row, "%s", e->hint);
}

const struct diag *diags_first_error(const struct diags *diags)
{
    const struct diag *row = STAILQ_FIRST(&diags->list);

    while (row && row->severity != SEV_ERROR)
        row = STAILQ_NEXT(row, next);
    return row;
}

enum code diags_to_err(const struct diags *diags, enum code code, const char *otherwise, struct err *e)
{
    const struct diag *row = diags_first_error(diags);

    if (!row)
        return err_set(e, code, "%s", otherwise);
    (void)err_set(e, code, "%.*s", STR_ARG(row->message));
    err_where(e, row->file, row->line);
    return code;
}

bool diags_ok(const struct diags *diags)
{
    return diags->errors == 0 && !diags->nomem;
}
