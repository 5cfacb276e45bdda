#include "gate/views/rows_tally.h"

#include "gate/stats/tally.h"
#include "gate/views/gather.h"
#include "gate/views/rows.h"
#include "gate/work/worker.h"

static struct cell rows_tally_text(const char *c)
{
    return cell_text_or_null(str_c(c));
}

/* False when memory ran out. */
static bool fill_spans(struct rows *rows, const struct tally_row *from, struct row_pgseal_failures *out)
{
    struct tally_spans spans = { .last = tally_span_of(rows->now_us) };
    struct str *items = arena_array(&rows->arena, TALLY_SPANS, sizeof *items);
    int64_t sum = 0;

    tally_spans_add(&spans, &from->spans);
    for (size_t i = 0; items && i < TALLY_SPANS; i++) {
        uint32_t count = spans.counts[TALLY_SPANS - 1 - i];
        sum += count;
        if (!arena_printf(&rows->arena, &items[i], "%u", count))
            return false;
    }
    out->last_hour = cell_int(sum);
    out->recent = cell_texts(items, TALLY_SPANS);
    return items != NULL;
}

static void fill_failure(const struct tally_row *from, struct row_pgseal_failures *out)
{
    out->cause = rows_tally_text(cause_id(from->key.cause));
    out->client_addr = rows_tally_text(from->key.address);
    out->count = cell_int(from->count);
    out->first_seen = cell_int(from->first_us);
    out->last_seen = cell_int(from->last_us);
    out->alert = rows_tally_text(from->alert);
    out->tls_version = rows_tally_text(from->tls_version);
    out->sni = rows_tally_text(from->sni);
    out->user_name = rows_tally_text(from->user);
    out->likely = rows_tally_text(cause_text(from->key.cause));
    out->hint = rows_tally_text(cause_next(from->key.cause));
}

/* The workers' rows, those of one key as one; they live in the arena. */
static bool collect(struct rows *rows, const struct tally_row **out, size_t *out_n)
{
    struct tally *all = tally_new(SIZE_MAX);
    bool done = all != NULL;

    for (unsigned w = 0; done && w < rows->shared->n_workers; w++) {
        size_t n;
        const struct tally_row *some = gather_tally(rows->gather, w, &n);
        for (size_t i = n; i > 0; i--) /* the oldest first, so that the order stays */
            tally_note(all, &some[i - 1]);
    }
    done = done && tally_copy(all, &rows->arena, out, out_n);
    tally_free(all);
    return done;
}

enum code rows_make_failures(struct rows *rows, struct rows_list *out, struct err *e)
{
    const struct tally_row *found;
    size_t n;

    if (!rows->gather || !gather_complete(rows->gather) || !collect(rows, &found, &n))
        return err_set(e, E_NOMEM, "out of memory");
    out->at = arena_array(&rows->arena, n, sizeof *out->at);
    if (!out->at)
        return err_set(e, E_NOMEM, "out of memory");
    for (; out->n < n; out->n++) {
        fill_failure(&found[out->n], &out->at[out->n].pgseal_failures);
        if (!fill_spans(rows, &found[out->n], &out->at[out->n].pgseal_failures))
            return err_set(e, E_NOMEM, "out of memory");
    }
    return OK;
}
