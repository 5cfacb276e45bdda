/* The order of checks, and the order of what they find. */
#include "audit/audit.h"

#include "audit/check_around.h"
#include "audit/check_broken.h"
#include "audit/check_certs.h"
#include "audit/check_clients.h"
#include "audit/check_keys.h"
#include "audit/check_links.h"
#include "audit/check_live.h"
#include "audit/check_pair.h"
#include "audit/check_programs.h"
#include "audit/check_roles.h"
#include "audit/check_rules.h"
#include "audit/check_server.h"
#include "audit/check_sni.h"
#include "audit/check_tls.h"
#include "audit/checklist.h"
#include "base/check.h"

/* The same tomorrow, and from another place. */
static void cut_about(struct audit *a)
{
    struct str dir = a->subject->dir;

    for (size_t i = 0; i < a->n; i++) {
        struct str *about = &a->items[i].about;
        if (dir.n > 0 && str_starts(*about, dir) && about->n > dir.n && about->p[dir.n] == '/')
            *about = str_from(*about, dir.n + 1);
    }
}

/* The worst first, then as in the table; those of one check as they were found. */
static bool sort(struct audit *a, struct audit_report *out)
{
    struct finding *sorted = arena_array(a->arena, a->n, sizeof *sorted);
    size_t place[FINDING_SEVERITIES * CHECK_COUNT + 1] = { 0 };

    if (!sorted)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        place[a->items[i].severity * CHECK_COUNT + a->items[i].check + 1]++;
        out->counts[a->items[i].severity]++;
    }
    for (size_t i = 1; i < COUNT_OF(place); i++)
        place[i] += place[i - 1];
    for (size_t i = 0; i < a->n; i++)
        sorted[place[a->items[i].severity * CHECK_COUNT + a->items[i].check]++] = a->items[i];
    out->findings = (struct findings){ sorted, a->n };
    return true;
}

enum code audit_run(const struct audit_subject *subject, enum audit_profile profile, struct arena *arena,
                    struct audit_report *out)
{
    struct audit a = { .subject = subject, .profile = profile, .arena = arena };

    *out = (struct audit_report){ .subject = subject, .profile = profile };
    check_broken(&a);
    check_tls(&a);
    check_certificates(&a);
    check_sni(&a);
    check_client_certificates(&a);
    check_rules(&a);
    check_live(&a);
    check_roles(&a);
    check_upstreams(&a);
    check_clients(&a);
    check_links(&a);
    check_programs(&a);
    check_files(&a);
    check_pairs(&a);
    check_operation(&a);
    check_server(&a);
    check_key_reuse(&a);
    cut_about(&a);
    out->certificates = a.certificates;
    out->n_certificates = a.n_certificates;
    if (a.nomem || !sort(&a, out))
        return E_NOMEM;
    return checklist_judge(out, arena);
}
