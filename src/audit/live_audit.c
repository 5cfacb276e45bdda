#include "audit/live_audit.h"

#include "base/arena.h"

enum code live_audit_unseen(struct live_audit *audit, const char *what, struct str why, unsigned items)
{
    const struct subject_unseen unseen = { str_c(what), why, items };

    if (!collect_unseen(&audit->collected->subject, audit->arena, unseen))
        return err_set(audit->e, E_NOMEM, "out of memory");
    return OK;
}

enum code live_audit_query(struct live_audit *audit, const struct live_statement *statement,
                           struct live_rows *out, bool *out_seen)
{
    struct err refusal = { .code = OK };
    struct str why;

    enum code code = live_ask(audit->live, statement->what, statement->sql, out, &refusal);
    *out_seen = code == OK;
    if (code == OK)
        return OK;
    if (code != E_ACCESS && code != E_UNDEFINED && code != E_PARAM) {
        *audit->e = refusal;
        return code;
    }
    bool needs = code == E_ACCESS && statement->needs;
    if (!arena_printf(audit->arena, &why, "%s%s%s", err_text(&refusal), needs ? "; this requires " : "",
                      needs ? statement->needs : ""))
        return err_set(audit->e, E_NOMEM, "out of memory");
    return live_audit_unseen(audit, statement->what, why, statement->items);
}
