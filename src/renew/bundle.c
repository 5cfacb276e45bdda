/* Roots: which come, which stay, which go. */
#include "renew/bundle.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

#include <inttypes.h>
#include <openssl/x509.h>

enum { DAY_S = 86400 };

static const char *const what_names[] = {
    [BUNDLE_ADDED] = "added",     [BUNDLE_REMOVED] = "removed",    [BUNDLE_KEPT] = "kept",
    [BUNDLE_EXPIRED] = "expired", [BUNDLE_NO_ROOT] = "not a root",
};

const char *bundle_what_name(enum bundle_what what)
{
    return what_names[what];
}

/* ---- the past ---- */

static bool hex_digit(char c, unsigned *out)
{
    if (c >= '0' && c <= '9')
        *out = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *out = (unsigned)(c - 'a') + 10;
    else
        return false;
    return true;
}

static bool read_kept(struct str line, struct bundle_kept *out)
{
    struct str hex, seconds = line;
    unsigned high, low;
    uint32_t since;

    if (!str_split(&seconds, ' ', &hex) || hex.n != sizeof out->sha256 * 2 ||
        !str_to_u32(seconds, 1, UINT32_MAX, &since))
        return false;
    for (size_t i = 0; i < sizeof out->sha256; i++) {
        if (!hex_digit(hex.p[2 * i], &high) || !hex_digit(hex.p[2 * i + 1], &low))
            return false;
        out->sha256[i] = (uint8_t)(high << 4 | low);
    }
    out->since_unix_s = since;
    return true;
}

enum code bundle_past_parse(struct str text, struct arena *arena, struct bundle_past *out, struct err *e)
{
    struct bundle_past past = { .items = arena_array(arena, CERT_LIST_MAX, sizeof *past.items) };
    struct str line;

    if (!past.items)
        return err_set(e, E_NOMEM, "out of memory");
    while (past.n < CERT_LIST_MAX && str_split(&text, '\n', &line))
        if (read_kept(line, &past.items[past.n]))
            past.n++;
    *out = past;
    return OK;
}

void bundle_past_write(const struct bundle_past *past, struct buf *out)
{
    char hex[CERT_SHA256_TEXT];

    for (size_t i = 0; i < past->n; i++) {
        cert_sha256_text(past->items[i].sha256, hex);
        buf_printf(out, "%s %" PRId64 "\n", hex, past->items[i].since_unix_s);
    }
}

/* ---- the plan ---- */

/* One certificate, looked at once. */
struct seen {
    X509 *cert; /* borrowed */
    uint8_t sha256[CERT_SHA256_SIZE];
    int64_t ends;
    bool root, valid;
};

struct seen_list {
    struct seen *items;
    size_t n;
};

struct planning {
    const struct bundle_facts *facts;
    struct arena *arena;
    struct bundle_plan *plan;
    struct seen_list fetched, running;
};

static const struct seen *seen_find(const struct seen_list *list, const uint8_t sha256[CERT_SHA256_SIZE])
{
    for (size_t i = 0; i < list->n; i++)
        if (memcmp(list->items[i].sha256, sha256, CERT_SHA256_SIZE) == 0)
            return &list->items[i];
    return NULL;
}

/* Each certificate once. */
static enum code look(const struct planning *p, const struct cert_list *certs, struct seen_list *out,
                      struct err *e)
{
    struct seen_list list = { .items = arena_array(p->arena, certs->n + 1, sizeof *list.items) };
    int64_t from;

    if (!list.items)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < certs->n; i++) {
        struct seen *seen = &list.items[list.n];
        *seen = (struct seen){ .cert = certs->items[i], .root = cert_self_signed(certs->items[i]) };
        if (!cert_sha256(seen->cert, seen->sha256))
            return err_set(e, E_INTERNAL, "could not compute a fingerprint");
        TRY(cert_times(seen->cert, &from, &seen->ends, e));
        seen->valid = seen->ends > p->facts->now_unix_s;
        if (!seen_find(&list, seen->sha256))
            list.n++;
    }
    *out = list;
    return OK;
}

static enum code tell(struct planning *p, enum bundle_what what, const struct seen *seen, int64_t until,
                      struct err *e)
{
    struct bundle_change *change = &p->plan->changes[p->plan->n];

    change->what = what;
    change->not_after_unix_s = seen->ends;
    change->until_unix_s = until;
    cert_sha256_text(seen->sha256, change->sha256);
    TRY(name_slash(X509_get_subject_name(seen->cert), p->arena, &change->subject, e));
    p->plan->n++;
    return OK;
}

static void note_end(struct planning *p, int64_t when)
{
    if (p->plan->next_unix_s == 0 || when < p->plan->next_unix_s)
        p->plan->next_unix_s = when;
}

static enum code take(struct planning *p, const struct seen *seen, struct err *e)
{
    note_end(p, seen->ends);
    if (cert_list_add(&p->plan->roots, seen->cert) == OK)
        return OK;
    return err_set(e, E_LIMIT, "there are more than %d roots", CERT_LIST_MAX);
}

static int64_t since(const struct planning *p, const struct seen *seen)
{
    const struct bundle_past *past = p->facts->past;

    for (size_t i = 0; i < past->n; i++)
        /* A clock that was set back must not keep a root for ever. */
        if (memcmp(past->items[i].sha256, seen->sha256, sizeof seen->sha256) == 0 &&
            past->items[i].since_unix_s <= p->facts->now_unix_s)
            return past->items[i].since_unix_s;
    return p->facts->now_unix_s;
}

static enum code plan_fetched(struct planning *p, const struct seen *seen, struct err *e)
{
    if (!seen->root)
        return tell(p, BUNDLE_NO_ROOT, seen, 0, e);
    if (!seen->valid)
        return tell(p, BUNDLE_EXPIRED, seen, 0, e);
    TRY(take(p, seen, e));
    if (seen_find(&p->running, seen->sha256))
        return OK;
    p->plan->differs = true;
    return tell(p, BUNDLE_ADDED, seen, 0, e);
}

static enum code plan_running(struct planning *p, const struct seen *seen, struct err *e)
{
    struct bundle_past *past = &p->plan->past;
    const struct seen *still = seen_find(&p->fetched, seen->sha256);
    int64_t missing = since(p, seen), until = missing + (int64_t)p->facts->keep_days * DAY_S;

    if (still && still->root && still->valid)
        return OK;
    if (seen->root && seen->valid && until > p->facts->now_unix_s) {
        struct bundle_kept *kept = &past->items[past->n++];
        memcpy(kept->sha256, seen->sha256, sizeof kept->sha256);
        kept->since_unix_s = missing;
        note_end(p, until);
        TRY(take(p, seen, e));
        return tell(p, BUNDLE_KEPT, seen, until, e);
    }
    p->plan->differs = true;
    p->plan->loses = p->plan->loses || (seen->root && seen->valid);
    return tell(p, BUNDLE_REMOVED, seen, 0, e);
}

static enum code plan_all(struct planning *p, struct err *e)
{
    const struct bundle_facts *facts = p->facts;
    struct bundle_plan *plan = p->plan;

    plan->changes = arena_array(p->arena, facts->fetched->n + facts->running->n + 1, sizeof *plan->changes);
    plan->past.items = arena_array(p->arena, facts->running->n + 1, sizeof *plan->past.items);
    if (!plan->changes || !plan->past.items)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(look(p, facts->fetched, &p->fetched, e));
    TRY(look(p, facts->running, &p->running, e));
    for (size_t i = 0; i < p->fetched.n; i++)
        TRY(plan_fetched(p, &p->fetched.items[i], e));
    if (plan->roots.n == 0)
        return err_set(e, E_CONFIG, "the bundle contains no valid root");
    for (size_t i = 0; i < p->running.n; i++)
        TRY(plan_running(p, &p->running.items[i], e));
    if (p->running.n != facts->running->n) /* one of them is there twice */
        plan->differs = true;
    return OK;
}

void bundle_plan_fini(struct bundle_plan *plan)
{
    cert_list_fini(&plan->roots);
}

enum code bundle_plan_make(const struct bundle_facts *facts, struct arena *arena, struct bundle_plan *out,
                           struct err *e)
{
    struct bundle_plan plan = { .n = 0 };
    struct planning p = { .facts = facts, .arena = arena, .plan = &plan };
    enum code code = plan_all(&p, e);

    if (code == OK)
        *out = plan;
    else
        bundle_plan_fini(&plan);
    return code;
}
