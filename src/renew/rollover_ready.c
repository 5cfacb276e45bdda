/* The verdict on each client. */
#include "renew/rollover_ready.h"

#include "base/arena.h"

#include <stdlib.h>

static const char *const readiness_names[] = {
#define X(state, word) word,
    ROLLOVER_READINESS(X)
#undef X
};

const char *rollover_readiness_name(enum rollover_readiness state)
{
    return readiness_names[state];
}

const char *rollover_breaks_name(enum rollover_breaks breaks)
{
    static const char *const names[] = {
        [ROLLOVER_BREAKS_NO] = "no", [ROLLOVER_BREAKS_MAYBE] = "maybe", [ROLLOVER_BREAKS_YES] = "yes"
    };

    return names[breaks];
}

static bool ready_is_among(struct str name, const struct str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(names[i], name))
            return true;
    return false;
}

/* ---- the server's certificate ---- */

static bool is_carrier(const struct rollover_client *client)
{
    return client->user.n == 0;
}

/* Evidence of an earlier rollover, or of somebody else's chain, is none. */
static int64_t counted(const struct rollover_evidence *evidence, int64_t when_us)
{
    return evidence->foreign_probe || when_us < evidence->both_us ? 0 : when_us;
}

/* When the chain was refused last: by the client, or by somebody at its address who did not say who he is. */
static int64_t failed_at(const struct rollover_evidence *evidence, const struct rollover_client *client)
{
    int64_t last = client->failed_us;

    for (size_t i = 0; i < evidence->n; i++) {
        const struct rollover_client *other = &evidence->clients[i];
        if (is_carrier(other) && str_equal(other->address, client->address) && other->failed_us > last)
            last = other->failed_us;
    }
    return counted(evidence, last);
}

static void judge_unverified(const struct rollover_client *client, bool proved, struct rollover_verdict *v)
{
    v->state = ROLLOVER_READY_UNKNOWN;
    v->breaks = ROLLOVER_BREAKS_NO;
    if (str_is(client->verifies, "no"))
        v->why = "verifies no certificate: it will go on working, and proves nothing";
    else if (proved)
        v->why = "has accepted the new CA's chain, but it is not known whether it verifies one";
}

/* Whoever connects behind the new chain knows the new CA, or verifies nobody. */
static void judge_server_side(const struct rollover_evidence *evidence, struct rollover_verdict *v)
{
    const struct rollover_client *client = v->client;
    bool verifies = str_is(client->verifies, "yes") || str_is(client->verifies, "chain only");
    int64_t failed = failed_at(evidence, client);
    int64_t next = counted(evidence, client->next_us);
    bool proved = next > 0 && next > failed;

    if (client->address.n == 0) {
        v->why = "connects without TLS, over a Unix-domain socket";
    } else if (str_is(client->sslmode, "disable") && !client->tls) {
        v->why = "connects without TLS";
    } else if (proved && verifies) {
        v->why = "has accepted the new CA's chain";
    } else if (proved || str_is(client->verifies, "no")) {
        judge_unverified(client, proved, v);
    } else if (failed > 0) {
        v->state = ROLLOVER_READY_OLD;
        v->breaks = ROLLOVER_BREAKS_YES;
        v->why = "refused the new CA's chain";
    } else {
        v->state = ROLLOVER_READY_UNPROVED;
        v->breaks = ROLLOVER_BREAKS_MAYBE;
        v->why = "has not been shown the new CA's chain yet";
    }
}

/* ---- its own certificate ---- */

static void judge_client_side(const struct rollover_evidence *evidence, struct rollover_verdict *v)
{
    struct str issuer = v->client->cert_issuer;

    bool next = ready_is_among(issuer, evidence->next_names, evidence->n_next);
    bool old = ready_is_among(issuer, evidence->old_names, evidence->n_old);

    if (issuer.n == 0 || (next && !old))
        return;
    if (next) {
        v->state = ROLLOVER_READY_CERT;
        v->breaks = ROLLOVER_BREAKS_MAYBE;
        v->why = "presents a certificate of the old CA or the new one: their names are alike";
    } else if (old) {
        v->state = ROLLOVER_READY_CERT;
        v->breaks = ROLLOVER_BREAKS_YES;
        v->why = "presents a certificate of the old CA";
    } else if (!evidence->own && v->state == ROLLOVER_READY_READY) {
        v->state = ROLLOVER_READY_UNKNOWN;
        v->breaks = ROLLOVER_BREAKS_MAYBE;
        v->why = "presents a certificate of another CA, which may chain to the old root";
    }
}

/* ---- all of them ---- */

/* What somebody without a name did is told by those with one at his address; strangers do not matter. */
static bool is_told(const struct rollover_evidence *evidence, const struct rollover_client *client)
{
    if (!is_carrier(client))
        return client->admitted;
    if (counted(evidence, client->failed_us) == 0)
        return false;
    for (size_t i = 0; i < evidence->n; i++)
        if (!is_carrier(&evidence->clients[i]) && str_equal(evidence->clients[i].address, client->address))
            return false;
    return true;
}

static int compare_verdicts(const void *left, const void *right)
{
    const struct rollover_verdict *a = left, *b = right;
    int order = (int)a->state - (int)b->state;

    if (order == 0)
        order = str_compare(a->client->user, b->client->user);
    if (order == 0)
        order = str_compare(a->client->address, b->client->address);
    return order ? order : str_compare(a->client->application, b->client->application);
}

static struct rollover_verdict judge_one(const struct rollover_evidence *evidence,
                                         const struct rollover_client *client)
{
    struct rollover_verdict v = { .client = client,
                                  .state = ROLLOVER_READY_READY,
                                  .breaks = ROLLOVER_BREAKS_NO,
                                  .why = "presents no certificate of the old CA" };

    v.recent = client->seen_unix_s >= evidence->since_unix_s;
    v.accepted = ready_is_among(client->user, evidence->accept, evidence->n_accept) ||
                 ready_is_among(client->address, evidence->accept, evidence->n_accept) ||
                 ready_is_among(client->application, evidence->accept, evidence->n_accept);
    if (evidence->server_side)
        judge_server_side(evidence, &v);
    if (evidence->client_side)
        judge_client_side(evidence, &v);
    return v;
}

enum code rollover_judge(const struct rollover_evidence *evidence, struct arena *arena,
                         struct rollover_verdicts *out, struct err *e)
{
    struct rollover_verdicts all = { .items = arena_array(arena, evidence->n, sizeof *all.items) };

    if (!all.items)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < evidence->n; i++) {
        if (!is_told(evidence, &evidence->clients[i]))
            continue;
        struct rollover_verdict v = judge_one(evidence, &evidence->clients[i]);
        bool late = v.recent && v.state != ROLLOVER_READY_READY;
        all.waiting += late && !v.accepted;
        all.breaking += late && v.breaks != ROLLOVER_BREAKS_NO;
        all.items[all.n++] = v;
    }
    if (all.n > 0)
        qsort(all.items, all.n, sizeof *all.items, compare_verdicts);
    *out = all;
    return OK;
}
