/* Failures by cause and address. */
#include "gate/stats/tally.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/lru.h"
#include "tls/diag.h"

#include <stdio.h>
#include <stdlib.h>

enum { TALLY_SLOTS = 512 };

struct tally {
    struct lru *rows;
};

struct tally *tally_new(size_t limit)
{
    struct tally *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->rows = lru_new(TALLY_SLOTS, sizeof(struct tally_row), sizeof(struct tally_key), limit);
    if (t->rows)
        return t;
    free(t);
    return NULL;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    lru_free(tally->rows);
    free(tally);
}

int64_t tally_span_of(int64_t unix_us)
{
    return unix_us / 1000000 / TALLY_SPAN_S;
}

void tally_spans_add(struct tally_spans *to, const struct tally_spans *from)
{
    struct tally_spans sum = { .last = to->last > from->last ? to->last : from->last };

    for (size_t i = 0; i < TALLY_SPANS; i++) {
        uint64_t of_to = (uint64_t)(sum.last - to->last) + i, of_from = (uint64_t)(sum.last - from->last) + i;
        if (of_to < TALLY_SPANS)
            sum.counts[of_to] += to->counts[i];
        if (of_from < TALLY_SPANS)
            sum.counts[of_from] += from->counts[i];
    }
    *to = sum;
}

static void merge(struct tally_row *row, const struct tally_row *seen)
{
    struct tally_row before = *row;

    if (seen->last_us >= before.last_us)
        *row = *seen; /* the last time tells most */
    row->count = before.count + seen->count;
    row->first_us = before.first_us < seen->first_us ? before.first_us : seen->first_us;
    row->spans = before.spans;
    tally_spans_add(&row->spans, &seen->spans);
}

void tally_note(struct tally *tally, const struct tally_row *seen)
{
    struct tally_row *row = lru_note(tally->rows, &seen->key, false);

    if (row && row->count == 0)
        *row = *seen;
    else if (row)
        merge(row, seen);
}

bool tally_copy(const struct tally *tally, struct arena *arena, const struct tally_row **out, size_t *out_n)
{
    size_t n = lru_count(tally->rows);
    struct tally_row *rows = arena_array(arena, n, sizeof *rows);
    const struct tally_row *row = NULL;

    if (!rows)
        return false;
    *out_n = n;
    while ((row = lru_next(tally->rows, false, row)) != NULL)
        rows[--n] = *row;
    *out = rows;
    return true;
}

void tally_save(const struct tally_row *row, struct tally_saved *out)
{
    *out = (struct tally_saved){
        .count = row->count, .first_us = row->first_us, .last_us = row->last_us, .spans = row->spans
    };
    (void)snprintf(out->cause, sizeof out->cause, "%s", cause_id(row->key.cause));
    (void)snprintf(out->alert, sizeof out->alert, "%s", row->alert ? row->alert : "");
    (void)snprintf(out->tls_version, sizeof out->tls_version, "%s", row->tls_version ? row->tls_version : "");
    memcpy(out->address, row->key.address, sizeof out->address);
    memcpy(out->user, row->user, sizeof out->user);
    memcpy(out->sni, row->sni, sizeof out->sni);
}

/* ---- texts that are static ---- */

static const char *alert_of(const char *text, size_t size)
{
    for (int alert = 0; alert <= UINT8_MAX; alert++)
        if (strncmp(tls_alert_name(alert), text, size) == 0)
            return tls_alert_name(alert);
    return "";
}

static const char *version_of(const char *text, size_t size)
{
    static const char *const versions[] = { "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };

    for (size_t i = 0; i < COUNT_OF(versions); i++)
        if (strncmp(versions[i], text, size) == 0)
            return versions[i];
    return "";
}

static bool find_cause(const char *text, size_t size, enum cause *out)
{
    for (int cause = CAUSE_NONE + 1; cause < CAUSE_COUNT; cause++)
        if (strncmp(cause_id((enum cause)cause), text, size) == 0) {
            *out = (enum cause)cause;
            return true;
        }
    return false;
}

/* Filled up with zeros: the key is compared as bytes. */
static void take_text(char *out, const char *text, size_t size)
{
    memset(out, 0, size);
    memcpy(out, text, strnlen(text, size - 1));
}

bool tally_restore(const struct tally_saved *saved, struct tally_row *out)
{
    *out = (struct tally_row){
        .count = saved->count, .first_us = saved->first_us, .last_us = saved->last_us, .spans = saved->spans
    };
    out->alert = alert_of(saved->alert, sizeof saved->alert);
    out->tls_version = version_of(saved->tls_version, sizeof saved->tls_version);
    take_text(out->key.address, saved->address, sizeof out->key.address);
    take_text(out->user, saved->user, sizeof out->user);
    take_text(out->sni, saved->sni, sizeof out->sni);
    return find_cause(saved->cause, sizeof saved->cause, &out->key.cause) && saved->count > 0;
}
