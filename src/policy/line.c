#include "policy/line.h"

#include "base/unseen.h"
#include "policy/method.h"
#include "policy/policy_impl.h"

static bool fault_text(struct line_parser *p, struct str *out, const char *fmt, va_list args)
    PRINTF_LIKE(3, 0);
static bool fault_text(struct line_parser *p, struct str *out, const char *fmt, va_list args)
{
    if (arena_vprintf(p->arena, out, fmt, args))
        return true;
    *out = STR("out of memory");
    return false;
}

static void fault_log(struct line_parser *p, enum severity severity, enum code code, const char *hint,
                      struct str text)
{
    if (!p->diags)
        return;
    struct diag *row = diags_add(p->diags, severity, code, p->line->file, p->line->line, "%.*s",
                                 STR_ARG(text));
    char unseen[UNSEEN_TEXT_MAX] = "";
    if (severity == SEV_ERROR)
        (void)unseen_describe(p->line->raw, p->line->line == 1 ? UNSEEN_FIRST_LINE : UNSEEN_LINE, unseen);
    if (hint || unseen[0])
        diags_hint(p->diags, row, "%s%s%s", hint ? hint : "", hint && unseen[0] ? " " : "", unseen);
}

#undef line_bad
enum code line_bad(struct line_parser *p, enum code code, const char *hint, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    bool ok = fault_text(p, &p->fault.error, fmt, args);
    va_end(args);
    fault_log(p, SEV_ERROR, code, hint, p->fault.error);
    return ok ? code : E_NOMEM;
}

enum code line_bad_hidden(struct line_parser *p, enum code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    bool ok = fault_text(p, &p->fault.hidden, fmt, args);
    va_end(args);
    fault_log(p, SEV_ERROR, code, NULL, p->fault.hidden);
    return ok ? code : E_NOMEM;
}

void line_log(struct line_parser *p, const char *hint, const char *fmt, ...)
{
    struct str text;
    va_list args;

    va_start(args, fmt);
    (void)fault_text(p, &text, fmt, args);
    va_end(args);
    fault_log(p, SEV_LOG, E_CONFIG, hint, text);
}

enum code hba_option_missing(struct line_parser *p, const struct hba_rule *rule, const char *argument)
{
    return line_bad(p, E_CONFIG, NULL, "authentication method \"%s\" requires argument \"%s\" to be set",
                    hba_method_name(rule->method), argument);
}
