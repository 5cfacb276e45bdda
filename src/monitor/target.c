/* Rows into a target. */
#include "monitor/target.h"

#include "base/check.h"
#include "pki/issuers.h"

#include <openssl/x509.h>

enum { ARENA_MAX = 64 << 20, ARENA_FIRST = 4096 };

void monitor_target_init(struct monitor_target *target, const struct monitor_params *params, struct str text)
{
    *target = (struct monitor_target){ .params = params, .text = text };
    arena_init(&target->arena, ARENA_MAX, ARENA_FIRST);
    STAILQ_INIT(&target->rows);
    STAILQ_INIT(&target->asks);
}

void monitor_target_fini(struct monitor_target *target)
{
    struct monitor_ask *ask;

    if (!target->params)
        return;
    monitor_rows_fini(&target->rows);
    STAILQ_FOREACH (ask, &target->asks, next) {
        trust_fini(&ask->roots);
    }
    cert_list_fini(&target->known);
    crl_list_fini(&target->crls);
    arena_fini(&target->arena);
    target->params = NULL;
}

enum code monitor_add_row(struct monitor_target *target, const char *kind, struct str where,
                          struct monitor_row **out, struct err *e)
{
    struct monitor_row *row = ARENA_NEW(&target->arena, struct monitor_row);

    if (!row || !arena_str(&target->arena, where, &row->where))
        return err_set(e, E_NOMEM, "out of memory");
    if (target->n_rows >= MONITOR_ROWS_MAX)
        return err_set(e, E_LIMIT, "more than %d certificates", MONITOR_ROWS_MAX);
    row->kind = kind;
    row->deployed = row->error = STR("");
    STAILQ_INSERT_TAIL(&target->rows, row, next);
    target->n_rows++;
    *out = row;
    return OK;
}

static void target_judge(const struct monitor_target *target, struct monitor_row *row)
{
    static const enum monitor_status of_expiry[] = {
        [EXPIRY_OK] = MONITOR_OK, [EXPIRY_WARNING] = MONITOR_WARNING, [EXPIRY_CRITICAL] = MONITOR_CRITICAL
    };

    row->life = expiry_judge_by(target->params->days, row->not_before_s, row->not_after_s,
                                target->params->now_s);
    row->status = of_expiry[row->life.status];
}

enum code monitor_add_cert(struct monitor_target *target, const char *kind, struct str where, X509 *cert,
                           struct monitor_row **out, struct err *e)
{
    struct cert_info info;
    struct monitor_row *row;
    struct err why;
    enum code code = cert_describe(cert, &target->arena, &info, &why);

    if (code != OK && code != E_NOMEM) {
        *out = NULL;
        return monitor_add_fault(target, kind, where, MONITOR_CRITICAL, err_text(&why), e);
    }
    if (code == OK)
        code = cert_list_add(&target->known, cert);
    if (code != OK && code != E_LIMIT) /* beyond that, issuers are not looked for */
        return err_set(e, E_NOMEM, "out of memory");
    TRY(monitor_add_row(target, kind, where, &row, e));
    (void)X509_up_ref(cert);
    row->cert = cert;
    row->info = info;
    row->not_before_s = info.not_before_unix_s;
    row->not_after_s = info.not_after_unix_s;
    target_judge(target, row);
    *out = row;
    return OK;
}

enum code monitor_add_crl(struct monitor_target *target, struct str where, X509_CRL *crl,
                          struct monitor_row **out, struct err *e)
{
    struct crl_info info;
    struct monitor_row *row;
    struct err why;
    enum code code = crl_describe(crl, &target->arena, &info, &why);

    *out = NULL;
    if (code == E_NOMEM)
        return err_set(e, E_NOMEM, "out of memory");
    if (code != OK)
        return monitor_add_fault(target, "crl", where, MONITOR_CRITICAL, err_text(&why), e);
    code = crl_list_add(&target->crls, crl);
    if (code != OK)
        return err_set(e, code, "too many revocation lists, or out of memory");
    TRY(monitor_add_row(target, "crl", where, &row, e));
    row->is_crl = true;
    row->info.subject = row->info.issuer = info.issuer;
    row->info.serial = info.number;
    row->not_before_s = info.last_update_unix_s;
    row->not_after_s = info.next_update_unix_s;
    target_judge(target, row);
    *out = row;
    return OK;
}

enum code monitor_add_fault(struct monitor_target *target, const char *kind, struct str where,
                            enum monitor_status status, const char *why, struct err *e)
{
    struct monitor_row *row;

    TRY(monitor_add_row(target, kind, where, &row, e));
    return monitor_row_blame(row, &target->arena, status, "%s", why) ? OK
                                                                     : err_set(e, E_NOMEM, "out of memory");
}

enum code monitor_add_ask(struct monitor_target *target, struct monitor_ask **out, struct err *e)
{
    struct monitor_ask *ask = ARENA_NEW(&target->arena, struct monitor_ask);

    if (!ask)
        return err_set(e, E_NOMEM, "out of memory");
    if (target->n_asks >= MONITOR_ASKS_MAX)
        return err_set(e, E_LIMIT, "more than %d endpoints", MONITOR_ASKS_MAX);
    ask->deployed = ask->hostaddr = ask->whom = STR("");
    STAILQ_INSERT_TAIL(&target->asks, ask, next);
    target->n_asks++;
    *out = ask;
    return OK;
}

static bool blame_revoked(struct monitor_target *target, struct monitor_row *row)
{
    for (size_t i = 0; i < target->crls.n; i++)
        if (crl_revokes(target->crls.items[i], row->cert))
            return monitor_row_blame(row, &target->arena, MONITOR_CRITICAL,
                                     "is on its issuer's revocation list");
    return true;
}

enum code monitor_target_finish(struct monitor_target *target, struct err *e)
{
    struct monitor_row *row;

    STAILQ_FOREACH (row, &target->rows, next) {
        if (!row->cert)
            continue;
        if (!blame_revoked(target, row))
            return err_set(e, E_NOMEM, "out of memory");
        TRY(issuers_of(row->cert, &target->known, &target->arena, &row->path, &row->n_path, e));
    }
    return OK;
}
